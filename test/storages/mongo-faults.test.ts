import { onTestFinished, test } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { hasMongo, mongoServer } from '../support/servers/mongo.ts';
import { faultRounds } from './fault-rounds.ts';

test.skipIf(!hasMongo)(
  '10 rounds of lost connections, and of SIGKILL on the server and the app: hits = responses received',
  { timeout: 300_000 },
  async () => {
    const mongo = await mongoServer();
    onTestFinished(() => mongo.close());
    const { server } = mongo;
    if (!server) throw new Error('the server of TEST_MONGO_URL cannot be killed');
    await createCollections(mongo.url('usage'));
    await faultRounds(server, (port) => mongo.url('usage', port), {
      // The test server reads some thousand documents a second.
      connections: 2,
      patience: 120_000,
    });
  },
);

/** Before the server is killed: FerretDB does not start again when it was killed while it made a database. */
async function createCollections(url: string): Promise<void> {
  const storage = new MongoStorage(url, { hooks: ['urls', 'server'] });
  const writer = await openWriter(storage, { site: 'other' });
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'other').batch([{}]));
  await writer.close();
}
