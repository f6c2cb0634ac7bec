import type { UsageRecord } from '../../record.ts';
import type { Scanned, ScanRequest, StorageReader, SumRow, SumsRequest, UsageRequest } from '../contract.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../record-row.ts';
import { hashOf } from '../sql/texts.ts';
import { sumRowOf } from '../sum-row.ts';
import { binary, datetime, text } from './literals.ts';
import type { Row, Session } from './session.ts';
import { TABLES } from './tables.ts';
import { recordsOf } from './views.ts';

/** What both calendars hold: the years 1 to 9999. In ms since 1970. */
const FIRST = -62_135_596_800_000;
const LAST = 253_402_300_799_999;
/** MySQL's own word for all. */
const ALL = '18446744073709551615';

/** ms since 1970. */
const ms = (column: string) => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) DIV 1000`;

const NUMBERS = ['ms', 'status', 'content_length', 'duration', 'authorization', 'bot'] as const;

export class MysqlReader implements StorageReader {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async timeZone(site: string): Promise<string | undefined> {
    const { table } = this.#session;
    const [row] = await this.#session.query(
      `SELECT time_zone FROM ${table('sites')} WHERE hash = ${binary(hashOf(site))}`,
    );
    return row?.time_zone ?? undefined;
  }

  async summaries(site: string): Promise<string[]> {
    const { table } = this.#session;
    const rows = await this.#session.query(
      `SELECT summary FROM ${table('series')} WHERE site = ${this.#site(site)} ORDER BY summary`,
    );
    return rows.map(({ summary }) => summary!);
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const { table } = this.#session;
    const series = `(
      SELECT id FROM ${table('series')} WHERE site = ${this.#site(site)} AND summary = ${text(summary)}
    )`;
    const keys: string[] = [];
    if (target === null) keys.push('AND t.key = 0');
    else if (target !== undefined) {
      keys.push(`AND t.key = (SELECT id FROM ${table('strings')} WHERE hash = ${binary(hashOf(target))})`);
    }
    const rows = await this.#session.query(
      `SELECT ${ms('t.bucket')} AS bucket, strings.text AS \`key\`, t.hits, t.transfer, t.errors, t.duration
       FROM ${table(TABLES[period])} t LEFT JOIN ${table('strings')} strings ON strings.id = t.key
       WHERE t.series = ${series} AND t.bucket BETWEEN ${range(from, to)} ${keys.join(' ')}
       ORDER BY t.bucket DESC, t.hits DESC, t.key = 0, CAST(strings.text AS BINARY)
       LIMIT ${limitOf(limit)} OFFSET ${offset}`,
    );
    return rows.map((row) => sumRowOf(Number(row.bucket), row.key, row));
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const rows = await this.#records(
      site,
      `date BETWEEN ${range(from, to)}`,
      'date DESC, journal DESC, ordinal DESC',
      `${limitOf(limit)} OFFSET ${offset}`,
    );
    return rows.map(recordOf);
  }

  async scan({ site, after, limit }: ScanRequest): Promise<Scanned> {
    const [date = FIRST, journal = -1, ordinal = 0] = after?.split(' ').map(Number) ?? [];
    // As one comparison of three columns no index would be used.
    const rows = await this.#records(
      site,
      `date >= ${datetime(date)} AND (date > ${datetime(date)}
         OR journal > ${journal} OR (journal = ${journal} AND ordinal > ${ordinal}))`,
      'date, journal, ordinal',
      String(limit),
    );
    return { records: rows, next: rows.length < limit ? undefined : placeOf(rows.at(-1)!) };
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #site(name: string): string {
    return `(SELECT id FROM ${this.#session.table('sites')} WHERE hash = ${binary(hashOf(name))})`;
  }

  async #records(site: string, where: string, order: string, limit: string): Promise<PlacedRow[]> {
    const { table } = this.#session;
    const some = `(
      SELECT * FROM ${table('requests')} WHERE site = ${this.#site(site)} AND ${where}
      ORDER BY ${order} LIMIT ${limit}
    )`;
    const rows = await this.#session.query(
      `SELECT ${ms('date')} AS ms, ${RECORD_COLUMNS.map((column) => `\`${column}\``).join(', ')}, journal, ordinal
       FROM (${recordsOf(table, some)}) records ORDER BY ${order}`,
    );
    return rows.map(placedRow);
  }
}

type PlacedRow = RecordRow & { journal: string; ordinal: string };

function placedRow(row: Row): PlacedRow {
  const numbers = Object.fromEntries(NUMBERS.map((column) => [column, Number(row[column])]));
  return { ...row, ...numbers } as unknown as PlacedRow;
}

function placeOf({ ms, journal, ordinal }: PlacedRow): string {
  return `${ms} ${journal} ${ordinal}`;
}

function range(from: number, to: number): string {
  return `${datetime(Math.ceil(Math.max(from, FIRST)))} AND ${datetime(Math.min(to, LAST))}`;
}

function limitOf(limit: number): string {
  return limit === 0 ? ALL : String(limit);
}
