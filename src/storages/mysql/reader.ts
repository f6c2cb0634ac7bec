import type { StorageSize } from '../../storage/contract.ts';
import { RECORD_COLUMNS } from '../../storage/record-row.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { ServerReader } from '../sql/server-reader.ts';
import { sizeOf } from '../sql/size.ts';
import { dialectOf, HINT, limited, ms } from './dialect.ts';
import { text } from './literals.ts';
import type { Session } from './session.ts';
import { TABLE_NAMES, TABLES } from './tables.ts';
import { recordsOf } from './views.ts';

export class MysqlReader extends ServerReader {
  readonly #session: Session;

  constructor(session: Session) {
    super(session, dialectOf(session));
    this.#session = session;
  }

  async size(): Promise<StorageSize> {
    const { location } = this.#session;
    const rows = await this.#session.lease(async (query) => {
      // MySQL may otherwise return numbers that are a day old. MariaDB has no such setting and ignores the comment.
      await query('/*!80000 SET SESSION information_schema_stats_expiry = 0 */');
      return query(`
        SELECT table_name AS name, table_rows AS \`rows\`, data_length AS bytes, index_length AS indexes, data_free AS free
        FROM information_schema.tables WHERE table_schema = ${text(location.database)}
          AND table_name IN (${TABLE_NAMES.map((name) => text(location.prefix + name)).join(', ')})`);
    });
    const named = rows.map((row) => ({ ...row, name: row.name!.slice(location.prefix.length) }));
    const free = rows.reduce((sum, row) => sum + Number(row.free), 0);
    return sizeOf(named, { ...TABLES, records: 'requests' }, free);
  }

  protected inSnapshot<T>(run: (dialect: ServerDialect) => Promise<T>): Promise<T> {
    return this.#session.lease(async (query) => {
      await query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      const result = await run({ ...dialectOf(this.#session), query: (sql) => query(limited(sql)) });
      await query('COMMIT');
      return result;
    });
  }

  protected selectRecords(some: string): string {
    const columns = RECORD_COLUMNS.map((column) => `\`${column}\``).join(', ');
    return `SELECT ${HINT} ${ms('date')} AS ms, ${columns}, journal, ordinal
      FROM (${recordsOf(this.#session.table, `(${some})`)}) records`;
  }
}
