import { keptUntil, type Retention } from '../../storage/retention.ts';
import type { Calendar, Period } from '../../summaries/periods.ts';

/**
 * Time for which Redis keeps a bucket longer than the retention. By then, it is usually pruned, and queries no longer
 * read it, even if the clocks differ. In ms.
 */
export const MARGIN = 86_400_000;

/** Returns the time at which Redis removes a bucket, in ms since 1970; `0` for never. */
export function expiryOf(retention: Retention, period: Period, calendar: Calendar, bucket: number): string {
  const until = keptUntil(retention, period, calendar, bucket);
  return Number.isFinite(until) ? String(Math.ceil(until) + MARGIN) : '0';
}
