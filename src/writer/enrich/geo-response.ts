import { fitForEngines } from '../../text/text.ts';
import { countryCode, type GeoLocation, isObject } from './geo.ts';

/** Paths of the country's ISO 3166 code in the responses of known services. */
export const COUNTRY_PATHS = [
  'country_code',
  'countryCode',
  'country_code2',
  'country_iso',
  'country.iso_code',
  'country.code',
  'location.country_code',
  'location.country.code',
  'country',
] as const;

/** Maximum size of a record's `geo` as JSON, in UTF-16 units. The rest is omitted. */
export const MAX_GEO_LENGTH = 2_048;

/**
 * Parses the response of a geolocation service. Returns the country at the first path that has a code, and
 * the rest as `geo`. Throws if the response is not a JSON object or has no code at any path. The error's
 * message is a reason to show.
 */
export function locationInResponse(body: string, paths: readonly string[]): GeoLocation {
  const answer = parsed(body);
  if (!isObject(answer) || Array.isArray(answer)) throw new Error('its response is not a JSON object');
  for (const path of paths) {
    const names = path.split('.');
    const last = names.pop()!;
    const holder = names.reduce<unknown>(entryOf, answer);
    const country = countryCode(entryOf(holder, last));
    if (country === null) continue;
    delete (holder as Record<string, unknown>)[last];
    return { country, geo: limitSize(answer) };
  }
  throw new Error(`its response has no country code at ${paths.join(', ')}`);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The original error would quote the response.
    throw new Error('its response is not JSON');
  }
}

function entryOf(holder: unknown, name: string): unknown {
  return isObject(holder) && Object.hasOwn(holder, name) ? holder[name] : undefined;
}

/** Returns the entries that have a value, in their order, up to the size limit. */
function limitSize(answer: Record<string, unknown>): GeoLocation['geo'] {
  let room = MAX_GEO_LENGTH - '{}'.length;
  const entries = Object.entries(answer).filter(([name, value]) => {
    if (value === null || value === '') return false;
    const size = JSON.stringify({ [name]: value }).length - '{}'.length + ','.length;
    if (size > room) return false;
    room -= size;
    return true;
  });
  return entries.length === 0 ? null : JSON.parse(fitForEngines(JSON.stringify(Object.fromEntries(entries))));
}
