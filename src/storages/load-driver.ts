import { TrackUsageError } from '../errors.ts';

/**
 * Loads the package that a storage needs and its user installs. Throws `DRIVER_MISSING` where it cannot be loaded.
 * @param load The import itself: only a literal name tells bundlers and types what it is.
 */
export async function loadDriver<T>(storage: string, driver: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new TrackUsageError('DRIVER_MISSING', { storage, driver }, { cause });
  }
}
