import { TrackUsageError } from '../../errors.ts';
import type { WriterContext } from '../contract.ts';

/** A row that is there, or is added: of several who add it at the same moment one does. */
export async function findOrAdd<Row>(
  find: () => Promise<Row | undefined>,
  add: () => Promise<unknown>,
): Promise<Row> {
  const found = await find();
  if (found) return found;
  await add();
  return (await find())!;
}

/** What `sites` says of one. */
export interface SiteRow {
  id: number | string;
  time_zone: string;
}

/** The id of a site. Throws where it is kept in another time zone. @param label Of the storage. */
export async function openSite(
  { site, timeZone }: WriterContext,
  label: string,
  find: () => Promise<SiteRow | undefined>,
  add: () => Promise<unknown>,
): Promise<number> {
  const { id, time_zone: found } = await findOrAdd(find, add);
  if (found === timeZone) return Number(id);
  throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: label, found, wanted: timeZone });
}
