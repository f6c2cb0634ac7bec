import { TrackUsageError } from '../../errors.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../contract.ts';
import { orClose } from '../or-close.ts';
import type { Server } from './client.ts';
import type { RedisPlace } from './index.ts';
import { Keys, SCHEMA_VERSION } from './keys.ts';
import { RedisReader } from './reader.ts';
import { RedisWriter } from './writer.ts';

export async function openWriter(
  server: Server,
  place: RedisPlace,
  context: WriterContext,
): Promise<StorageWriter> {
  return orClose(
    () => server.close(),
    async () => {
      const keys = new Keys(place.prefix);
      // Of several processes that start at the same moment one sets it.
      if ((await versionOf(server, keys, place)) === undefined) {
        await server.send(keys.schema, ['SET', keys.schema, String(SCHEMA_VERSION), 'NX']);
        await versionOf(server, keys, place);
      }
      const { site, timeZone } = context;
      await server.send(keys.sites, ['HSETNX', keys.sites, site, timeZone]);
      const found = String(await server.send(keys.sites, ['HGET', keys.sites, site]));
      if (found !== timeZone) {
        throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: place.label, found, wanted: timeZone });
      }
      return new RedisWriter(server, keys, place, context);
    },
  );
}

export async function openReader(server: Server, place: RedisPlace): Promise<StorageReader> {
  return orClose(
    () => server.close(),
    async () => {
      const keys = new Keys(place.prefix);
      const found = await versionOf(server, keys, place);
      const { label: value } = place;
      if (found === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value });
      if (found < SCHEMA_VERSION) {
        throw new TrackUsageError('STORAGE_OLDER', { value, found, known: SCHEMA_VERSION });
      }
      return new RedisReader(server, keys);
    },
  );
}

/** `undefined` where nothing is. Throws for what is not ours, or newer than this release. */
async function versionOf(
  server: Server,
  keys: Keys,
  { label: value }: RedisPlace,
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
  if (found > SCHEMA_VERSION) {
    throw new TrackUsageError('STORAGE_NEWER', { value, found, known: SCHEMA_VERSION });
  }
  return found;
}
