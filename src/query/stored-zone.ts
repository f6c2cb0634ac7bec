import { TrackUsageError } from '../errors.ts';
import { changing } from '../storage/checks.ts';
import { type Calendar, calendar, targetOf } from '../summaries/periods.ts';
import type { Storage } from './storage.ts';

/**
 * Returns the calendar of a site, in its stored time zone. Throws if the site has no data, or its time zone is being
 * changed.
 */
export async function storedZone(storage: Storage, site: string): Promise<Calendar> {
  const timeZone = await storedTimeZone(storage, site);
  const target = targetOf(timeZone);
  if (target !== undefined) throw changing(site, storage.label, target);
  return calendar(timeZone);
}

/** Returns the stored time zone of a site, as text for `calendar`. Throws if the site has no data. */
export async function storedTimeZone(storage: Storage, site: string): Promise<string> {
  const timeZone = await storage.reader.timeZone(site);
  if (timeZone === undefined) throw new TrackUsageError('SITE_EMPTY', { value: storage.label, site });
  return timeZone;
}
