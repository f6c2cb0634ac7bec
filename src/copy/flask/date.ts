/** What lies beyond is no date of a request, and more than some engines can hold. */
const LAST_DATE = Date.UTC(2100, 0);
/** In seconds it is the year 5138, in milliseconds 1973. */
const LARGEST_SECONDS = 1e11;

/**
 * The date of a row in ms since 1970; 0 for what is none. Flask-Track-Usage stores UTC without saying so, as text, as a
 * date of the engine's or, in its first releases, as seconds.
 */
export function dateOf(value: unknown): number {
  const ms = msOf(value);
  return ms >= 0 && ms < LAST_DATE ? Math.floor(ms) : 0;
}

function msOf(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (value instanceof Date) return value.getTime();
  const number = Number(value);
  if (!Number.isNaN(number)) return number < LARGEST_SECONDS ? number * 1000 : number;
  const iso = String(value).trim().replace(' ', 'T');
  const [, zone] = /:\d\d[\d.]*(Z|[+-]\d\d(?::?\d\d)?)$/i.exec(iso) ?? [];
  // PostgreSQL shortens a zone to its hours.
  return Date.parse(zone === undefined ? `${iso}Z` : zone.length === 3 ? `${iso}:00` : iso);
}
