import type { UsageRecord } from '../../record.ts';
import type {
  FoundRecords,
  MatchingRecordsRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  UsageRequest,
} from '../../storage/contract.ts';
import { cursorNumbers } from '../../storage/cursor.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../../storage/record-row.ts';
import { SqlReader } from '../sql/sql-reader.ts';
import { hashOf } from '../sql/texts.ts';
import { dialectOf, FIRST, HINT, LAST, limited, ms, range } from './dialect.ts';
import { binary, datetime } from './literals.ts';
import type { Row, Session } from './session.ts';
import { recordsOf } from './views.ts';

/** LIMIT value that means no limit in MySQL. */
const ALL = '18446744073709551615';

const NUMBERS = ['ms', 'status', 'content_length', 'duration', 'authorization', 'bot'] as const;

export class MysqlReader extends SqlReader implements StorageReader {
  readonly #session: Session;

  constructor(session: Session) {
    super(dialectOf(session));
    this.#session = session;
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const rows = await this.#records(
      site,
      `date BETWEEN ${range(from, to)}`,
      NEWEST,
      `${limitOf(limit)} OFFSET ${offset}`,
    );
    return rows.map(recordOf);
  }

  async scan({ site, after, limit }: ScanRequest): Promise<Scanned> {
    const [date, journal, ordinal] = after === undefined ? [FIRST, -1, 0] : parseCursor(after);
    // A single comparison of three columns would not use the index.
    const rows = await this.#records(
      site,
      `date >= ${datetime(date)} AND (date > ${datetime(date)}
         OR journal > ${journal} OR (journal = ${journal} AND ordinal > ${ordinal}))`,
      'date, journal, ordinal',
      String(limit),
    );
    return { records: rows, next: rows.length < limit ? undefined : cursorOf(rows.at(-1)!) };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? '' : `AND ${isBefore(after)}`;
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const some = `SELECT * FROM ${this.#session.table('requests')} r
      WHERE ${where} ${before} ORDER BY ${NEWEST} LIMIT ${limit}`;
    const rows = (await this.#session.query(limited(this.#selectRecords(some, NEWEST)))).map(orderedRow);
    return { records: rows.map(recordOf), next: rows.length < limit ? undefined : cursorOf(rows.at(-1)!) };
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #site(name: string): string {
    return `(SELECT id FROM ${this.#session.table('sites')} WHERE hash = ${binary(hashOf(name))})`;
  }

  async #records(site: string, where: string, order: string, limit: string): Promise<OrderedRow[]> {
    const some = `SELECT * FROM ${this.#session.table('requests')}
      WHERE site = ${this.#site(site)} AND ${where} ORDER BY ${order} LIMIT ${limit}`;
    return (await this.#session.query(this.#selectRecords(some, order))).map(orderedRow);
  }

  /**
   * Selects records, with their texts.
   * @param some Selects rows of the table.
   */
  #selectRecords(some: string, order: string): string {
    const columns = RECORD_COLUMNS.map((column) => `\`${column}\``).join(', ');
    return `SELECT ${HINT} ${ms('date')} AS ms, ${columns}, journal, ordinal
       FROM (${recordsOf(this.#session.table, `(${some})`)}) records ORDER BY ${order}`;
  }
}

const INT = { from: 0, to: 2 ** 31 - 1 };
const NEWEST = 'date DESC, journal DESC, ordinal DESC';

type OrderedRow = RecordRow & { journal: string; ordinal: string };

function orderedRow(row: Row): OrderedRow {
  const numbers = Object.fromEntries(NUMBERS.map((column) => [column, Number(row[column])]));
  return { ...row, ...numbers } as unknown as OrderedRow;
}

function cursorOf({ ms, journal, ordinal }: OrderedRow): string {
  return `${ms} ${journal} ${ordinal}`;
}

/**
 * Returns a condition for the next page. A single comparison of three columns would not use the index.
 * @param after Position of the last record of the previous page: see `cursorOf`.
 */
function isBefore(after: string): string {
  const [date, journal, ordinal] = parseCursor(after);
  return `r.date <= ${datetime(date)} AND (r.date < ${datetime(date)}
    OR r.journal < ${journal} OR (r.journal = ${journal} AND r.ordinal < ${ordinal}))`;
}

function parseCursor(after: string): [date: number, journal: number, ordinal: number] {
  return cursorNumbers(after, { from: FIRST, to: LAST }, INT, INT) as [number, number, number];
}

function limitOf(limit: number): string {
  return limit === 0 ? ALL : String(limit);
}
