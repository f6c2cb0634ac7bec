import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { openWriter } from '../../src/testing/support.ts';
import { dumpContains } from '../support/mongo-dump.ts';
import { mongoJavaServer } from '../support/servers/mongo-java.ts';
import { isWanted } from '../support/services.ts';

const IN_MEMORY = 'keeps its data in memory, and cannot compact it';
const SLOW = 'each update scans the whole collection';
/** Cases excluded for this server, which FerretDB covers, with the reason. */
const EXCLUDED: Readonly<Record<string, string>> = {
  'sums: keys that engines may take for equal stay separate, in the order of their bytes':
    'texts are ordered by UTF-16 code units',
  'sums: a large random workload gives what the storage in memory gives, rows and order': SLOW,
  'sweeping: what nothing refers to any longer is removed, and scrubbing removes it from the files':
    IN_MEMORY,
  'people: the key of a person is gone from every query and from the files, and totals stay': IN_MEMORY,
  'batches: thousands of records with as many keys': SLOW,
  'batches: three writers add to the same keys at the same time': SLOW,
};

/** A second engine in addition to FerretDB, so that tests do not depend on peculiarities of one of them. */
describe.runIf(isWanted('mongo-java-server'))('mongo-java-server', () => {
  let server: Awaited<ReturnType<typeof mongoJavaServer>>;
  let databases = 0;
  beforeAll(async () => {
    server = await mongoJavaServer();
  });
  afterAll(() => server?.close());

  async function newLocation(): Promise<TestLocation> {
    const url = server.url(`usage_${++databases}`);
    return {
      storage: (hooks) => new MongoStorage(url, hooks ? { hooks } : {}),
      contains: (text) => dumpContains(url, text),
      async remove() {
        await using client = new MongoClient(url);
        await client.db().dropDatabase();
      },
    };
  }

  // It keeps its data in memory, so it cannot be restarted in a test.
  const cases = storageCases({ name: 'mongo-java-server', createLocation: newLocation });
  for (const name of Object.keys(EXCLUDED)) {
    test(`excludes an existing case: ${name}`, () => {
      expect(cases.filter((each) => each.name === name)).toHaveLength(1);
    });
  }
  test('scrub rejects, because the server has no such command', async () => {
    const { storage, remove } = await newLocation();
    const writer = await openWriter(storage(['urls']));
    await expect(writer.maintenance!.scrub()).rejects.toMatchObject({
      code: 'SCRUB_FAILED',
      message: expect.stringContaining('compact'),
    });
    await writer.close();
    await remove();
  });
  const included = cases.filter(({ name }) => !(name in EXCLUDED));
  test.each(included)('$name', { timeout: 120_000 }, ({ run }) => run());
});
