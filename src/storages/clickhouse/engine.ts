import type { Engine } from '../../storage/opening.ts';
import { ClickhouseReader } from './reader.ts';
import { checkSite, setUp, versionOf } from './schema.ts';
import type { Session } from './session.ts';
import { SCHEMA_VERSION } from './tables.ts';
import { ClickhouseWriter } from './writer.ts';

export const engine: Engine<Session> = {
  schemaVersion: SCHEMA_VERSION,
  async versionOf(session) {
    const version = await versionOf(session.statements, await session.tables(), session.location);
    return version || undefined;
  },
  async writer(session, context) {
    const { statements, location, close } = session;
    const tables = await session.tables();
    const site = {
      setUp: () => setUp(statements, tables, location, context),
      check: () => checkSite(statements, tables, location, context),
    };
    return new ClickhouseWriter(statements, tables, context, await site.setUp(), site, close);
  },
  async reader(session) {
    return new ClickhouseReader(session.statements, await session.tables(), session.close);
  },
};
