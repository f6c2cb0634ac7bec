import { expect, test } from 'vitest';
import { rebuild, verify } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { withCompanions } from '../../src/summaries/latency.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { openWriter } from '../../src/testing/support.ts';

/** Creates a location whose storages share memory, as storages of one database share its data. */
async function newLocation(): Promise<TestLocation> {
  const shared = new MemoryStorage({ maxRecords: 1e9 });
  return {
    storage: (hooks) => {
      const storage = new MemoryStorage(hooks ? { hooks } : {});
      return Object.assign(storage, { openWriter: shared.openWriter, reader: shared.reader });
    },
    remove: async () => {},
  };
}

const cases = storageCases({
  name: 'memory',
  createLocation: newLocation,
  cannot: { processes: 'memory is not shared between processes' },
});
test.each(cases)('$name', ({ run }) => run());

test('keeps only the newest records', async () => {
  const storage = new MemoryStorage({ maxRecords: 3 });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  await writer.apply(journal.batch(Array.from({ length: 5 }, (_, n) => ({ date: NOON + n }))));
  expect((await storage.getUsage()).map(({ date }) => date - NOON)).toEqual([4, 3, 2]);
  expect((await storage.getSum('urls', { period: 'day' }))[0]?.hits).toBe(5);
  expect(() => new MemoryStorage({ maxRecords: -1 })).toThrow('"MemoryStorage.maxRecords" is -1');
});

test('buckets whose oldest records were removed because there were too many do not look damaged', async () => {
  const storage = new MemoryStorage({ maxRecords: 3 });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  const hours = [-30, -2, -1, -1, 0, 0];
  for (const hour of hours) await writer.apply(journal.batch([{ date: NOON + hour * 3_600_000 }]));
  const { count, compared, notCovered } = await verify({ storage });
  expect(count).toBe(0);
  // Of the hour before noon, one of two records is left.
  expect(compared).toBe(withCompanions(storage.summaries).length + 1);
  expect(notCovered.map(({ period, buckets, reason }) => [period, buckets, reason])).toEqual([
    ['hour', 3, 'retention'],
    ['day', 2, 'retention'],
    ['month', 1, 'retention'],
  ]);
  expect(await rebuild({ storage, force: true })).toMatchObject({ rebuilt: 0, refused: [] });
});
