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

  constructor(server: Server, location: RedisLocation) {
    this.label = location.label;
    this.server = server;
    this.location = location;
    this.keys = new Keys(location.prefix);
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

export const engine: Engine<Session> = {
  schemaVersion: SCHEMA_VERSION,
  versionOf: ({ server, keys, location }) => versionOf(server, keys, location),
  async writer({ server, keys, location }, context) {
    await setUp(server, keys, location, context);
    return new RedisWriter(server, keys, location, context);
  },
  reader: ({ server, keys }) => new RedisReader(server, keys),
};
