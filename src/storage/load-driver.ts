import { reasonOf, TrackUsageError } from '../errors.ts';

/**
 * Loads the package that a storage needs and its user installs. Throws `DRIVER_MISSING` if it is not
 * installed, and `DRIVER_FAILED` if it cannot be loaded, for example without free file descriptors.
 * @param load Import expression. Bundlers and types need a literal package name.
 */
export async function loadDriver<T>(storage: string, driver: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
      throw new TrackUsageError('DRIVER_MISSING', { storage, driver }, { cause });
    throw new TrackUsageError('DRIVER_FAILED', { storage, driver, reason: reasonOf(cause) }, { cause });
  }
}
