import { TrackUsageError } from '../errors.ts';
import { type Calendar, calendar } from '../summaries/periods.ts';
import type { Storage } from './storage.ts';

/** Returns the calendar of a site, in its stored time zone. Throws if the site has no data. */
export async function storedZone(storage: Storage, site: string): Promise<Calendar> {
  const timeZone = await storage.reader.timeZone(site);
  if (timeZone === undefined) throw new TrackUsageError('SITE_EMPTY', { value: storage.label, site });
  return calendar(timeZone);
}
