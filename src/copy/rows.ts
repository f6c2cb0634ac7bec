import type { StorageReader, SumRow } from '../storage/contract.ts';
import type { Period } from '../summaries/periods.ts';

/** Number of rows read and written at a time. */
export const ROWS_PER_BATCH = 10_000;
/** Later than any bucket and record. */
export const LAST = Number.MAX_SAFE_INTEGER;
/** Range of every bucket and record. */
export const ALWAYS = { from: -LAST, to: LAST };

/** Returns all rows of a summary, in chunks and in the order of results: newest bucket first. */
export async function* sumsOf(
  reader: StorageReader,
  site: string,
  summary: string,
  period: Period,
): AsyncGenerator<SumRow[]> {
  let to = LAST;
  let offset = 0;
  for (;;) {
    const rows = await reader.sums({
      site,
      summary,
      period,
      from: -LAST,
      to,
      target: undefined,
      limit: ROWS_PER_BATCH,
      offset,
    });
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (rows.length < ROWS_PER_BATCH || !last) return;
    // Continues from the last bucket, because an offset from the start would cost more with every chunk.
    const inBucket = rows.filter(({ bucket }) => bucket === last.bucket).length;
    offset = last.bucket === to ? offset + inBucket : inBucket;
    to = last.bucket;
  }
}
