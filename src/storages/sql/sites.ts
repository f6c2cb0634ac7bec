import { checkTimeZone } from '../../storage/checks.ts';
import type { WriterContext } from '../../storage/contract.ts';

/**
 * Returns the row, and adds it if it is missing. If several processes add it at the same time, one succeeds
 * and the others find it.
 */
export async function findOrAdd<Row>(
  find: () => Promise<Row | undefined>,
  add: () => Promise<unknown>,
): Promise<Row> {
  const found = await find();
  if (found) return found;
  await add();
  return (await find())!;
}

/** Row of a site in `sites`. */
export interface SiteRow {
  id: number | string;
  time_zone: string;
}

/**
 * Returns the ID of a site. Throws if it is stored with another time zone.
 * @param label Label of the storage.
 */
export async function openSite(
  context: WriterContext,
  label: string,
  find: () => Promise<SiteRow | undefined>,
  add: () => Promise<unknown>,
): Promise<number> {
  const { id, time_zone: found } = await findOrAdd(find, add);
  checkTimeZone(context, found, label);
  return Number(id);
}
