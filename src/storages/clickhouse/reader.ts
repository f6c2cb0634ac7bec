import type { Position } from '../../journal/position.ts';
import type { UsageRecord } from '../../record.ts';
import type {
  FoundRecords,
  MatchingRecordsRequest,
  PositionRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageSize,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { QueryingReader } from '../../storage/querying-reader.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../../storage/record-row.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import { literal, type Statements } from './client.ts';
import { storedPosition } from './position.ts';
import { LAST_BUCKET, LAST_DATE, Queries } from './queries.ts';
import { recount } from './recount.ts';
import { storedRetention } from './retention.ts';
import { timeZoneOf } from './schema.ts';
import { sizeOf } from './size.ts';
import type { Tables } from './table-names.ts';
import { HAS_HITS, JOURNAL_PERIOD } from './tables.ts';
import { FORGOTTEN } from './writer.ts';

export class ClickhouseReader extends QueryingReader<Queries> implements StorageReader {
  readonly #statements: Statements;
  readonly #tables: Tables;
  readonly #close: () => Promise<void>;

  constructor(statements: Statements, tables: Tables, close: () => Promise<void>) {
    const queries = new Queries(statements, tables);
    super(queries, queries);
    this.#statements = statements;
    this.#tables = tables;
    this.#close = close;
  }

  timeZone(site: string): Promise<string | undefined> {
    return timeZoneOf(this.#statements, this.#tables, site);
  }

  async summaries(site: string): Promise<string[]> {
    const rows = await this.#statements.rows<{ summary: string }>(
      `SELECT summary, sum(s.hits) AS hits FROM ${this.#tables.sums} AS s
       WHERE site = ${literal(site)} AND period != ${literal(JOURNAL_PERIOD)}
       GROUP BY summary HAVING ${HAS_HITS} ORDER BY summary`,
    );
    return rows.map(({ summary }) => summary);
  }

  async retention(site: string): Promise<StoredRetention> {
    const timeZone = await this.timeZone(site);
    return timeZone === undefined ? {} : storedRetention(this.#statements, this.#tables, site, timeZone);
  }

  async position(request: PositionRequest): Promise<Position | undefined> {
    const stored = await storedPosition(this.#statements, this.#tables, request);
    return stored && stored.position < FORGOTTEN ? stored : undefined;
  }

  recount(request: RecountRequest): Promise<Recount> {
    return recount(this.#statements, this.#tables, request, {
      matchingKeys: (matching, condition) => this.filters.matchingKeys(matching, condition),
      scan: (page, condition) => this.scan(page, condition),
    });
  }

  size(): Promise<StorageSize> {
    return sizeOf(this.#statements, this.#tables);
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const ofKey = {
      all: '',
      none: 'AND absent = 1',
      one: `AND absent = 0 AND s.key = ${literal(target ?? '')}`,
    }[target === undefined ? 'all' : target === null ? 'none' : 'one'];
    // Rows of unmerged parts are not yet summed by every server, so the query sums them.
    const rows = await this.#statements.rows<Record<string, string | number> & { key: string | null }>(`
      SELECT toUnixTimestamp(bucket) AS start, if(absent = 1, NULL, s.key) AS key, sum(s.hits) AS hits,
        sum(s.transfer) AS transfer, sum(s.errors) AS errors, sum(s.duration) AS duration
      FROM ${this.#tables.sums} AS s
      WHERE site = ${literal(site)} AND summary = ${literal(summary)} AND period = ${literal(period)}
        AND bucket BETWEEN toDateTime(${seconds(Math.ceil(from / 1000))}, 'UTC')
          AND toDateTime(${seconds(Math.floor(to / 1000))}, 'UTC') ${ofKey}
      GROUP BY bucket, absent, s.key HAVING ${HAS_HITS}
      ORDER BY bucket DESC, hits DESC, absent, s.key ${page(limit, offset)}`);
    return rows.map((row) => sumRowOf(Number(row.start) * 1000, row.key, row));
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const rows = await this.#statements.rows<RecordRow>(`
      SELECT toUnixTimestamp64Milli(date) AS ms, ${RECORD_COLUMNS.join(', ')} FROM ${this.#tables.records}
      WHERE site = ${literal(site)} AND ${dateWithin(from, to)}
      ORDER BY site DESC, date DESC, journal DESC, ${this.#tables.records}.ordinal DESC ${page(limit, offset)}`);
    return rows.map((row) => recordOf(plain(row)));
  }

  /** @param condition Additional condition on the records `r`. */
  async scan({ after, limit, from, to, ...request }: ScanRequest, condition = 'true'): Promise<Scanned> {
    const range = { from: from ?? 0, to: to ?? LAST_DATE };
    const behind = after === undefined ? 'true' : `(r.date, r.journal, r.ordinal) > ${tupleOf(after)}`;
    const rows = await this.#statements.rows<OrderedRow>(`
      SELECT toUnixTimestamp64Milli(r.date) AS ms, journal, ordinal, ${RECORD_COLUMNS.join(', ')}
      FROM ${this.filters.matching({ ...request, ...range, where: [] })} AND ${behind} AND ${condition}
      ORDER BY r.site, r.date, r.journal, r.ordinal LIMIT ${limit}`);
    return { records: rows.map(plain), next: nextOf(rows, limit) };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? '' : `AND (r.date, r.journal, r.ordinal) < ${tupleOf(after)}`;
    return foundIn(
      await this.#statements.limited<OrderedRow>(
        `SELECT toUnixTimestamp64Milli(r.date) AS ms, journal, ordinal, ${RECORD_COLUMNS.join(', ')}
         FROM ${this.filters.matching(request)} ${before}
         ORDER BY r.site DESC, r.date DESC, r.journal DESC, r.ordinal DESC LIMIT ${limit}`,
      ),
      limit,
    );
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/** Returns a condition: the date is in a range of ms since 1970. */
function dateWithin(from: number, to: number): string {
  const date = (ms: number) => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;
  return `date BETWEEN ${date(Math.max(Math.ceil(from), 0))} AND ${date(Math.min(Math.floor(to), LAST_DATE))}`;
}

const LAST_ORDINAL = 2n ** 64n - 1n;

type OrderedRow = RecordRow & { journal: string; ordinal: string | number };

/** Returns the start of the next page, if there may be one. */
function nextOf(rows: readonly OrderedRow[], limit: number): string | undefined {
  const last = rows.at(-1);
  return rows.length < limit || !last ? undefined : `${last.ms} ${last.journal} ${last.ordinal}`;
}

/**
 * Parses the position that `nextOf` returned.
 * @param after Value of `nextOf`.
 */
function tupleOf(after: string): string {
  const [ms = '', journal = '', ordinal = ''] = cursorParts(after, /^(\d{1,13}) ([0-9a-f]{32}) (\d{1,20})$/);
  if (Number(ms) > LAST_DATE || BigInt(ordinal) > LAST_ORDINAL) throw invalidCursor(after);
  return `(fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC'), ${literal(journal)}, toUInt64(${ordinal}))`;
}

function foundIn(rows: readonly OrderedRow[], limit: number): FoundRecords {
  return { records: rows.map((row) => recordOf(plain(row))), next: nextOf(rows, limit) };
}

/** Converts 64-bit numbers, which are returned as text. */
function plain({ journal: _, ordinal: __, ...row }: RecordRow & Partial<OrderedRow>): RecordRow {
  return {
    ...row,
    ms: Number(row.ms),
    content_length: Number(row.content_length),
    duration: Number(row.duration),
    received: row.received === null ? null : Number(row.received),
    extra: row.extra === '' ? null : row.extra,
  };
}

function seconds(value: number): number {
  return Math.min(Math.max(value, 0), LAST_BUCKET);
}

function page(limit: number, offset: number): string {
  if (limit === 0 && offset === 0) return '';
  // ClickHouse has no syntax for "no limit".
  return `LIMIT ${limit === 0 ? Number.MAX_SAFE_INTEGER : limit} OFFSET ${offset}`;
}
