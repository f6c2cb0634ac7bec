import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { mongoJavaServer } from '../support/servers/mongo-java.ts';
import { isWanted } from '../support/services.ts';

const SLOW = 'it goes through the whole collection for each update';
/** What this server does otherwise than MongoDB, so that FerretDB alone is asked. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'sums: keys that engines may take for equal stay separate, in the order of their bytes':
    'it orders texts by their UTF-16 units',
  'sums: a large random workload gives what the storage in memory gives, rows and order': SLOW,
  'batches: 10,000 records with as many keys': SLOW,
  'batches: three writers add to the same keys at the same time': SLOW,
};

/** A second engine beside FerretDB: what both answer alike is not a peculiarity of one of them. */
describe.runIf(isWanted('mongo-java-server'))('mongo-java-server', () => {
  let server: Awaited<ReturnType<typeof mongoJavaServer>>;
  let places = 0;
  beforeAll(async () => {
    server = await mongoJavaServer();
  });
  afterAll(() => server?.close());

  async function place(): Promise<TestLocation> {
    const url = server.url(`usage_${++places}`);
    return {
      storage: (hooks) => new MongoStorage(url, hooks ? { hooks } : {}),
      async remove() {
        await using client = new MongoClient(url);
        await client.db().dropDatabase();
      },
    };
  }

  // It keeps its data in memory, so that it cannot be stopped and started.
  const cases = storageCases({ name: 'mongo-java-server', place });
  for (const name of Object.keys(LEFT_OUT)) {
    test(`has the case that is left out: ${name}`, () => {
      expect(cases.filter((each) => each.name === name)).toHaveLength(1);
    });
  }
  const taken = cases.filter(({ name }) => !(name in LEFT_OUT));
  test.each(taken)('$name', { timeout: 120_000 }, ({ run }) => run());
});
