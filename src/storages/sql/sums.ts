import type { DeltaGroup, Deltas } from '../../summaries/fold.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';

/** Rows that a batch adds to the table of a period. Columns, in the order of the table's key. */
export interface SumRows {
  period: Period;
  length: number;
  series: Int32Array;
  /** Start of the bucket, in ms since 1970. */
  bucket: Float64Array;
  /** Text IDs; 0 for null. */
  key: Float64Array;
  hits: Float64Array;
  transfer: Float64Array;
  errors: Float64Array;
  duration: Float64Array;
}

/**
 * Converts the deltas of a batch to rows. All writers use the same order, so that they cannot deadlock. The
 * order also places adjacent rows on the same pages of the table.
 * @param ids IDs of the batch's texts.
 * @param seriesOf Returns the ID of a summary.
 */
export function sumRows(deltas: Deltas, ids: Float64Array, seriesOf: (summary: string) => number): SumRows[] {
  return PERIODS.map((period) => {
    const groups = deltas
      .filter((group) => group.period === period)
      .map((group) => ({ group, series: seriesOf(group.summary.name) }))
      .sort((a, b) => a.series - b.series || a.group.bucket - b.group.bucket);
    const rows = emptyRows(
      period,
      groups.reduce((sum, { group }) => sum + group.key.length, 0),
    );
    let at = 0;
    for (const { group, series } of groups) at = fill(rows, at, group, series, ids);
    return rows;
  });
}

function emptyRows(period: Period, length: number): SumRows {
  return {
    period,
    length,
    series: new Int32Array(length),
    bucket: new Float64Array(length),
    key: new Float64Array(length),
    hits: new Float64Array(length),
    transfer: new Float64Array(length),
    errors: new Float64Array(length),
    duration: new Float64Array(length),
  };
}

function fill(rows: SumRows, from: number, group: DeltaGroup, series: number, ids: Float64Array): number {
  const { length } = group.key;
  const keys = new Float64Array(length);
  for (let i = 0; i < length; i++) keys[i] = ids[group.key[i]!]!;
  const order = orderOf(keys);
  for (let i = 0; i < length; i++) {
    const row = order[i]!;
    const at = from + i;
    rows.series[at] = series;
    rows.bucket[at] = group.bucket;
    rows.key[at] = keys[row]!;
    rows.hits[at] = group.hits[row]!;
    rows.transfer[at] = group.transfer[row]!;
    rows.errors[at] = group.errors[row]!;
    rows.duration[at] = group.duration[row]!;
  }
  return from + length;
}

/** Returns the indexes of integers in sorted order. */
function orderOf(keys: Float64Array): Uint32Array {
  const { length } = keys;
  const order = new Uint32Array(length);
  // Key and index share one number, because sorting numbers alone is several times as fast.
  const places = Float64Array.from(keys, (key, i) => key * length + i).sort();
  for (let i = 0; i < length; i++) order[i] = places[i]! % length;
  // Beyond 2^53 the combined number is not exact.
  if (length > 0 && places[length - 1]! <= Number.MAX_SAFE_INTEGER) return order;
  for (let i = 0; i < length; i++) order[i] = i;
  return order.sort((a, b) => keys[a]! - keys[b]!);
}
