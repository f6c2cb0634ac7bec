import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { isAbsence } from '../../platform/files.ts';

/** Database under CC0 with IPv4 and IPv6 addresses, countries only. */
const DEFAULT_DATABASE = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';

/** Returns whether the optional package is installed. */
export function hasDefaultGeo(): boolean {
  try {
    return defaultDatabase() !== undefined;
  } catch {
    // It may be installed: the writer thread reports why it cannot be read.
    return true;
  }
}

/**
 * Returns the path of the optional package's database, or `undefined` if it is not installed. Throws if that
 * cannot be determined.
 */
export function defaultDatabase(): string | undefined {
  const { resolve } = createRequire(import.meta.url);
  try {
    return resolve(DEFAULT_DATABASE);
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'MODULE_NOT_FOUND') throw unreadable(DEFAULT_DATABASE, cause);
  }
  // Node reports every error as a missing module, for example if no file descriptor is free.
  for (const directory of resolve.paths(DEFAULT_DATABASE) ?? []) {
    const path = join(directory, DEFAULT_DATABASE);
    try {
      statSync(path);
      return path;
    } catch (cause) {
      if (!isAbsence(cause) && !isForbidden(cause)) throw unreadable(path, cause);
    }
  }
  return undefined;
}

/**
 * Returns whether Node's permission model denies access to the file. An app without that permission runs
 * without the package.
 */
function isForbidden(error: unknown): boolean {
  return (error as { code?: string }).code === 'ERR_ACCESS_DENIED';
}

function unreadable(value: string, cause: unknown): TrackUsageError {
  return new TrackUsageError('GEO_UNREADABLE', { value, reason: reasonOf(cause) }, { cause });
}
