import { createRequire } from 'node:module';

/** CC0-licensed, addresses of both versions, countries only. */
const DEFAULT_DATABASE = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';

/** Whether the optional package is installed. */
export function hasDefaultGeo(): boolean {
  return defaultDatabase() !== undefined;
}

/** The path of the optional package's database, where it is installed. */
export function defaultDatabase(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(DEFAULT_DATABASE);
  } catch {
    return undefined;
  }
}
