import { wallClock } from '../../platform/clock.ts';
import { horizonsOf, keepTimesOf, PARTS, type Part, type StoredRetention } from '../../storage/retention.ts';
import { type Calendar, PERIODS } from '../../summaries/periods.ts';
import type { Server } from './client.ts';
import { MARGIN } from './expiry.ts';
import { partsOfSeries } from './keys.ts';

type Mutable = { -readonly [part in Part]?: StoredRetention[part] };

/** Returns the stored retention of a site. */
export async function storedRetention(server: Server, key: string): Promise<StoredRetention> {
  const found = (await server.send(key, ['HMGET', key, ...PARTS])) as unknown[];
  const retention: Mutable = {};
  for (const [n, part] of PARTS.entries()) {
    if (found[n] === null) continue;
    const [keep, before] = String(found[n]).split(' ') as [
      NonNullable<StoredRetention[Part]>['keep'],
      string,
    ];
    retention[part] = { keep, before: before === '' ? null : Number(before) };
  }
  return retention;
}

/**
 * Adds to the stored retention which buckets Redis may have removed since, and which records were trimmed.
 * @param trimmed Exclusive end of the trimmed records, or `null` for none.
 * @param series Names of the site's series, which include those whose buckets expired since the last pruning.
 */
export function inForce(
  stored: StoredRetention,
  zone: Calendar,
  trimmed: number | null,
  series: readonly string[],
): StoredRetention {
  const found: Mutable = { ...stored };
  // Half of the margin, because the clocks may differ.
  const expired = horizonsOf(keepTimesOf(stored), zone, wallClock.now() - MARGIN / 2);
  for (const part of PERIODS) {
    const [of, before] = [stored[part], expired[part]];
    if (!of || before === undefined) continue;
    const month = zone.format(zone.monthOf(before)).slice(0, 7);
    const mayHaveExpired = series
      .map(partsOfSeries)
      .some((each) => each.period === part && each.month <= month);
    if (mayHaveExpired) found[part] = { ...of, before: Math.max(before, of.before ?? before) };
  }
  if (trimmed !== null) {
    const { keep: time, before } = stored.records ?? { keep: 'forever', before: null };
    found.records = { keep: time, before: Math.max(trimmed, before ?? trimmed) };
  }
  return found;
}
