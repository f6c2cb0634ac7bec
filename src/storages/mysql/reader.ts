import { RECORD_COLUMNS } from '../../storage/record-row.ts';
import { ServerReader } from '../sql/server-reader.ts';
import { dialectOf, HINT, ms } from './dialect.ts';
import type { Session } from './session.ts';
import { recordsOf } from './views.ts';

export class MysqlReader extends ServerReader {
  readonly #table: Session['table'];

  constructor(session: Session) {
    super(session, dialectOf(session));
    this.#table = session.table;
  }

  protected selectRecords(some: string): string {
    const columns = RECORD_COLUMNS.map((column) => `\`${column}\``).join(', ');
    return `SELECT ${HINT} ${ms('date')} AS ms, ${columns}, journal, ordinal
      FROM (${recordsOf(this.#table, `(${some})`)}) records`;
  }
}
