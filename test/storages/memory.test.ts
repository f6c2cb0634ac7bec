import { expect, test } from 'vitest';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
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
