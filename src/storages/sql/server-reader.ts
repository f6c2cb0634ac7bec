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
  UsageRequest,
} from '../../storage/contract.ts';
import { cursorNumbers } from '../../storage/cursor.ts';
import { type RecordRow, recordOf } from '../../storage/record-row.ts';
import { recountIn } from '../../storage/recount.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { CALENDAR, type Row, type ServerDialect } from './dialect.ts';
import { FilterQueries } from './filters.ts';
import { ALL } from './page.ts';
import { SumQueries } from './queries.ts';
import type { ServerSession } from './server-writer.ts';
import { SqlReader } from './sql-reader.ts';
import { retentionOfSite } from './stored-retention.ts';

const NUMBERS = ['ms', 'status', 'content_length', 'duration', 'authorization', 'bot'] as const;
const OLDEST = 'date, journal, ordinal';
const NEWEST = 'date DESC, journal DESC, ordinal DESC';
const INT4 = { from: 0, to: 2 ** 31 - 1 };

type OrderedRow = RecordRow & { journal: number | string; ordinal: number | string };

/** Base of a reading end whose engine runs as a server. */
export abstract class ServerReader extends SqlReader implements StorageReader {
  readonly #session: ServerSession;
  readonly #dialect: ServerDialect;

  constructor(session: ServerSession, dialect: ServerDialect) {
    super(dialect);
    this.#session = session;
    this.#dialect = dialect;
  }

  /**
   * Selects records as rows, with their journals and ordinals.
   * @param some Selects rows of the records table.
   */
  protected abstract selectRecords(some: string): string;
  /** Runs queries that see the database at one point in time. */
  protected abstract inSnapshot<T>(run: (dialect: ServerDialect) => Promise<T>): Promise<T>;
  abstract size(): Promise<StorageSize>;

  async usage({ site, limit, offset, ...range }: UsageRequest): Promise<UsageRecord[]> {
    const page = `LIMIT ${limit === 0 ? ALL : limit} OFFSET ${offset}`;
    const where = this.#dialect.recordWithin(this.#siteId(site), range);
    const rows = await this.#session.query(this.#select(where, NEWEST, page));
    return orderedRows(rows).map(recordOf);
  }

  scan(request: ScanRequest): Promise<Scanned> {
    return this.#scan(request, (sql) => this.#session.query(sql));
  }

  async #scan(
    { site, after, limit, from, to }: ScanRequest,
    query: ServerSession['query'],
  ): Promise<Scanned> {
    const behind = after === undefined ? '' : `AND ${this.#isBeyond(after, '>')}`;
    const id = this.#siteId(site);
    const isAll = from === undefined && to === undefined;
    const range = { from: from ?? CALENDAR.from, to: to ?? CALENDAR.to };
    const within = isAll ? `r.site = ${id}` : this.#dialect.recordWithin(id, range);
    const where = `${within} ${behind}`;
    const rows = orderedRows(await query(this.#select(where, OLDEST, `LIMIT ${limit}`)));
    return { records: rows, next: nextOf(rows, limit) };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? '' : `AND ${this.#isBeyond(after, '<')}`;
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const select = this.#select(`${where} ${before}`, NEWEST, `LIMIT ${limit}`);
    const rows = orderedRows(await this.#dialect.query(select));
    return { records: rows.map(recordOf), next: nextOf(rows, limit) };
  }

  retention(site: string): Promise<StoredRetention> {
    return retentionOfSite(this.#dialect, this.#siteId(site));
  }

  async position({ journal }: PositionRequest): Promise<Position | undefined> {
    const { table, text } = this.#dialect;
    const [row] = await this.#session.query(
      `SELECT t.position, t.ordinal FROM ${table('journals')} t WHERE t.id = ${text(journal)}`,
    );
    return row && { position: Number(row.position), ordinal: Number(row.ordinal) };
  }

  recount(request: RecountRequest): Promise<Recount> {
    return this.inSnapshot((dialect) => {
      const [sums, filters] = [new SumQueries(dialect), new FilterQueries(dialect)];
      return recountIn(
        {
          keys: (keys) => sums.keys(keys),
          matchingKeys: (matching) => filters.matchingKeys(matching),
          scan: (scan) => this.#scan(scan, dialect.query),
        },
        request,
      );
    });
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #siteId(name: string): string {
    const { table, isSite } = this.#dialect;
    return `(SELECT sites.id FROM ${table('sites')} sites WHERE ${isSite(name)})`;
  }

  #select(where: string, order: string, page: string): string {
    const { table, records } = this.#dialect;
    const some = `SELECT * FROM ${table(records)} r WHERE ${where} ORDER BY ${order} ${page}`;
    return `${this.selectRecords(some)} ORDER BY ${order}`;
  }

  /**
   * Returns the condition of the next page.
   * @param after Position of the last record of the previous page: see `nextOf`.
   */
  #isBeyond(after: string, sign: '<' | '>'): string {
    const [ms, journal, ordinal] = cursorNumbers(after, CALENDAR, INT4, INT4) as [number, number, number];
    return this.#dialect.isBeyond(sign, { ms, journal, ordinal });
  }
}

/** Converts the numbers of rows, which some drivers return as text. */
function orderedRows(found: readonly Row[]): OrderedRow[] {
  const rows = found as readonly unknown[] as OrderedRow[];
  for (const row of rows) {
    for (const column of NUMBERS) row[column] = Number(row[column]);
    if (row.received !== null) row.received = Number(row.received);
  }
  return rows;
}

/** Returns the start of the next page, if there may be one. */
function nextOf(rows: readonly OrderedRow[], limit: number): string | undefined {
  if (rows.length < limit) return undefined;
  const { ms, journal, ordinal } = rows.at(-1)!;
  return `${ms} ${journal} ${ordinal}`;
}
