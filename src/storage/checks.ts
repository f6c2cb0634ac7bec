import { TrackUsageError } from '../errors.ts';
import type { WriterContext } from './contract.ts';

/**
 * Throws `STORAGE_NEWER` if a newer release has stored the data.
 * @param found Schema version of the data.
 * @param known Newest schema version that this release supports.
 * @param label Label of the storage.
 */
export function checkVersion(found: number, known: number, label: string): void {
  if (found > known) throw new TrackUsageError('STORAGE_NEWER', { value: label, found, known });
}

/**
 * Throws `STORAGE_NOT_FOUND` if there is no data to read, and `STORAGE_OLDER` or `STORAGE_NEWER` if its schema version
 * cannot be read by this release.
 * @param found Schema version of the data; `undefined` if there is none.
 * @param known Newest schema version that this release supports.
 * @param label Label of the storage.
 */
export function checkReadable(found: number | undefined, known: number, label: string): void {
  if (found === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: label });
  checkVersion(found, known, label);
  if (found < known) throw new TrackUsageError('STORAGE_OLDER', { value: label, found, known });
}

/**
 * Throws `STORAGE_TIME_ZONE` if the site is stored with another time zone than the writer's.
 * @param context Site and time zone of the writer.
 * @param found Stored time zone of the site.
 * @param label Label of the storage.
 */
export function checkTimeZone(
  { site, timeZone }: Pick<WriterContext, 'site' | 'timeZone'>,
  found: string,
  label: string,
): void {
  if (found === timeZone) return;
  throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: label, found, wanted: timeZone });
}
