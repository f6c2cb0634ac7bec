import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { monotonicClock } from '../../src/platform/clock.ts';
import { type FoldedRow, RecordFolds } from '../../src/storage/fold-records.ts';
import { NOON } from '../../src/testing/batches.ts';

const ALL = { site: 'default', from: 0, to: NOON + 10_000, where: [] };
const PAGE = { order: 'hits', search: undefined, limit: 3, offset: 0 } as const;

/** Folds generated records, and counts the pieces that are read. */
function recordFolds(count: number, row: (n: number) => Partial<FoldedRow>) {
  const read = { pieces: 0, ended: false };
  const folds = new RecordFolds(async function* () {
    try {
      for (let n = 0; n < count; n += 1_000) {
        read.pieces += 1;
        yield Array.from({ length: 1_000 }, (_, i) => ({ ms: NOON, status: 200, ...row(n + i) }));
      }
    } finally {
      read.ended = true;
    }
  });
  return { folds, read };
}

describe('results computed from records', () => {
  test('use memory for keys, not for records', async () => {
    const { folds } = recordFolds(300_000, (n) => ({ url: `${n % 10}`, content_length: 1 }));
    const { rows, count, total } = await folds.matchingKeys({ ...ALL, ...PAGE, column: 'url' });
    expect([rows[0], count, total.transfer]).toEqual([
      { key: '0', hits: 30_000, transfer: 30_000, errors: 0, duration: 0 },
      10,
      300_000,
    ]);
  });

  test('fail if there are too many keys or visitors, and stop reading', async () => {
    for (const query of [
      (folds: RecordFolds) => folds.matchingKeys({ ...ALL, ...PAGE, column: 'url' }),
      (folds: RecordFolds) => folds.matchingSeries({ ...ALL, bounds: [0, NOON + 1] }),
    ]) {
      const { folds, read } = recordFolds(3_000_000, (n) => ({ url: `${n}`, visitor: `${n}` }));
      await expect(query(folds)).rejects.toMatchObject({
        code: 'QUERY_TOO_LARGE',
        message: expect.stringMatching(/has more than 1000000 different (keys|visitors), .* a shorter range/),
      });
      expect(read).toEqual({ pieces: 1_001, ended: true });
    }
  });

  test('limit the total length of the keys', async () => {
    const { folds, read } = recordFolds(100_000, (n) => ({ url: `${n}`.padEnd(4_096) }));
    await expect(folds.matchingKeys({ ...ALL, ...PAGE, column: 'url' })).rejects.toMatchObject({
      code: 'QUERY_TOO_LARGE',
    });
    expect(read.pieces).toBe(17);
  });

  test('fail after 30 s', async () => {
    let now = 0;
    const clock = vi.spyOn(monotonicClock, 'now').mockImplementation(() => {
      now += 5_000;
      return now;
    });
    onTestFinished(() => clock.mockRestore());
    const { folds, read } = recordFolds(100_000, () => ({}));
    await expect(folds.matchingSeries({ ...ALL, bounds: [0, NOON + 1] })).rejects.toMatchObject({
      code: 'QUERY_TOO_LARGE',
      message: expect.stringContaining('took longer than 30000 ms'),
    });
    expect(read).toEqual({ pieces: 7, ended: true });
  });

  test('assign each record to one of thousands of buckets', async () => {
    const bounds = Array.from({ length: 10_001 }, (_, n) => NOON + n - 5_000 + 0.5);
    const { folds } = recordFolds(20_000, (n) => ({ ms: NOON - 5_000 + n }));
    const rows = await folds.matchingSeries({ ...ALL, bounds });
    expect(rows.map(({ bucket, hits }) => [bucket, hits])).toEqual(
      bounds.slice(0, -1).map((bound) => [bound, 1]),
    );
  });
});
