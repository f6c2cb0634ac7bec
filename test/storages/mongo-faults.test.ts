import { onTestFinished, test } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { hasMongo, mongoServer } from '../support/servers/mongo.ts';
import { faultRounds } from './fault-rounds.ts';

test.skipIf(!hasMongo)(
  'stores each response once in 10 rounds of lost connections and SIGKILL on the server and the app',
  { timeout: 300_000 },
  async () => {
    const mongo = await mongoServer();
    onTestFinished(() => mongo.close());
    const { server } = mongo;
    if (!server) throw new Error('the server of TEST_MONGO_URL cannot be killed');
    await createCollections(mongo.url('usage'));
    await faultRounds(server, (port) => mongo.url('usage', port), {
      // The test server reads only some thousand documents per second.
      connections: 2,
      adoptionTimeout: 120_000,
    });
  },
);

/** Creates the collections in advance, because FerretDB does not start again if it is killed while creating a database. */
async function createCollections(url: string): Promise<void> {
  const storage = new MongoStorage(url, { hooks: ['urls', 'server'] });
  const writer = await openWriter(storage, { site: 'other' });
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'other').batch([{}]));
  await writer.close();
}
