import type { Period } from '../summaries/periods.ts';

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/** Formats an integer: `1,234,567`. */
export function whole(value: number): string {
  return WHOLE.format(value);
}

/** Formats bytes: `1.2 MB`. A kB is 1,000 bytes. */
export function bytes(value: number): string {
  let [scaled, unit] = [value, 0];
  // Values that would be rounded to 1000.0 belong to the next unit.
  while (scaled >= (unit === 0 ? 1000 : 999.95) && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? whole(scaled) : TENTHS.format(scaled)} ${UNITS[unit]}`;
}

/** Formats µs as ms: `1,234.5`. */
export function milliseconds(us: number): string {
  return TENTHS.format(us / 1000);
}

/** Formats the significant part of a bucket's date, `2017-03-01T00:00:00+01:00`. */
export function bucket(period: Period, date: string): string {
  const [day = date, time = ''] = date.split('T');
  if (period === 'month') return day.slice(0, -3);
  // An hour may repeat when the clock goes back; the offset distinguishes both.
  return period === 'day' ? day : `${day} ${time.slice(0, 5)} ${time.slice(-6)}`;
}

/** Formats an instant's date with the offset, without ms: `2017-03-01 12:34:56 +01:00`. */
export function instant(date: string): string {
  const [day = date, time = ''] = date.split('T');
  return `${day} ${time.slice(0, 8)} ${time.slice(-6)}`;
}
