import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RecordBatch } from '../../src/batch.ts';
import { admitted, type BucketKeys, maxKeysIn, maxKeysOf } from '../../src/storage/key-budget.ts';
import { MEASURES } from '../../src/storage/measures.ts';
import { CHANGES, COVERAGE, ERASED, OTHERS } from '../../src/summaries/coverage.ts';
import type { Summary } from '../../src/summaries/define.ts';
import type { DeltaGroup } from '../../src/summaries/fold.ts';
import type { Period } from '../../src/summaries/periods.ts';
import { sumUrls, sumVisitors } from '../../src/summaries/standard.ts';

type Row = { key: string | null; hits: number; transfer: number; errors: number; duration: number };

const SUMMARY = { name: 'urls', title: 'urls' };
const aKey = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...'abcdefghij') },
  fc.constantFrom(null, OTHERS, 'others', 'null'),
);
const aCount = fc.integer({ min: 1, max: 1_000 });
const aRow = fc.record({ key: aKey, hits: aCount, transfer: aCount, errors: aCount, duration: aCount });
const aBatch = fc.uniqueArray(aRow, { selector: ({ key }) => key, maxLength: 12 });

function groupOf(rows: readonly Row[]): { group: DeltaGroup; records: RecordBatch } {
  const records = new RecordBatch();
  // A text that no row has, so that IDs and positions differ.
  records.intern('unused');
  const key = Int32Array.from(rows, (row) =>
    row.key === OTHERS ? records.others() : records.intern(row.key),
  );
  const columns = MEASURES.map((name) => [name, Float64Array.from(rows, (row) => row[name])]);
  const group = {
    summary: SUMMARY,
    period: 'hour',
    bucket: 0,
    key,
    ...Object.fromEntries(columns),
  } as DeltaGroup;
  return { group, records };
}

function rowsOf(group: DeltaGroup, { strings }: RecordBatch): Row[] {
  return Array.from(group.key, (id, i) => {
    const measures = Object.fromEntries(MEASURES.map((name) => [name, group[name][i]]));
    return { key: strings[id]!, ...measures } as Row;
  });
}

/** A bucket and the sums that are stored in it. */
class Bucket {
  readonly sums = new Map<string | null, Row>();

  get own(): string[] {
    return [...this.sums.keys()].filter((key) => key !== null && key !== OTHERS) as string[];
  }

  keys({ strings }: RecordBatch): BucketKeys {
    return { count: this.own.length, has: (id) => this.sums.has(strings[id]!) };
  }

  add(row: Row): void {
    const found = this.sums.get(row.key);
    this.sums.set(row.key, found ? plus(found, row) : row);
  }
}

function plus(a: Row, b: Row): Row {
  const sums = Object.fromEntries(MEASURES.map((name) => [name, a[name] + b[name]]));
  return { key: a.key, ...sums } as Row;
}

/** Adds a batch key by key. */
function addOneByOne(bucket: Bucket, rows: readonly Row[], max: number): void {
  const had = new Set(bucket.sums.keys());
  let room = Math.max(0, max - bucket.own.length);
  for (const row of rows) {
    const isNew = row.key !== null && row.key !== OTHERS && !had.has(row.key);
    if (isNew && room === 0) bucket.add({ ...row, key: OTHERS });
    else {
      bucket.add(row);
      if (isNew) room -= 1;
    }
  }
}

describe('the key budget', () => {
  test('gives what adding key by key gives, for any sequence of batches', () => {
    fc.assert(
      fc.property(fc.array(aBatch, { maxLength: 6 }), fc.integer({ min: 1, max: 8 }), (batches, max) => {
        const [bucket, wanted] = [new Bucket(), new Bucket()];
        for (const rows of batches) {
          const { group, records } = groupOf(rows);
          const before = rowsOf(group, records);
          const found = admitted(group, records, max, bucket.keys(records));
          const added = rowsOf(found, records);
          expect(new Set(added.map(({ key }) => key)).size).toBe(added.length);
          expect(rowsOf(group, records)).toEqual(before);
          const isChanged = found !== group;
          expect(records.overBudget.has('urls')).toBe(isChanged);
          for (const row of added) bucket.add(row);
          addOneByOne(wanted, rows, max);
          expect(bucket.sums).toEqual(wanted.sums);
          expect(bucket.own.length).toBeLessThanOrEqual(max);
          const total = (all: Iterable<Row>) => [...all].map(({ hits }) => hits).reduce((a, b) => a + b, 0);
          expect(total(added)).toBe(total(rows));
        }
      }),
    );
  });

  test('keeps the keys of a bucket that has more of them than a smaller budget', () => {
    const { group, records } = groupOf(
      ['a', 'b', 'c'].map((key) => ({ key, hits: 1, transfer: 2, errors: 3, duration: 4 })),
    );
    const bucket = { count: 9, has: (id: number) => records.strings[id] === 'b' };
    expect(rowsOf(admitted(group, records, 5, bucket), records)).toEqual([
      { key: 'b', hits: 1, transfer: 2, errors: 3, duration: 4 },
      { key: OTHERS, hits: 2, transfer: 4, errors: 6, duration: 8 },
    ]);
  });

  test('is not reported as reached if it only concerns daily visitors of a month', () => {
    const isReported = (summary: Summary, period: Period, keys: string[]) => {
      const { group, records } = groupOf(
        keys.map((key) => ({ key, hits: 1, transfer: 0, errors: 0, duration: 0 })),
      );
      const of = { ...group, summary, period };
      const found = rowsOf(admitted(of, records, 1, { count: 0, has: () => false }), records);
      expect(found.map(({ key, hits }) => [key, hits])).toEqual([
        [keys[0], 1],
        [OTHERS, keys.length - 1],
      ]);
      return records.overBudget.has(summary.name);
    };
    expect(isReported(sumVisitors, 'month', ['d:1', 'd:2', 'd:3'])).toBe(false);
    expect(isReported(sumVisitors, 'day', ['d:1', 'd:2'])).toBe(true);
    expect(isReported(sumVisitors, 'month', ['d:1', 'd:2', 'abc'])).toBe(true);
    expect(isReported(sumUrls, 'month', ['d:1', 'd:2'])).toBe(true);
  });

  test('is that of the summary, and unlimited for reserved summaries and copies', () => {
    const maxKeys = maxKeysOf({ hour: 5, summaries: { urls: 7, constructor: { day: 9 } } });
    expect(['hour', 'day', 'month'].map((period) => maxKeysIn(maxKeys, 'urls', period as 'hour'))).toEqual([
      7, 7, 7,
    ]);
    expect(maxKeysIn(maxKeys, 'constructor', 'day')).toBe(9);
    expect(maxKeysIn(maxKeys, 'constructor', 'hour')).toBe(5);
    expect(maxKeysIn(maxKeys, 'toString', 'hour')).toBe(5);
    expect(maxKeysIn(maxKeys, 'toString', 'month')).toBe(50_000);
    for (const { name } of [COVERAGE, ERASED, CHANGES])
      expect(maxKeysIn(maxKeys, name, 'hour')).toBe(Number.POSITIVE_INFINITY);
    expect(maxKeysIn(undefined, 'urls', 'hour')).toBe(Number.POSITIVE_INFINITY);
  });
});
