/** The page about MongoDB: its program and its queries, on the test server. */
import { type Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { hasMongo, type MongoServer, mongoServer } from '../support/servers/mongo.ts';
import { DocsProject, read } from './documentation.ts';

const blocks = (kind: string) =>
  [...read('docs/guides/mongo.md').matchAll(/^```js (\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === kind)
    .map(([, , text = '']) => text);

const DATABASE = `docs_${process.pid}`;
let project: DocsProject;
let mongo: MongoServer;
let client: MongoClient;

beforeAll(async () => {
  if (!hasMongo) return;
  project = new DocsProject();
  mongo = await mongoServer();
  client = new MongoClient(mongo.url(DATABASE));
  const storage = new MongoStorage(mongo.url(DATABASE));
  const writer = await openWriter(storage);
  await writer.apply(
    new TestJournal('a', storage.summaries).batch([{ extra: { vars: { plan: 'gold' } } }, { status: 500 }]),
  );
  await writer.close();
});
afterAll(async () => {
  project?.remove();
  await client?.db().dropDatabase();
  await client?.close();
  await mongo?.close();
});

/** Implements the part of mongosh that the page uses. */
async function shell(text: string): Promise<unknown> {
  const db = {
    getCollection(name: string) {
      const collection = client.db().collection(name);
      return {
        find: (filter: Document, projection?: Document) =>
          collection.find(filter, projection ? { projection } : {}),
        aggregate: (pipeline: Document[]) => collection.aggregate(pipeline),
        deleteMany: (filter: Document) => collection.deleteMany(filter),
      };
    },
  };
  const run = new Function('db', 'ISODate', `return ${text}`);
  const result = await run(db, (date: string) => new Date(date));
  return typeof result?.toArray === 'function' ? result.toArray() : result;
}

describe.skipIf(!hasMongo)('the MongoDB page', () => {
  test.each(blocks('mongo').map((program) => [program]))('%s', async (program) => {
    const url = 'mongodb://user:password@localhost:27017/usage';
    expect(program).toContain(url);
    const localProgram = program.replace(url, mongo.url(DATABASE));
    const { stderr, code } = await project.run(localProgram, project.directory());
    expect({ stderr, code: code ?? 0 }).toEqual({ stderr: '', code: 0 });
  });

  const queries = blocks('mongosh');
  test('shows queries that run', () => expect(queries.length).toBeGreaterThan(3));
  test.each(queries.map((query) => [query]))('%s', async (query) => {
    const answer = await shell(query);
    if (query.includes('delete')) expect(answer).toEqual({ acknowledged: true, deletedCount: 0 });
    else expect((answer as unknown[]).length).toBeGreaterThan(0);
  });
});
