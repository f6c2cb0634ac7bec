import { TrackUsageError } from '../../errors.ts';
import { checkTimeZone, checkVersion } from '../../storage/checks.ts';
import type { WriterContext } from '../../storage/contract.ts';
import type { Server } from './client.ts';
import { type Keys, SCHEMA_VERSION } from './keys.ts';
import type { RedisLocation } from './options.ts';

/**
 * Checks the existing keys and creates the missing ones. Throws if the site is stored with another time zone.
 */
export async function setUp(
  server: Server,
  keys: Keys,
  location: RedisLocation,
  context: WriterContext,
): Promise<void> {
  // If several processes start at the same time, one of them sets it.
  if ((await versionOf(server, keys, location)) === undefined) {
    await server.send(keys.schema, ['SET', keys.schema, String(SCHEMA_VERSION), 'NX']);
    await versionOf(server, keys, location);
  }
  const { site, timeZone } = context;
  await server.send(keys.sites, ['HSETNX', keys.sites, site, timeZone]);
  const found = String(await server.send(keys.sites, ['HGET', keys.sites, site]));
  checkTimeZone(context, found, location.label);
}

/**
 * Returns the schema version, or `undefined` if there is none. Throws for data that is not ours, or newer
 * than this release.
 */
export async function versionOf(
  server: Server,
  keys: Keys,
  { label: value }: RedisLocation,
): Promise<number | undefined> {
  let text: unknown;
  try {
    text = await server.send(keys.schema, ['GET', keys.schema]);
  } catch (cause) {
    if (!/^WRONGTYPE/.test((cause as Error).message)) throw cause;
    throw new TrackUsageError('STORAGE_FOREIGN', { value }, { cause });
  }
  if (text === null) return undefined;
  const found = Number(text);
  if (!Number.isSafeInteger(found) || found < 1) throw new TrackUsageError('STORAGE_FOREIGN', { value });
  checkVersion(found, SCHEMA_VERSION, value);
  return found;
}
