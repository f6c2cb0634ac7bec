import { RECORD_COLUMNS } from '../../storage/record-row.ts';
import { ServerReader } from '../sql/server-reader.ts';
import { dialectOf, ms } from './dialect.ts';
import { recordsOf } from './schema.ts';
import type { Session } from './session.ts';

/** Expressions of the columns that differ from the table's. */
const COLUMNS: Partial<Record<(typeof RECORD_COLUMNS)[number], string>> = {
  authorization: '"authorization"::int4',
  bot: 'bot::int4',
  // Independent of the JSON parser of a user's pool.
  extra: 'extra::text',
};

export class PostgresReader extends ServerReader {
  readonly #schema: string;

  constructor(session: Session) {
    super(session, dialectOf(session));
    this.#schema = session.schema;
  }

  protected selectRecords(some: string): string {
    const columns = RECORD_COLUMNS.map((column) => COLUMNS[column] ?? column);
    return `SELECT ${ms('date')} AS ms, ${columns.join(', ')}, journal, ordinal
      FROM (${recordsOf(this.#schema, `(${some})`)}) records`;
  }
}
