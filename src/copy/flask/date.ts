/** Maximum plausible date of a request. Some engines cannot store later ones. */
const LAST_DATE = Date.UTC(2100, 0);
/** Largest number read as seconds: the year 5138. In milliseconds it is 1973. */
const MAX_SECONDS = 1e11;

/**
 * Returns the date of a row in ms since 1970, or 0 if it is invalid. Flask-Track-Usage stores UTC without an
 * offset: as text, as a date, or, in its first releases, as seconds.
 */
export function dateOf(value: unknown): number {
  const ms = msOf(value);
  return ms >= 0 && ms < LAST_DATE ? Math.floor(ms) : 0;
}

function msOf(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (value instanceof Date) return value.getTime();
  const number = Number(value);
  if (!Number.isNaN(number)) return number < MAX_SECONDS ? number * 1000 : number;
  const iso = String(value).trim().replace(' ', 'T');
  const [, zone] = /:\d\d[\d.]*(Z|[+-]\d\d(?::?\d\d)?)$/i.exec(iso) ?? [];
  // PostgreSQL shortens an offset to its hours.
  return Date.parse(zone === undefined ? `${iso}Z` : zone.length === 3 ? `${iso}:00` : iso);
}
