import { reasonOf, TrackUsageError } from '../errors.ts';

/**
 * Loads the package that a storage needs and its user installs. Throws `DRIVER_MISSING` where it is not installed, and
 * `DRIVER_FAILED` where it cannot be loaded, such as for want of file descriptors.
 * @param load The import itself: only a literal name tells bundlers and types what it is.
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
