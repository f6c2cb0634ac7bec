import type { RecordBatch } from '../batch.ts';
import type { DeltaGroup } from '../summaries/fold.ts';
import type { Period } from '../summaries/periods.ts';
import type { Batch, Measures } from './contract.ts';
import { MEASURES } from './measures.ts';
import { type RecordRow, rowOfRecord } from './record-row.ts';

/** Measures that a batch adds to one key of one bucket. */
export interface DeltaRow extends Measures {
  /** Name of the summary. */
  summary: string;
  /** Period of the bucket. */
  period: Period;
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
  /** Key, or `null` for the requests without one. */
  key: string | null;
}

/**
 * Returns the records of a batch as rows, in the order of the journal.
 * @param batch Batch, or its records.
 */
export function recordRows({ records }: Pick<Batch, 'records'>): RecordRow[] {
  return Array.from({ length: records.length }, (_, index) => {
    const extra = records.extra.get(index) ?? null;
    const row = rowOfRecord(
      records.record(index),
      extra,
      records.at('urlKey', index),
      records.at('path', index),
    );
    // A date may have a fraction of a millisecond.
    return { ...row, ms: Math.floor(row.ms) };
  });
}

/**
 * Returns what a batch adds to the summaries, one row for each summary, period, bucket and key.
 * @param batch Batch, or its records and deltas.
 */
export function* deltaRows({ records, deltas }: Pick<Batch, 'records' | 'deltas'>): Generator<DeltaRow> {
  for (const { summary, period, bucket, key, hits, transfer, errors, duration } of deltas) {
    for (let i = 0; i < key.length; i++) {
      yield {
        summary: summary.name,
        period,
        bucket,
        key: records.strings[key[i]!]!,
        hits: hits[i]!,
        transfer: transfer[i]!,
        errors: errors[i]!,
        duration: duration[i]!,
      };
    }
  }
}

/**
 * Returns rows as the deltas of a batch, one group per bucket of a summary. The inverse of `deltaRows`.
 * @param records Records of the batch, to which the keys are added.
 */
export function deltasOf(records: RecordBatch, rows: readonly DeltaRow[]): DeltaGroup[] {
  const groups = Map.groupBy(rows, ({ summary, period, bucket }) => `${summary} ${period} ${bucket}`);
  return [...groups.values()].map((members): DeltaGroup => {
    const { summary, period, bucket } = members[0]!;
    const columns = Object.fromEntries(
      MEASURES.map((measure) => [measure, Float64Array.from(members, (each) => each[measure])]),
    ) as Record<(typeof MEASURES)[number], Float64Array>;
    const key = Int32Array.from(members, (each) => records.internStored(each.key));
    return { summary: { name: summary, title: summary }, period, bucket, key, ...columns };
  });
}
