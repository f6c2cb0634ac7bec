import type { Period } from '../api/types.ts';

/** Formats local times of the site as if they were UTC, so that the browser's time zone has no effect. */
const OPTIONS = {
  day: { day: 'numeric', month: 'short' },
  dayAndYear: { day: 'numeric', month: 'short', year: 'numeric' },
  weekday: { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' },
  month: { month: 'short', year: 'numeric' },
  wholeMonth: { month: 'long', year: 'numeric' },
  hour: { hour: '2-digit', minute: '2-digit' },
  dayAndHour: { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;
const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * Formats a date.
 * @param date ISO text with an offset, as the API returns it.
 */
export function show(date: string, style: keyof typeof OPTIONS): string {
  let format = formats.get(style);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { ...OPTIONS[style], hourCycle: 'h23', timeZone: 'UTC' });
    formats.set(style, format);
  }
  const wall = Date.parse(`${date.slice(0, 19)}Z`);
  return Number.isNaN(wall) ? date : format.format(wall);
}

/** Formats a label below the chart. */
export function showTick(date: string, period: Period, isLong: boolean): string {
  if (period === 'hour')
    return isLong && date.slice(11, 13) === '00' ? show(date, 'day') : show(date, 'hour');
  return show(date, period === 'day' ? 'day' : 'month');
}

/** Formats a bucket for a tooltip or a table. */
export function showBucket(date: string, period: Period): string {
  if (period === 'hour') return show(date, 'dayAndHour');
  return show(date, period === 'day' ? 'weekday' : 'wholeMonth');
}

/** Formats the offset from UTC of a date: `UTC+2`. */
export function offsetText(date: string): string {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(date) ?? ['', '+', '00', '00'];
  return `UTC${sign === '-' ? '−' : '+'}${Number(hours)}${minutes === '00' ? '' : `:${minutes}`}`;
}

/** Formats a range: `27 Oct – 25 Nov 2026`. */
export function showRange({ from, to }: { from: string; to: string }): string {
  const first = from.slice(0, 10);
  const last = to.slice(0, 10);
  if (first === last) return show(to, 'weekday');
  return `${show(from, first.slice(0, 4) === last.slice(0, 4) ? 'day' : 'dayAndYear')} – ${show(to, 'dayAndYear')}`;
}

/**
 * Formats a record's time in the site's zone: `25 Nov 21:04:05`.
 * @param date ISO text with an offset.
 */
export function showInstant(date: string, timeZone: string): { text: string; full: string } {
  const instant = Date.parse(date);
  const format = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-GB', { ...options, hourCycle: 'h23', timeZone }).format(instant);
  return {
    text: format({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    full: `${format({ dateStyle: 'full', timeStyle: 'long' })}`,
  };
}
