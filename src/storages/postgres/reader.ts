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
import { timestamp } from './arrays.ts';
import { dialectOf, FIRST, LAST, literal, ms } from './dialect.ts';
import { recordsOf } from './schema.ts';
import type { Session } from './session.ts';

const NUMBERS = ['ms', 'status', 'content_length', 'duration'] as const;

export class PostgresReader extends SqlReader implements StorageReader {
  readonly #session: Session;

  constructor(session: Session) {
    super(dialectOf(session));
    this.#session = session;
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const rows = await this.#records(NEWEST, 'date BETWEEN $2::timestamptz AND $3::timestamptz', [
      site,
      ...range(from, to),
      limit === 0 ? null : limit,
      offset,
    ]);
    return rows.map(recordOf);
  }

  async scan({ site, after, limit }: ScanRequest): Promise<Scanned> {
    const [date, journal, ordinal] = after === undefined ? [FIRST, -1, 0] : parseCursor(after);
    const rows = await this.#records(
      'date, journal, ordinal',
      '(date, journal, ordinal) > ($2::timestamptz, $3::int4, $6::int4)',
      [site, timestamp(date), journal, limit, 0, ordinal],
    );
    return { records: rows, next: rows.length < limit ? undefined : cursorOf(rows.at(-1)!) };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? '' : `AND ${isBefore(after)}`;
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const rows = rowsOf(
      await this.#session.limited<OrderedRow>(
        this.#selectRecords(
          `SELECT * FROM @.records r WHERE ${where} ${before}
           ORDER BY ${NEWEST} LIMIT ${limit}`,
          NEWEST,
        ),
      ),
    );
    return { records: rows.map(recordOf), next: rows.length < limit ? undefined : cursorOf(rows.at(-1)!) };
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** Returns records of the site `$1`: at most `$4`, after skipping `$5`. */
  async #records(order: string, where: string, values: unknown[]): Promise<OrderedRow[]> {
    const some = `
      SELECT * FROM @.records WHERE site = (SELECT id FROM @.sites WHERE name = $1) AND ${where}
      ORDER BY ${order} LIMIT $4::int8 OFFSET $5::int8`;
    return rowsOf(await this.#session.query<OrderedRow>(this.#selectRecords(some, order), values));
  }

  /**
   * Selects records, with their texts.
   * @param some Selects rows of the table.
   */
  #selectRecords(some: string, order: string): string {
    const columns = RECORD_COLUMNS.map((column) => COLUMNS[column] ?? column);
    return `SELECT ${ms('date')} AS ms, ${columns.join(', ')}, journal, ordinal
      FROM (${recordsOf('@', `(${some})`)}) records ORDER BY ${order}`.replaceAll('@', this.#session.schema);
  }
}

type OrderedRow = RecordRow & { journal: number; ordinal: number };

const INT4 = { from: 0, to: 2 ** 31 - 1 };
const NEWEST = 'date DESC, journal DESC, ordinal DESC';

function rowsOf(rows: OrderedRow[]): OrderedRow[] {
  for (const row of rows) for (const column of NUMBERS) row[column] = Number(row[column]);
  return rows;
}

/**
 * Returns a condition for the next page.
 * @param after Position of the last record of the previous page: see `cursorOf`.
 */
function isBefore(after: string): string {
  const [date, journal, ordinal] = parseCursor(after);
  return `(r.date, r.journal, r.ordinal) < (${literal(date)}, ${journal}, ${ordinal})`;
}

function parseCursor(after: string): [date: number, journal: number, ordinal: number] {
  return cursorNumbers(after, { from: FIRST, to: LAST }, INT4, INT4) as [number, number, number];
}

function cursorOf({ ms, journal, ordinal }: OrderedRow): string {
  return `${ms} ${journal} ${ordinal}`;
}

/** Expressions of the columns that differ from the table's. */
const COLUMNS: Partial<Record<(typeof RECORD_COLUMNS)[number], string>> = {
  authorization: '"authorization"::int4',
  bot: 'bot::int4',
  // Independent of the JSON parser of a user's pool.
  extra: 'extra::text',
};

function range(from: number, to: number): Buffer[] {
  return [Math.ceil(Math.max(from, FIRST)), Math.floor(Math.min(to, LAST))].map(timestamp);
}
