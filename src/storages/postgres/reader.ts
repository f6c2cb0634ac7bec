import type { StorageSize } from '../../storage/contract.ts';
import { RECORD_COLUMNS } from '../../storage/record-row.ts';
import type { Row, ServerDialect } from '../sql/dialect.ts';
import { ServerReader } from '../sql/server-reader.ts';
import { sizeOf } from '../sql/size.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { dialectOf, ms } from './dialect.ts';
import { recordsOf, TABLES } from './schema.ts';
import type { Session } from './session.ts';

/** Number of rows up to which a table is counted. */
const MAX_COUNTED = 100_000;
/** Expressions of the columns that differ from the table's. */
const COLUMNS: Partial<Record<(typeof RECORD_COLUMNS)[number], string>> = {
  authorization: '"authorization"::int4',
  bot: 'bot::int4',
  // Independent of the JSON parser of a user's pool.
  extra: 'extra::text',
};

export class PostgresReader extends ServerReader {
  readonly #session: Session;

  constructor(session: Session) {
    super(session, dialectOf(session));
    this.#session = session;
  }

  async size(): Promise<StorageSize> {
    const { schema } = this.#session;
    const rows = await this.#session.limited<Row>(
      TABLES.map((name) => {
        const table = `'${schema}.${name}'::regclass`;
        // The server has no estimate before the first VACUUM or ANALYZE of a table, which then is small.
        const counted = `(SELECT count(*) FROM (SELECT FROM ${schema}.${name} LIMIT ${MAX_COUNTED}) few)`;
        return `SELECT '${name}' AS name, pg_table_size(${table}) AS bytes, pg_indexes_size(${table}) AS indexes,
          CASE WHEN reltuples < 0 THEN ${counted} ELSE reltuples END::int8 AS rows
          FROM pg_class WHERE oid = ${table}`;
      }).join(' UNION ALL '),
    );
    return sizeOf(rows, { ...PERIOD_NAMES, records: 'records' }, null);
  }

  protected inSnapshot<T>(run: (dialect: ServerDialect) => Promise<T>): Promise<T> {
    return this.#session.transaction('ISOLATION LEVEL REPEATABLE READ READ ONLY', (connection) =>
      run(dialectOf(connection)),
    );
  }

  protected selectRecords(some: string): string {
    const columns = RECORD_COLUMNS.map((column) => COLUMNS[column] ?? column);
    return `SELECT ${ms('date')} AS ms, ${columns.join(', ')}, journal, ordinal
      FROM (${recordsOf(this.#session.schema, `(${some})`)}) records`;
  }
}
