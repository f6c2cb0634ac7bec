import { openingOf } from '../sql/ends.ts';
import { PostgresReader } from './reader.ts';
import { isReadable } from './schema.ts';
import type { Session } from './session.ts';
import { PostgresWriter } from './writer.ts';

export const opening = openingOf<Session>({
  writer: PostgresWriter.open,
  isReadable,
  reader: (session) => new PostgresReader(session),
});
