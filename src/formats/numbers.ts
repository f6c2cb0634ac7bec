import type { Period } from '../summaries/periods.ts';

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const BYTES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;
/** Units of time and their length in µs. */
const TIMES = [
  ['µs', 1],
  ['ms', 1_000],
  ['s', 1_000_000],
  ['min', 60_000_000],
  ['h', 3_600_000_000],
] as const;

/** Formats an integer: `1,234,567`. */
export function integer(value: number): string {
  return WHOLE.format(value);
}

/** Formats a number of things: `1 request`, `1,234 requests`. @param noun Singular, which takes an `s` in the plural. */
export function quantity(value: number, noun: string): string {
  const count = integer(value);
  return `${count} ${noun}${count === '1' ? '' : 's'}`;
}

/** Formats a number for an axis or a small tile: `999`, `12.0K`. All numbers from 1,000 have one decimal. */
export function compact(value: number): string {
  const whole = Math.round(value);
  return whole < 1_000 ? integer(whole) : COMPACT.format(whole);
}

/** Formats bytes: `1.2 MB`. A kB is 1,000 bytes. */
export function bytes(value: number): string {
  let [scaled, unit] = [value, 0];
  // Values that would be rounded to 1000.0 belong to the next unit.
  while (scaled >= (unit === 0 ? 1000 : 999.95) && unit < BYTES.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? integer(scaled) : TENTHS.format(scaled)} ${BYTES[unit]}`;
}

/** Formats a duration in µs: `850 µs`, `1.5 ms`, `2.5 min`. */
export function duration(us: number): string {
  let unit = 0;
  while (unit < TIMES.length - 1 && us >= nextFrom(unit)) unit += 1;
  const [name, length] = TIMES[unit]!;
  return `${unit === 0 ? integer(us) : TENTHS.format(us / length)} ${name}`;
}

/** Returns the number of µs from which a duration is shown in the next unit, with regard to rounding. */
function nextFrom(unit: number): number {
  const step = TIMES[unit]![1] * (unit === 0 ? 1 : 0.1);
  return TIMES[unit + 1]![1] - step / 2;
}

/** Formats a share, from 0 to 1, as a percentage: `12.5%`. Only 0 is shown as 0%, and only 1 as 100%. */
export function percent(share: number): string {
  if (share === 0) return '0%';
  if (share < 0.001) return '<0.1%';
  if (share > 0.999 && share < 1) return '>99.9%';
  return `${share < 1 ? TENTHS.format(share * 100) : integer(share * 100)}%`;
}

/** Formats a difference of shares, from 0 to 1, in percentage points: `0.3 points`. */
export function points(difference: number): string {
  if (difference > 0 && difference < 0.000_5) return '<0.1 points';
  return `${difference === 0 ? '0' : TENTHS.format(difference * 100)} points`;
}

/** Formats the significant part of a bucket's date, `2017-03-01T00:00:00+01:00`. */
export function bucket(period: Period, date: string): string {
  const [day = date, time = ''] = date.split('T');
  if (period === 'month') return day.slice(0, -3);
  return period === 'day' ? day : `${day} ${time.slice(0, 5)}`;
}

/** Formats an instant's date without its offset and ms: `2017-03-01 12:34:56`. */
export function instant(date: string): string {
  return date.slice(0, 19).replace('T', ' ');
}

/** Returns the offset at the end of a date: `+01:00`. */
export function offsetOf(date: string): string {
  return date.slice(-6);
}
