import type { UsageRecord } from '../../record.ts';
import type {
  FoundRecords,
  MatchingRecordsRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { cursorNumbers } from '../../storage/cursor.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../../storage/record-row.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import { SqlReader } from '../sql/sql-reader.ts';
import { hashOf } from '../sql/texts.ts';
import { timestamp } from './arrays.ts';
import { dialectOf, FIRST, LAST, literal, ms } from './dialect.ts';
import { recordsOf, TABLES } from './schema.ts';
import type { Session } from './session.ts';

const NUMBERS = ['ms', 'status', 'content_length', 'duration'] as const;

export class PostgresReader extends SqlReader implements StorageReader {
  readonly #session: Session;

  constructor(session: Session) {
    super(dialectOf(session));
    this.#session = session;
  }

  async timeZone(site: string): Promise<string | undefined> {
    const [row] = await this.#query<{ time_zone: string }>('SELECT time_zone FROM @.sites WHERE name = $1', [
      site,
    ]);
    return row?.time_zone;
  }

  async summaries(site: string): Promise<string[]> {
    const rows = await this.#query<{ summary: string }>(
      `SELECT series.summary FROM @.series JOIN @.sites ON sites.id = series.site
       WHERE sites.name = $1 ORDER BY series.summary`,
      [site],
    );
    return rows.map(({ summary }) => summary);
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const ofKey = {
      all: '',
      none: 'AND t.key = 0',
      one: 'AND t.key = (SELECT id FROM @.strings WHERE hash = $7::uuid)',
    }[target === undefined ? 'all' : target === null ? 'none' : 'one'];
    const rows = await this.#query<Record<keyof SumRow, string | null>>(
      `SELECT ${ms('t.bucket')} AS bucket, strings.text AS key, t.hits, t.transfer, t.errors, t.duration
       FROM @.${TABLES[period]} t LEFT JOIN @.strings ON strings.id = t.key
       WHERE t.series = (SELECT series.id FROM @.series JOIN @.sites ON sites.id = series.site
                         WHERE sites.name = $1 AND series.summary = $2)
         AND t.bucket BETWEEN $3::timestamptz AND $4::timestamptz ${ofKey}
       ORDER BY t.bucket DESC, t.hits DESC, strings.text NULLS LAST
       LIMIT $5::int8 OFFSET $6::int8`,
      [
        site,
        summary,
        ...range(from, to),
        limit === 0 ? null : limit,
        offset,
        ...(typeof target === 'string' ? [hashOf(target)] : []),
      ],
    );
    return rows.map((row) => sumRowOf(Number(row.bucket), row.key, row));
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
    const [date, journal, ordinal] = after === undefined ? [FIRST, -1, 0] : placeAt(after);
    const rows = await this.#records(
      'date, journal, ordinal',
      '(date, journal, ordinal) > ($2::timestamptz, $3::int4, $6::int4)',
      [site, timestamp(date), journal, limit, 0, ordinal],
    );
    return { records: rows, next: rows.length < limit ? undefined : placeOf(rows.at(-1)!) };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? '' : `AND ${isBefore(after)}`;
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const rows = rowsOf(
      await this.#session.limited<PlacedRow>(
        this.#selectRecords(
          `SELECT * FROM @.records r WHERE ${where} ${before}
           ORDER BY ${NEWEST} LIMIT ${limit}`,
          NEWEST,
        ),
      ),
    );
    return { records: rows.map(recordOf), next: rows.length < limit ? undefined : placeOf(rows.at(-1)!) };
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** Returns records of the site `$1`: at most `$4`, after skipping `$5`. */
  async #records(order: string, where: string, values: unknown[]): Promise<PlacedRow[]> {
    const some = `
      SELECT * FROM @.records WHERE site = (SELECT id FROM @.sites WHERE name = $1) AND ${where}
      ORDER BY ${order} LIMIT $4::int8 OFFSET $5::int8`;
    return rowsOf(await this.#session.query<PlacedRow>(this.#selectRecords(some, order), values));
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

  #query<Row>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#session.query<Row>(text.replaceAll('@', this.#session.schema), values);
  }
}

type PlacedRow = RecordRow & { journal: number; ordinal: number };

const INT4 = { from: 0, to: 2 ** 31 - 1 };
const NEWEST = 'date DESC, journal DESC, ordinal DESC';

function rowsOf(rows: PlacedRow[]): PlacedRow[] {
  for (const row of rows) for (const column of NUMBERS) row[column] = Number(row[column]);
  return rows;
}

/**
 * Returns a condition for the next page.
 * @param after Position of the last record of the previous page: see `placeOf`.
 */
function isBefore(after: string): string {
  const [date, journal, ordinal] = placeAt(after);
  return `(r.date, r.journal, r.ordinal) < (${literal(date)}, ${journal}, ${ordinal})`;
}

function placeAt(after: string): [date: number, journal: number, ordinal: number] {
  return cursorNumbers(after, { from: FIRST, to: LAST }, INT4, INT4) as [number, number, number];
}

function placeOf({ ms, journal, ordinal }: PlacedRow): string {
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
