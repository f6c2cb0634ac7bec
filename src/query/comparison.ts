import type { Calendar } from '../summaries/periods.ts';
import { invalid } from './invalid.ts';
import { back, type HourRange, rangeOf, type When } from './range.ts';

/** Names of the periods with which a range can be compared, besides the previous one. */
export const COMPARISONS = ['weekdays', 'year'] as const;

/**
 * Period with which a range is compared: `true` for the previous period, `'weekdays'` for the latest previous period
 * with the same days of the week, `'year'` for the same dates of the year before, or dates.
 * @useDeclaredType
 */
export type Comparison =
  | boolean
  | (typeof COMPARISONS)[number]
  | {
      /** Start, inclusive, as in a range. */
      from: When;
      /** End, inclusive, as in a range. Defaults to now. */
      to?: When;
    };

const DAYS_PER_WEEK = 7;
const MONTHS_PER_YEAR = 12;

/** Throws if an option is no comparison. */
export function checkComparison(compare: unknown): void {
  const isName = COMPARISONS.includes(compare as never);
  const isRange =
    typeof compare === 'object' &&
    compare !== null &&
    (compare as { from?: unknown }).from !== undefined &&
    Object.keys(compare).every((name) => name === 'from' || name === 'to');
  if (typeof compare === 'boolean' || isName || isRange) return;
  throw invalid('compare', compare, 'true, false, "weekdays", "year", or an object with from and to');
}

/** Returns the range with which another one is compared, or `undefined` without one. */
export async function comparedRange(
  range: HourRange,
  compare: Comparison,
  zone: Calendar,
  now: number,
): Promise<HourRange | undefined> {
  if (compare === false) return undefined;
  if (typeof compare === 'object') {
    const { from, to } = compare;
    const options = { from, ...(to !== undefined && { to }) };
    const given = await rangeOf(options, zone, now, async () => undefined, 'compare.');
    return { ...given, open: false };
  }
  // Nothing is stored before the range.
  if (range.unit === null) return undefined;
  if (compare === 'weekdays') return sameWeekdays(range, zone);
  return compare === 'year' ? shifted(range, 'month', MONTHS_PER_YEAR, zone) : previousOf(range, zone);
}

/**
 * Returns the preceding range of the same length, in whole days, months or years. If the range has partial days, it has
 * the same hours. If the range has not ended yet, it is equally truncated.
 */
export function previousOf(range: HourRange, zone: Calendar): HourRange {
  const unit = range.unit ?? 'day';
  const before =
    unit === 'year'
      ? shifted(range, 'month', MONTHS_PER_YEAR, zone)
      : shifted(range, unit, stepsOf(range, unit, zone), zone);
  return { ...before, end: Math.min(before.end, range.start) };
}

/** Returns the latest preceding range with the same days of the week. */
function sameWeekdays(range: HourRange, zone: Calendar): HourRange {
  const weeks = Math.ceil(stepsOf(range, 'day', zone) / DAYS_PER_WEEK);
  return shifted(range, 'day', weeks * DAYS_PER_WEEK, zone);
}

/** Returns the length of a range in days or months, rounded up. */
function stepsOf({ start, end }: HourRange, unit: 'day' | 'month', zone: Calendar): number {
  let steps = 0;
  const first = zone.bucketOf(unit, start);
  for (let at = first; at + (start - first) < end; at = zone.next(unit, at)) steps += 1;
  return steps;
}

/** Returns the range that many days or months earlier, at the same times of day. */
function shifted(range: HourRange, unit: 'day' | 'month', steps: number, zone: Calendar): HourRange {
  const shift = (ms: number) => {
    const bucket = zone.bucketOf(unit, ms);
    const earlier = back(zone, unit, bucket, steps);
    let day = earlier;
    for (let at = bucket; at < zone.dayOf(ms); at = zone.next('day', at)) day = zone.next('day', day);
    return Math.min(sameTimeIn(day, ms, zone), zone.next(unit, earlier));
  };
  const start = shift(range.start);
  return { ...range, start, end: Math.max(start, shift(range.end)), open: false };
}

/** Returns the instant of a day at which its clock shows the same time as at another instant. */
function sameTimeIn(day: number, ms: number, zone: Calendar): number {
  if (zone.dayOf(ms) === ms) return day;
  const date = zone.format(day).slice(0, '2026-11-25'.length);
  const time = zone.format(ms).slice('2026-11-25T'.length, '2026-11-25T10:00'.length);
  const at = zone.parse(`${date}T${time}`, 'compare');
  return zone.hourOf(Math.min(Math.max(at, day), zone.next('day', day)));
}
