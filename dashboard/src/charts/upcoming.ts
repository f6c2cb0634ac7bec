import type { SeriesResult } from '../api/types.ts';
import { isNamed, type View } from '../state/view.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Ranges that end with the current hour, not with a day. */
const ENDS_NOW = ['1h', '24h', 'all'];

/** Returns the starts of the buckets after the last one, until the end of the range. */
export function upcomingOf(
  { buckets, period, timeZone }: Pick<SeriesResult, 'period' | 'timeZone'> & { buckets: { date: string }[] },
  range: View['range'],
): string[] {
  const last = buckets.at(-1)?.date;
  if (last === undefined) return [];
  const end = lastDayOf(range, last.slice(0, 10));
  const starts: string[] = [];
  for (let at = nextOf(last, period, timeZone); at.slice(0, 10) <= end; at = nextOf(at, period, timeZone)) {
    starts.push(at);
  }
  return starts;
}

/** Returns the last day that a chart of a range shows, or an empty text if it ends with the last bucket. */
function lastDayOf(range: View['range'], day: string): string {
  if (!isNamed(range)) return range.to;
  if (ENDS_NOW.includes(range)) return '';
  if (range === 'month' || range === '12mo') return `${day.slice(0, 7)}-31`;
  return range === 'year' ? `${day.slice(0, 4)}-12-31` : day;
}

/** Returns the start of the next bucket in the time zone, without its offset, except for an hour. */
function nextOf(date: string, period: SeriesResult['period'], timeZone: string): string {
  if (period === 'hour') return localOf(Date.parse(date) + HOUR, timeZone);
  const day = new Date(`${date.slice(0, 10)}T00:00:00Z`);
  const next = period === 'day' ? new Date(day.getTime() + DAY) : new Date(day);
  if (period === 'month') next.setUTCMonth(day.getUTCMonth() + 1, 1);
  return `${next.toISOString().slice(0, 10)}T00:00:00`;
}

/** Formats an instant in a time zone, with its offset: `2026-11-25T14:00:00+01:00`. */
function localOf(instant: number, timeZone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const wall = format.format(instant).replace(' ', 'T');
  const minutes = Math.round((Date.parse(`${wall}Z`) - instant) / 60_000);
  const part = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, '0');
  return `${wall}${minutes < 0 ? '-' : '+'}${part(minutes / 60)}:${part(minutes % 60)}`;
}
