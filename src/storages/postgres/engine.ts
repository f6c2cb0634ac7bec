import type { Engine } from '../../storage/opening.ts';
import { PostgresReader } from './reader.ts';
import { SCHEMA_VERSION, versionOf } from './schema.ts';
import type { Session } from './session.ts';
import { PostgresWriter } from './writer.ts';

export const engine: Engine<Session> = {
  schemaVersion: SCHEMA_VERSION,
  versionOf: async (session) => (await versionOf(session)) || undefined,
  writer: PostgresWriter.open,
  reader: (session) => new PostgresReader(session),
};
