import type { StorageReader, SumRow } from '../storage/contract.ts';
import type { Period } from '../summaries/periods.ts';

/** Rows that are read and written at once. */
export const PIECE = 10_000;
/** Later than any bucket and record. */
export const LAST = Number.MAX_SAFE_INTEGER;

/** All rows of a summary, in pieces: in the order of answers, so newest bucket first. */
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
      limit: PIECE,
      offset,
    });
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (rows.length < PIECE || !last) return;
    // From the last bucket on: an offset from the beginning would cost more with every piece.
    const inBucket = rows.filter(({ bucket }) => bucket === last.bucket).length;
    offset = last.bucket === to ? offset + inBucket : inBucket;
    to = last.bucket;
  }
}
