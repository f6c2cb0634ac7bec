import { createRequire } from 'node:module';

/** Database under CC0 with IPv4 and IPv6 addresses, countries only. */
const DEFAULT_DATABASE = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';

/** Returns whether the optional package is installed. */
export function hasDefaultGeo(): boolean {
  return defaultDatabase() !== undefined;
}

/** Returns the path of the optional package's database, if it is installed. */
export function defaultDatabase(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(DEFAULT_DATABASE);
  } catch {
    return undefined;
  }
}
