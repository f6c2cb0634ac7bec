const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const FULL = new Intl.NumberFormat('en');
const BYTES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Formats a number: `12.3K`. */
export function compact(value: number): string {
  return COMPACT.format(value);
}

/** Formats a number: `12,345`. */
export function full(value: number): string {
  return FULL.format(value);
}

/** Formats bytes in SI units: 1 kB is 1,000 bytes. */
export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < BYTES.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? rest : short(rest)} ${BYTES[unit]}`;
}

/**
 * Formats a duration.
 * @param value In µs.
 */
export function duration(value: number): string {
  if (value < 999.5) return `${Math.round(value)} µs`;
  if (value < 999_500) return `${short(value / 1_000)} ms`;
  if (value < 59_950_000) return `${short(value / 1_000_000)} s`;
  if (value < 3_597_000_000) return `${short(value / 60_000_000)} min`;
  return `${compact(value / 3_600_000_000)} h`;
}

/**
 * Formats a percentage.
 * @param value 0 to 1.
 */
export function percent(value: number): string {
  if (value === 0) return '0%';
  if (value < 0.0005) return '<0.1%';
  if (value > 0.9995 && value < 1) return '99.9%';
  return `${short(value * 100)}%`;
}

/** Formats a number with at least two digits and at most one decimal. */
function short(value: number): string {
  return value < 9.95 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}

/** Describes the number of remaining keys. */
export function othersText(count: number): string {
  return `${full(count)} ${count === 1 ? 'other' : 'others'}`;
}
