import type { DatabaseSync } from 'node:sqlite';
import { TrackUsageError } from '../../errors.ts';
import { afterUndo, closeDatabase, sqlite } from '../../platform/sqlite.ts';
import type { UsageRecord } from '../../record.ts';
import { checkReadable } from '../../storage/checks.ts';
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
import { cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { fileIdentity } from '../../storage/file-identity.ts';
import { RECORD_COLUMNS, type RecordRow, recordOf } from '../../storage/record-row.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import { SqlReader } from '../sql/sql-reader.ts';
import { dialectOf, LAST_DATE } from './dialect.ts';
import { Place } from './location.ts';
import type { SqliteOptions } from './options.ts';
import { DATE_SHIFT, namedError, SCHEMA_VERSION, TABLES, versionOf } from './schema.ts';

/** The largest integer. No record has it as its ID. */
const BEHIND_ALL = String(2n ** 63n - 1n);

export class SqliteReader extends SqlReader implements StorageReader {
  readonly #database: DatabaseSync;
  readonly #place: Place;

  constructor({ path }: SqliteOptions) {
    if (fileIdentity(path) === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: path });
    const database = new (sqlite().DatabaseSync)(path, { readOnly: true });
    try {
      // With a 32 MiB cache, most sorts need no temporary file.
      database.exec('PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32768');
      // An app that is just starting leaves the file empty.
      checkReadable(versionOf(database, path), SCHEMA_VERSION, path);
    } catch (error) {
      throw namedError(
        afterUndo(error, () => closeDatabase(database)),
        path,
      );
    }
    super(dialectOf(database));
    this.#database = database;
    this.#place = new Place(path);
  }

  isReplaced(): boolean {
    return this.#place.isReplaced();
  }

  async timeZone(site: string): Promise<string | undefined> {
    const row = this.#database.prepare('SELECT time_zone FROM sites WHERE name = ?').get(site);
    return row?.time_zone as string | undefined;
  }

  async summaries(site: string): Promise<string[]> {
    const rows = this.#database
      .prepare(
        `SELECT series.summary FROM series JOIN sites ON sites.id = series.site
         WHERE sites.name = ? ORDER BY series.summary`,
      )
      .all(site);
    return rows.map(({ summary }) => summary as string);
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const ofKey = {
      all: '',
      none: 'AND t.key = 0',
      one: 'AND t.key = (SELECT id FROM strings WHERE text = ?)',
    }[target === undefined ? 'all' : target === null ? 'none' : 'one'];
    const statement = this.#database.prepare(`
      SELECT t.bucket, strings.text AS key, t.hits, t.transfer, t.errors, t.duration
      FROM ${TABLES[period]} t LEFT JOIN strings ON strings.id = t.key
      WHERE t.series = (SELECT series.id FROM series JOIN sites ON sites.id = series.site
                        WHERE sites.name = ? AND series.summary = ?)
        AND t.bucket BETWEEN ? AND ? ${ofKey}
      ORDER BY t.bucket DESC, t.hits DESC, t.key = 0, strings.text
      LIMIT ? OFFSET ?`);
    // Sums may exceed 2^53. As BigInt they can be rounded; otherwise SQLite refuses them.
    statement.setReadBigInts(true);
    const rows = statement.all(
      site,
      summary,
      Math.max(Math.ceil(from / 1000), -LAST_DATE),
      Math.min(Math.floor(to / 1000), LAST_DATE),
      ...(typeof target === 'string' ? [target] : []),
      limit === 0 ? -1 : limit,
      offset,
    );
    return rows.map((row) => sumRowOf(Number(row.bucket) * 1000, row.key, row));
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

  async scan({ site, after, limit }: ScanRequest): Promise<Scanned> {
    const statement = this.#database.prepare(
      `SELECT CAST(id AS TEXT) AS id, id >> ${DATE_SHIFT} AS ms, ${RECORD_COLUMNS.join(', ')} FROM usage_records
       WHERE id > CAST(? AS INTEGER) AND site = ? ORDER BY id LIMIT ?`,
    );
    const rows = statement.all(
      after === undefined ? '-1' : idOf(after),
      site,
      limit,
    ) as unknown as (RecordRow & { id: string })[];
    return { records: rows, next: rows.length < limit ? undefined : rows.at(-1)!.id };
  }

  async matchingRecords({ after, limit, ...request }: MatchingRecordsRequest): Promise<FoundRecords> {
    const before = after === undefined ? BEHIND_ALL : idOf(after);
    const where = await this.filters.where(request);
    if (where === undefined) return { records: [], next: undefined };
    const rows = this.#database
      .prepare(`
        SELECT CAST(id AS TEXT) AS place, id >> ${DATE_SHIFT} AS ms, ${RECORD_COLUMNS.join(', ')} FROM usage_records
        WHERE id IN (
          SELECT r.id FROM records r WHERE r.id < CAST(? AS INTEGER) AND ${where} ORDER BY r.id DESC LIMIT ?
        ) ORDER BY id DESC`)
      .all(before, limit) as unknown as (RecordRow & { place: string })[];
    return { records: rows.map(recordOf), next: rows.length < limit ? undefined : rows.at(-1)!.place };
  }

  async close(): Promise<void> {
    closeDatabase(this.#database);
  }
}

/** Returns the ID of the last record of the previous page. */
function idOf(after: string): string {
  const [id = ''] = cursorParts(after, /^(\d{1,19})$/);
  // SQLite has no greater integer.
  if (BigInt(id) > BigInt(BEHIND_ALL)) throw invalidCursor(after);
  return id;
}
