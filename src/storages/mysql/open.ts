import { openingOf } from '../sql/ends.ts';
import { MysqlReader } from './reader.ts';
import { isReadable } from './schema.ts';
import type { Session } from './session.ts';
import { MysqlWriter } from './writer.ts';

export const opening = openingOf<Session>({
  writer: MysqlWriter.open,
  isReadable,
  reader: (session) => new MysqlReader(session),
});
