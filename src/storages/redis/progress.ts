import type { Batch, Range } from '../../storage/contract.ts';
import { ANY_DATE } from '../../storage/cursor.ts';
import type { Calendar } from '../../summaries/periods.ts';

/** Returns the range of a batch, for the journal's entry while the batch is stored. */
export function rangeOf({ records, deltas }: Batch, calendar: Calendar): Range {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  // The sums of a batch with records are those of its records.
  for (let i = 0; i < records.length; i++) {
    from = Math.min(from, records.date[i]!);
    to = Math.max(to, records.date[i]!);
  }
  if (records.length === 0) {
    for (const { period, bucket } of deltas) {
      from = Math.min(from, bucket);
      to = Math.max(to, Math.min(calendar.next(period, bucket) - 1, ANY_DATE.to));
    }
  }
  // A batch may be empty.
  return from > to ? { from: 0, to: -1 } : { from: Math.floor(from), to: Math.floor(to) };
}

/** Returns whether a journal's entry contains a batch in progress that may change data of a site in a range. */
export function isInProgress(entry: string, site: string, { from, to }: Range): boolean {
  const [, first, last, of] = /^\d+ \d+ \d+ (-?\d+) (-?\d+) (.*)$/s.exec(entry) ?? [];
  return of === site && Number(first) <= to && Number(last) >= from;
}
