import type { RangeName } from '../api/types.ts';
import { type Dates, isNamed, type View } from './view.ts';

const DAY = 24 * 60 * 60 * 1000;
/** Days of the ranges that end today. */
const DAYS: Partial<Record<RangeName, number>> = { today: 1, '7d': 7, '30d': 30, '90d': 90 };
/** Named ranges of whole days. The first one with the wanted dates is chosen. */
const NAMED: readonly RangeName[] = [
  'today',
  'yesterday',
  'month',
  'last-month',
  'year',
  '7d',
  '30d',
  '90d',
  '12mo',
];

/** Returns the current date in a time zone, as `2026-11-25`. */
export function todayIn(timeZone: string, now = Date.now()): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(now);
}

/** Returns the dates of a range, until the end of its last month or year, or `null` if it has no whole days. */
export function datesOf(range: View['range'], today: string): Dates | null {
  if (!isNamed(range)) return range;
  const days = DAYS[range];
  if (days !== undefined) return { from: plusDays(today, 1 - days), to: today };
  const month = `${today.slice(0, 7)}-01`;
  if (range === 'yesterday') return { from: plusDays(today, -1), to: plusDays(today, -1) };
  if (range === 'month') return { from: month, to: plusDays(plusMonths(month, 1), -1) };
  if (range === 'last-month') return { from: plusMonths(month, -1), to: plusDays(month, -1) };
  if (range === '12mo') return { from: plusMonths(month, -11), to: plusDays(plusMonths(month, 1), -1) };
  return range === 'year' ? { from: `${today.slice(0, 4)}-01-01`, to: `${today.slice(0, 4)}-12-31` } : null;
}

/**
 * Returns the range of the same length before or after another one, or `null` if there is none: whole months are
 * followed by whole months, and nothing follows a range that is not over.
 */
export function neighborOf(range: View['range'], direction: -1 | 1, today: string): View['range'] | null {
  const dates = datesOf(range, today);
  if (dates === null || (direction === 1 && dates.to >= today)) return null;
  const { from, to } = dates;
  const end = plusDays(to, 1);
  const months = from.endsWith('-01') && end.endsWith('-01') ? monthsBetween(from, end) : 0;
  const days = (Date.parse(end) - Date.parse(from)) / DAY;
  const moved = (date: string) =>
    months > 0 ? plusMonths(date, direction * months) : plusDays(date, direction * days);
  const next = { from: moved(from), to: plusDays(moved(end), -1) };
  const name = NAMED.find((each) => {
    const known = datesOf(each, today)!;
    return known.from === next.from && known.to === next.to;
  });
  return name ?? next;
}

function plusDays(date: string, days: number): string {
  return new Date(Date.parse(date) + days * DAY).toISOString().slice(0, 10);
}

/** Returns the first day of a month that many months later. */
function plusMonths(first: string, months: number): string {
  const date = new Date(first);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.toISOString().slice(0, 10);
}

function monthsBetween(from: string, to: string): number {
  const months = (date: string) => Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7));
  return months(to) - months(from);
}
