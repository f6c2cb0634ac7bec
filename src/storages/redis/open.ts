import { TrackUsageError } from '../../errors.ts';
import { closeOnFailure } from '../../storage/close-on-failure.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../../storage/contract.ts';
import type { Server } from './client.ts';
import type { RedisLocation } from './index.ts';
import { Keys, SCHEMA_VERSION } from './keys.ts';
import { RedisReader } from './reader.ts';
import { setUp, versionOf } from './set-up.ts';
import { RedisWriter } from './writer.ts';

export async function openWriter(
  server: Server,
  place: RedisLocation,
  context: WriterContext,
): Promise<StorageWriter> {
  return closeOnFailure(
    () => server.close(),
    async () => {
      const keys = new Keys(place.prefix);
      await setUp(server, keys, place, context);
      return new RedisWriter(server, keys, place, context);
    },
  );
}

export async function openReader(server: Server, place: RedisLocation): Promise<StorageReader> {
  return closeOnFailure(
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
