import { TrackUsageError } from '../errors.ts';
import { targetOf } from '../summaries/periods.ts';
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
 * Throws `STORAGE_TIME_ZONE` if the site is stored with another time zone than the writer's, and `TIME_ZONE_CHANGING` if
 * it is being changed.
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
  const target = targetOf(found);
  if (target !== undefined) throw changing(site, label, target);
  throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: label, found, wanted: timeZone });
}

/** Creates the error for a site whose time zone is being changed. */
export function changing(site: string, label: string, target: string): TrackUsageError {
  return new TrackUsageError('TIME_ZONE_CHANGING', { site, value: label, wanted: target });
}

/** Time for which a change of the time zone waits for a batch in progress. In ms. */
export const MAX_BATCH = 10_000;

/** Creates the error for a change of the time zone while a batch is in progress. */
export function batchInProgress(site: string, label: string): TrackUsageError {
  return new TrackUsageError('TIME_ZONE_BUSY', {
    site,
    value: label,
    reason: 'a batch of an app is in progress',
  });
}
