import type { Span } from '../storage/contract.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { invalid } from './invalid.ts';

/** A point in time: a Date, ms since 1970, or ISO text. Text without an offset is in the site's time zone. */
export type When = Date | number | string;

/** Named ranges. All but `yesterday` and `last-month` end now. */
export const RANGES = [
  '1h',
  '24h',
  'today',
  'yesterday',
  '7d',
  '30d',
  '90d',
  'month',
  'last-month',
  'year',
  '12mo',
  'all',
] as const;
/**
 * Name of a range. `1h` is the current hour and the one before, `24h` the current hour and the 23 before; `7d` is today
 * and the six days before; `month` and `year` are the current month and year until now.
 * @useDeclaredType
 */
export type RangeName = (typeof RANGES)[number];

/** Range of a query: a name, or `from` and `to`. Defaults to the last 30 days. */
export interface RangeOptions {
  /** Named range, instead of `from` and `to`. Defaults to `30d` if neither is given. */
  range?: RangeName;
  /** Start of the range, inclusive, rounded down to the hour. Defaults to the start of the stored data. */
  from?: When;
  /**
   * End of the range, inclusive: the whole hour, day (`2026-11-25`) or month (`2026-11`) that it names.
   * Defaults to now.
   */
  to?: When;
}

/** Range in whole hours of a site's calendar. In ms since 1970. */
export interface HourRange {
  start: number;
  /** Exclusive end. */
  end: number;
  /**
   * True if the range extends until now: there is no data between its end and the end of that day or month.
   */
  open: boolean;
  /** Unit by which the previous period is shifted; `null` if the range starts with the stored data. */
  unit: 'day' | 'month' | 'year' | null;
}

/** Longest range that is charted by the hour and by the day, by default. In days. */
const MAX_DAYS_BY_HOUR = 3;
const MAX_DAYS_BY_DAY = 100;
const DAY = 24 * 60 * 60 * 1000;
const MIN_MONTH_MS = 27 * DAY;

/** Period named by a date without a time, by its length: `2026-11`, `2026-11-25`. */
const NAMED_BY_LENGTH: Readonly<Record<number, Period>> = { 7: 'month', 10: 'day' };

/** Hours, days or months of the ranges that end now, including the current one. */
const HOURS: Partial<Record<RangeName, number>> = { '1h': 2, '24h': 24 };
const DAYS: Partial<Record<RangeName, number>> = { today: 1, '7d': 7, '30d': 30, '90d': 90 };
const MONTHS: Partial<Record<RangeName, number>> = { month: 1, '12mo': 12 };

/**
 * Returns the requested hours.
 * @param first Returns the first instant with stored data. Called only if needed.
 * @param prefix Prefix of the options' names in errors.
 */
export async function rangeOf(
  { range, from, to }: RangeOptions,
  zone: Calendar,
  now: number,
  first: () => Promise<number | undefined>,
  prefix = '',
): Promise<HourRange> {
  if (range !== undefined && !RANGES.includes(range)) {
    throw invalid('range', range, RANGES.map((name) => `"${name}"`).join(', '));
  }
  if (range !== undefined && (from !== undefined || to !== undefined)) {
    throw invalid('range', range, 'either range or from and to');
  }
  const until = zone.next('hour', zone.hourOf(now));
  const named = range ?? (from === undefined && to === undefined ? '30d' : undefined);
  if (named !== undefined && named !== 'all') return namedRange(named, zone, now);
  const last = to === undefined ? until : endOf(to, zone, `${prefix}to`);
  const start =
    from === undefined
      ? zone.monthOf((await first()) ?? now)
      : zone.hourOf(zone.parse(from, `${prefix}from`));
  if (start >= last && from !== undefined) {
    throw invalid(
      `${prefix}from`,
      from,
      to === undefined ? 'a time in the past' : 'a time that is not after "to"',
    );
  }
  const end = Math.max(start, Math.min(last, until));
  // A range until now counts in months as soon as it is about a month long.
  const endsMonth = zone.monthOf(last) === last || (last >= until && end - start > MIN_MONTH_MS);
  const unit = from === undefined ? null : endsMonth && zone.monthOf(start) === start ? 'month' : 'day';
  return { start, end, open: last >= until, unit };
}

function namedRange(name: Exclude<RangeName, 'all'>, zone: Calendar, now: number): HourRange {
  const [hour, day, month] = [zone.hourOf(now), zone.dayOf(now), zone.monthOf(now)];
  if (name === 'yesterday') return { start: back(zone, 'day', day, 1), end: day, open: false, unit: 'day' };
  if (name === 'last-month') {
    return { start: back(zone, 'month', month, 1), end: month, open: false, unit: 'month' };
  }
  const toNow = { end: zone.next('hour', hour), open: true };
  if (name === 'year') {
    const months = Number(zone.format(month).slice('2026-'.length, '2026-11'.length));
    return { start: back(zone, 'month', month, months - 1), ...toNow, unit: 'year' };
  }
  const [hours, days, months] = [HOURS[name], DAYS[name], MONTHS[name]];
  if (hours !== undefined) return { start: back(zone, 'hour', hour, hours - 1), ...toNow, unit: 'day' };
  return days === undefined
    ? { start: back(zone, 'month', month, months! - 1), ...toNow, unit: 'month' }
    : { start: back(zone, 'day', day, days - 1), ...toNow, unit: 'day' };
}

/**
 * Returns the minimum number of buckets that make up the range: its months, then the remaining days and hours
 * at its ends.
 */
export function spansOf({ start, end, open }: HourRange, zone: Calendar): Span[] {
  if (start >= end) return [];
  // There is no future data, so an unfinished month can be read as a single bucket.
  const last = open ? zone.next('month', zone.monthOf(end - 1)) : end;
  const spans: Span[] = [];
  split(['month', 'day', 'hour'], start, last, zone, spans);
  return spans;
}

function split(periods: readonly Period[], start: number, end: number, zone: Calendar, spans: Span[]): void {
  const [period, ...shorter] = periods;
  if (period === undefined) return;
  const first = zone.bucketOf(period, start);
  const begin = first === start ? start : zone.next(period, first);
  const finish = zone.bucketOf(period, end);
  if (begin >= finish) {
    split(shorter, start, end, zone, spans);
    return;
  }
  split(shorter, start, begin, zone, spans);
  spans.push({ period, from: begin, to: finish - 1 });
  split(shorter, finish, end, zone, spans);
}

/** Returns the default period for charting the range. */
export function periodOf({ start, end }: HourRange): Period {
  const days = (end - start) / DAY;
  if (days <= MAX_DAYS_BY_HOUR) return 'hour';
  return days <= MAX_DAYS_BY_DAY ? 'day' : 'month';
}

/** Returns the starts of the buckets that overlap the range. The first may start before it. */
export function bucketsOf({ start, end }: HourRange, period: Period, zone: Calendar): number[] {
  const buckets: number[] = [];
  for (let at = zone.bucketOf(period, start); at < end; at = zone.next(period, at)) buckets.push(at);
  return buckets;
}

/** Returns the exclusive end of the hour, day or month that `to` names. */
export function endOf(to: When, zone: Calendar, name = 'to'): number {
  const at = zone.parse(to, name);
  const text = typeof to === 'string' ? to : '';
  const period = NAMED_BY_LENGTH[text.length];
  if (period === undefined) return zone.next('hour', zone.hourOf(at));
  // A day skipped by the calendar is empty: it ends where it would have started.
  return zone.format(at).slice(0, text.length) > text ? at : zone.next(period, at);
}

/** Returns the bucket that many buckets before another one. */
export function back(zone: Calendar, unit: Period, bucket: number, steps: number): number {
  let at = bucket;
  for (let i = 0; i < steps; i++) at = zone.bucketOf(unit, at - 1);
  return at;
}
