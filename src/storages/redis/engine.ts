import type { Engine, EngineSession } from '../../storage/opening.ts';
import type { Server } from './client.ts';
import { Keys, SCHEMA_VERSION } from './keys.ts';
import type { RedisLocation } from './options.ts';
import { RedisReader } from './reader.ts';
import { setUp, versionOf } from './set-up.ts';
import { RedisWriter } from './writer.ts';

/** A connection and the keys that it is used for. */
export class Session implements EngineSession {
  readonly label: string;
  readonly server: Server;
  readonly location: RedisLocation;
  readonly keys: Keys;

  constructor(server: Server, place: RedisLocation) {
    this.label = place.label;
    this.server = server;
    this.location = place;
    this.keys = new Keys(place.prefix);
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

export const engine: Engine<Session> = {
  schemaVersion: SCHEMA_VERSION,
  versionOf: ({ server, keys, location: place }) => versionOf(server, keys, place),
  async writer({ server, keys, location: place }, context) {
    await setUp(server, keys, place, context);
    return new RedisWriter(server, keys, place, context);
  },
  reader: ({ server, keys }) => new RedisReader(server, keys),
};
