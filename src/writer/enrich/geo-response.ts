import { fitForEngines } from '../../text/text.ts';
import { countryCode, isObject, type Place } from './geo.ts';

/** Where the services that are known have the country's ISO 3166 code in their answers. */
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

/** The longest `geo` of a record as JSON, in UTF-16 units. What does not fit is left out. */
export const LONGEST_GEO = 2_048;

/**
 * The place in the answer of a geography service: the country at the first of the paths that has a code, and the rest
 * as `geo`. Throws, with a reason to be shown, for what is no JSON object and where no path has a code.
 */
export function placeInAnswer(body: string, paths: readonly string[]): Place {
  const answer = parsed(body);
  if (!isObject(answer) || Array.isArray(answer)) throw new Error('its answer is no JSON object');
  for (const path of paths) {
    const names = path.split('.');
    const last = names.pop()!;
    const holder = names.reduce<unknown>(entryOf, answer);
    const country = countryCode(entryOf(holder, last));
    if (country === null) continue;
    delete (holder as Record<string, unknown>)[last];
    return { country, geo: whatFits(answer) };
  }
  throw new Error(`its answer has no country code at ${paths.join(', ')}`);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The error would quote the answer.
    throw new Error('its answer is no JSON');
  }
}

function entryOf(holder: unknown, name: string): unknown {
  return isObject(holder) && Object.hasOwn(holder, name) ? holder[name] : undefined;
}

/** The entries that are known, in their order, as long as there is room. */
function whatFits(answer: Record<string, unknown>): Place['geo'] {
  let room = LONGEST_GEO - '{}'.length;
  const entries = Object.entries(answer).filter(([name, value]) => {
    if (value === null || value === '') return false;
    const size = JSON.stringify({ [name]: value }).length - '{}'.length + ','.length;
    if (size > room) return false;
    room -= size;
    return true;
  });
  return entries.length === 0 ? null : JSON.parse(fitForEngines(JSON.stringify(Object.fromEntries(entries))));
}
