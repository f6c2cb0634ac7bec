import type { Engine } from '../../storage/opening.ts';
import { MysqlReader } from './reader.ts';
import { versionOf } from './schema.ts';
import type { Session } from './session.ts';
import { SCHEMA_VERSION } from './tables.ts';
import { MysqlWriter } from './writer.ts';

export const engine: Engine<Session> = {
  schemaVersion: SCHEMA_VERSION,
  versionOf: async (session) => (await versionOf(session)) || undefined,
  writer: MysqlWriter.open,
  reader: (session) => new MysqlReader(session),
};
