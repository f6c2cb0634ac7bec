import type { DatabaseSync } from 'node:sqlite';
import { TrackUsageError } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { afterUndo, closeDatabase, rollBack, settle } from '../../platform/sqlite.ts';
import type { UsageRecord } from '../../record.ts';
import { checkReadable } from '../../storage/checks.ts';
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
import { cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { fileIdentity } from '../../storage/file-identity.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../../storage/record-row.ts';
import { recountIn } from '../../storage/recount.ts';
import type { KeepTime, StoredRetention } from '../../storage/retention.ts';
import { FilterQueries } from '../sql/filters.ts';
import { SumQueries } from '../sql/queries.ts';
import { SqlReader } from '../sql/sql-reader.ts';
import { dialectOf, LAST_DATE } from './dialect.ts';
import { DatabaseFile } from './location.ts';
import type { SqliteOptions } from './options.ts';
import { DATE_SHIFT, namedError, openForReading, SCHEMA_VERSION, versionOf } from './schema.ts';
import { sizeOf } from './size.ts';

/** The largest integer. No record has it as its ID. */
const BEHIND_ALL = String(2n ** 63n - 1n);

export class SqliteReader extends SqlReader implements StorageReader {
  readonly #database: DatabaseSync;
  readonly #file: DatabaseFile;
  readonly #path: string;
  /** Connection of recounts. Their transactions must not be those of other queries, which read the newest data. */
  #snapshots: DatabaseSync | undefined;
  #recounting: Promise<unknown> = Promise.resolve();

  constructor({ path }: SqliteOptions) {
    const database = open(path);
    super(dialectOf(database));
    this.#database = database;
    this.#path = path;
    this.#file = new DatabaseFile(path);
  }

  isReplaced(): boolean {
    return this.#file.isReplaced();
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const rows = this.#database
      .prepare(`
        SELECT id >> ${DATE_SHIFT} AS ms, ${RECORD_COLUMNS.join(', ')} FROM usage_records
        WHERE id BETWEEN CAST(? AS INTEGER) << ${DATE_SHIFT}
          AND (CAST(? AS INTEGER) << ${DATE_SHIFT}) | ${2 ** DATE_SHIFT - 1}
          AND site = ?
        ORDER BY id DESC LIMIT ? OFFSET ?`)
      .all(
        Math.max(Math.ceil(from), 0),
        Math.min(Math.floor(to), LAST_DATE),
        site,
        limit === 0 ? -1 : limit,
        offset,
      );
    return rows.map((row) => recordOf(row as unknown as RecordRow));
  }

  async scan(request: ScanRequest): Promise<Scanned> {
    return scanIn(this.#database, request);
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? BEHIND_ALL : idOf(after);
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const rows = this.#database
      .prepare(`
        SELECT CAST(id AS TEXT) AS cursor, id >> ${DATE_SHIFT} AS ms, ${RECORD_COLUMNS.join(', ')} FROM usage_records
        WHERE id IN (
          SELECT r.id FROM records r WHERE r.id < CAST(? AS INTEGER) AND ${where} ORDER BY r.id DESC LIMIT ?
        ) ORDER BY id DESC`)
      .all(before, limit) as unknown as (RecordRow & { cursor: string })[];
    return { records: rows.map(recordOf), next: rows.length < limit ? undefined : rows.at(-1)!.cursor };
  }

  async retention(site: string): Promise<StoredRetention> {
    const rows = this.#database
      .prepare(
        `SELECT part, keep, before FROM retention JOIN sites ON sites.id = retention.site WHERE sites.name = ?`,
      )
      .all(site) as { part: string; keep: KeepTime; before: number | null }[];
    return Object.fromEntries(rows.map(({ part, ...kept }) => [part, { ...kept }]));
  }

  async position({ journal }: PositionRequest): Promise<Position | undefined> {
    const row = this.#database.prepare('SELECT position, ordinal FROM journals WHERE id = ?').get(journal) as
      | Position
      | undefined;
    return row && { ...row };
  }

  recount(request: RecountRequest): Promise<Recount> {
    // One after the other: a connection has one transaction.
    const recounted = this.#recounting.then(() => this.#recount(request));
    this.#recounting = recounted.catch(() => {});
    return recounted;
  }

  async #recount(request: RecountRequest): Promise<Recount> {
    this.#snapshots ??= open(this.#path);
    const database = this.#snapshots;
    const dialect = dialectOf(database);
    const [sums, filters] = [new SumQueries(dialect), new FilterQueries(dialect)];
    settle(database);
    database.exec('BEGIN');
    try {
      return await recountIn(
        {
          keys: (page) => sums.keys(page),
          matchingKeys: (page) => filters.matchingKeys(page),
          scan: async (page) => scanIn(database, page),
        },
        request,
      );
    } finally {
      rollBack(database);
    }
  }

  async size(): Promise<StorageSize> {
    return sizeOf(this.#database);
  }

  async close(): Promise<void> {
    if (this.#snapshots) closeDatabase(this.#snapshots);
    closeDatabase(this.#database);
  }
}

/** Opens a file for reading. */
function open(path: string): DatabaseSync {
  if (fileIdentity(path) === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: path });
  const database = openForReading(path);
  try {
    // With a 32 MiB cache, most sorts need no temporary file.
    database.exec('PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32768');
    // An app that is just starting leaves the file empty.
    checkReadable(versionOf(database, path) || undefined, SCHEMA_VERSION, path);
    return database;
  } catch (error) {
    throw namedError(
      afterUndo(error, () => closeDatabase(database)),
      path,
    );
  }
}

function scanIn(
  database: DatabaseSync,
  { site, after, limit, from = 0, to = LAST_DATE }: ScanRequest,
): Scanned {
  const statement = database.prepare(
    `SELECT CAST(id AS TEXT) AS id, id >> ${DATE_SHIFT} AS ms, ${RECORD_COLUMNS.join(', ')} FROM usage_records
       WHERE id > CAST(? AS INTEGER) AND id BETWEEN CAST(? AS INTEGER) << ${DATE_SHIFT}
         AND (CAST(? AS INTEGER) << ${DATE_SHIFT}) | ${2 ** DATE_SHIFT - 1}
         AND site = ? ORDER BY id LIMIT ?`,
  );
  const rows = statement.all(
    after === undefined ? '-1' : idOf(after),
    Math.max(Math.ceil(from), 0),
    Math.min(Math.floor(to), LAST_DATE),
    site,
    limit,
  ) as unknown as (RecordRow & { id: string })[];
  return { records: rows, next: rows.length < limit ? undefined : rows.at(-1)!.id };
}

/** Returns the ID of the last record of the previous page. */
function idOf(after: string): string {
  const [id = ''] = cursorParts(after, /^(\d{1,19})$/);
  // SQLite has no greater integer.
  if (BigInt(id) > BigInt(BEHIND_ALL)) throw invalidCursor(after);
  return id;
}
