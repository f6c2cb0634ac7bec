import { expect, test } from 'vitest';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { openWriter } from '../../src/testing/support.ts';

/** Every storage of a place shares its memory, as two of the same database share that. */
async function place(): Promise<TestLocation> {
  const [first] = [new MemoryStorage({ maxRecords: 1e9 })];
  return {
    storage: (hooks) => {
      const storage = new MemoryStorage(hooks ? { hooks } : {});
      return Object.assign(storage, { openWriter: first!.openWriter, reader: first!.reader });
    },
    remove: async () => {},
  };
}

const cases = storageCases({
  name: 'memory',
  place,
  cannot: { processes: 'the memory is that of one process' },
});
test.each(cases)('$name', ({ run }) => run());

test('keeps the newest records only', async () => {
  const storage = new MemoryStorage({ maxRecords: 3 });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  await writer.apply(journal.batch(Array.from({ length: 5 }, (_, n) => ({ date: NOON + n }))));
  expect((await storage.getUsage()).map(({ date }) => date - NOON)).toEqual([4, 3, 2]);
  expect((await storage.getSum('urls', { period: 'day' }))[0]?.hits).toBe(5);
  expect(() => new MemoryStorage({ maxRecords: -1 })).toThrow('"MemoryStorage.maxRecords" is -1');
});
