import { BSON, MongoClient } from 'mongodb';

/** Returns whether any document of a database contains a text, as a dump would. */
export async function dumpContains(url: string, text: string): Promise<boolean> {
  await using client = new MongoClient(url);
  for (const collection of await client.db().collections()) {
    for await (const document of collection.find()) {
      if (BSON.EJSON.stringify(document).includes(text)) return true;
    }
  }
  return false;
}
