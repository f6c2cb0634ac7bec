import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { FLAG_BOT, type RecordBatch } from '../../batch.ts';
import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { afterUndo, closeDatabase, rollBack, settle, sqlite } from '../../platform/sqlite.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { fileIdentity } from '../../storage/file-identity.ts';
import { MEASURES } from '../../storage/measures.ts';
import { isReplaced, StorageReplaced } from '../../storage/replaced.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { agentKinds } from '../sql/agents.ts';
import { addingUp, ENDPOINT_COLUMNS } from '../sql/columns.ts';
import { endpointKinds, endpointValues } from '../sql/endpoints.ts';
import { statementsOf } from '../sql/statements.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { dialectOf } from './dialect.ts';
import { DatabaseFile } from './location.ts';
import type { SqliteOptions } from './options.ts';
import { createViews, DATE_SHIFT, migrate, namedError } from './schema.ts';

/** Time that a statement waits for another process's transaction. The batch is then retried later. In ms. */
const BUSY_TIMEOUT = 2_000;
/** Minimum number of text IDs cached in memory. */
const CACHED_STRINGS = 10_000;
/** Maximum length of a cached text, in UTF-16 units. Longer texts are often hostile and seldom repeat. */
const CACHED_LENGTH = 256;
const LOW_BITS = 2 ** DATE_SHIFT;

/** SQLite's primary result codes for a refused value: TOOBIG, CONSTRAINT, MISMATCH, RANGE. */
const REFUSALS = new Set([18, 19, 20, 25]);

export class SqliteWriter implements StorageWriter {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #file: DatabaseFile;
  readonly #siteName: string;
  readonly #calendar: Calendar;
  readonly #site: number;
  readonly #ids = new BoundedCache<string, number>(CACHED_STRINGS);
  readonly #series = new Map<string, number>();
  readonly #statements: ReturnType<typeof prepare>;
  #isClosed = false;

  constructor(options: SqliteOptions, context: WriterContext) {
    this.#path = options.path;
    this.#siteName = context.site;
    let file = fileIdentity(options.path);
    try {
      this.#database = new (sqlite().DatabaseSync)(options.path, { enableForeignKeyConstraints: false });
    } catch (error) {
      throw namedError(error, options.path);
    }
    try {
      // A new file can be removed before its identity is known.
      file ??= fileIdentity(options.path);
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
      migrate(this.#database, options.path);
      this.#database.exec(
        `PRAGMA synchronous = ${context.durable ? 'FULL' : 'NORMAL'}; PRAGMA cache_size = -8000;
         PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000`,
      );
      checkWritable(this.#database);
      this.#site = this.#openSite(options.path, context);
      this.#statements = prepare(this.#database);
      this.#file = new DatabaseFile(options.path);
      if (file === undefined || file !== fileIdentity(options.path)) throw this.#replaced();
    } catch (error) {
      throw namedError(
        afterUndo(error, () => closeDatabase(this.#database)),
        options.path,
      );
    }
    this.#calendar = calendar(context.timeZone);
  }

  async position(journal: string): Promise<Position | undefined> {
    try {
      settle(this.#database);
      return this.#position(journal);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async apply(batch: Batch): Promise<boolean> {
    try {
      settle(this.#database);
      this.#database.exec('BEGIN IMMEDIATE');
      const found = this.#position(batch.journal);
      if ((found?.position ?? 0) !== batch.from.position) {
        this.#undo();
        return false;
      }
      // The file may have been restored from another state before this writer stored anything.
      if (!found && this.#statements.site.get(this.#site)?.name !== this.#siteName) throw this.#replaced();
      const ids = new BatchIds(batch.records, (text) => this.#idOf(text));
      this.#insertRecords(batch, ids);
      for (const group of batch.deltas) this.#upsert(group, ids);
      this.#statements.move.run(batch.journal, batch.to.position, batch.to.ordinal);
      this.#database.exec('COMMIT');
    } catch (error) {
      throw this.#explain(afterUndo(error, () => this.#undo()));
    }
    // Checked after the commit: a commit to a file that is no longer at its path is lost.
    if (this.#file.isReplaced()) throw this.#replaced();
    return true;
  }

  isReplaced(): boolean {
    return this.#file.isReplaced();
  }

  async forget(journal: string): Promise<void> {
    try {
      settle(this.#database);
      this.#statements.forget.run(journal);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  refuses(error: unknown): boolean {
    const { errcode, code } = error as { errcode?: number; code?: string };
    if (errcode !== undefined) return REFUSALS.has(errcode & 0xff);
    return code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_OUT_OF_RANGE';
  }

  /** Calling it again is harmless. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      // Only this connection can still move the contents of a removed write-ahead log into its database.
      if (this.#file.isWithoutWal()) this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      throw afterUndo(error, () => closeDatabase(this.#database));
    }
    closeDatabase(this.#database);
  }

  /** Rolls back the transaction, if any. */
  #undo(): void {
    // The IDs that it assigned are free again, and another process may take them.
    this.#ids.clear();
    this.#series.clear();
    rollBack(this.#database);
  }

  /**
   * Converts a SQLite error caused by a moved file or missing tables, so that the database is opened again.
   */
  #explain(error: unknown): unknown {
    if (isReplaced(error)) return error;
    if (this.#file.isReplaced()) return this.#replaced(error);
    return /no such table/.test(reasonOf(error)) ? this.#replaced(error) : error;
  }

  #replaced(cause?: unknown): StorageReplaced {
    const reason = cause === undefined ? '' : `: ${reasonOf(cause)}`;
    return new StorageReplaced(`the file ${this.#path} or its contents were removed or replaced${reason}`, {
      cause,
    });
  }

  #position(journal: string): Position | undefined {
    return this.#statements.position.get(journal) as Position | undefined;
  }

  #openSite(path: string, { site, timeZone }: WriterContext): number {
    const { add, site: find } = statementsOf(dialectOf(this.#database));
    const finding = this.#database.prepare(find(site));
    if (!finding.get()) {
      writing(this.#database, add('sites', { name: '?', time_zone: '?' })).run(site, timeZone);
    }
    const found = finding.get() as { id: number; time_zone: string };
    checkTimeZone({ site, timeZone }, found.time_zone, path);
    return found.id;
  }

  #idOf(text: string): number {
    const cached = this.#ids.get(text);
    if (cached !== undefined) return cached;
    const { changes, lastInsertRowid } = this.#statements.addString.run(text);
    const id =
      changes === 1n ? Number(lastInsertRowid) : (this.#statements.findString.get(text) as { id: number }).id;
    if (text.length <= CACHED_LENGTH) this.#ids.set(text, id);
    return id;
  }

  #insertRecords({ journal, records, from }: Batch, ids: BatchIds): void {
    // Each journal starts at its own number, so that two journals seldom collide within a millisecond.
    const first = (Number.parseInt(journal.slice(0, 5), 16) || 0) + from.ordinal;
    const { addRecord } = this.#statements;
    const { text, date, duration, contentLength, status, extra } = records;
    const { kinds, kindOf } = agentKinds(records);
    const agents = kinds.map((index) => this.#agentOf(records, index, ids));
    const { kinds: firsts, kindOf: endpointIndexOf } = endpointKinds(records);
    const endpoints = firsts.map((index) => this.#endpointIdOf(records, index, ids));
    for (let i = 0; i < records.length; i++) {
      const ms = Math.floor(date[i]!);
      let low = (first + i) % LOW_BITS;
      // If another process took the number in the same millisecond, the next free one is used.
      while (
        addRecord.run(
          ms,
          low,
          endpoints[endpointIndexOf[i]!]!,
          ids.of(text.url[i]!),
          status[i]!,
          contentLength[i]!,
          duration[i]!,
          ids.orNull(text.remoteAddr[i]!),
          ids.orNull(text.forwardedFor[i]!),
          agents[kindOf[i]!] ?? null,
          ids.orNull(text.language[i]!),
          ids.orNull(text.referrer[i]!),
          ids.orNull(text.username[i]!),
          ids.orNull(text.visitor[i]!),
          ids.orNull(text.country[i]!),
          extra.size === 0 ? null : (extra.get(i) ?? null),
        ).changes === 0n
      ) {
        low = (low + 1) % LOW_BITS;
      }
    }
  }

  #agentOf(records: RecordBatch, index: number, ids: BatchIds): number {
    const values = [
      ids.of(records.text.agent[index]!),
      records.at('browser', index),
      records.at('version', index),
      records.at('platform', index),
      (records.flags[index]! & FLAG_BOT) === 0 ? 0 : 1,
    ] as const;
    const found = this.#statements.findAgent.get(...values) as { id: number } | undefined;
    return found?.id ?? Number(this.#statements.addAgent.run(...values).lastInsertRowid);
  }

  #endpointIdOf(records: RecordBatch, index: number, ids: BatchIds): number {
    const values = [this.#site, ...endpointValues(records, index, (local) => ids.of(local))];
    this.#statements.addEndpoint.run(...values);
    return (this.#statements.findEndpoint.get(...values) as { id: number }).id;
  }

  #upsert(group: DeltaGroup, ids: BatchIds): void {
    if (group.key.length === 0) return;
    const series = this.#seriesOf(group.summary.name);
    const bucket = Math.floor(group.bucket / 1000);
    this.#statements.addBucket.run(this.#site, bucket, this.#calendar.format(group.bucket));
    const statement = this.#statements.upsert[group.period];
    const keys = ids.all(group.key);
    // Sorted in the table's order, so that adjacent rows are on the same pages.
    const order = Uint32Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]!);
    for (const row of order) {
      statement.run(
        series,
        bucket,
        keys[row]!,
        group.hits[row]!,
        group.transfer[row]!,
        group.errors[row]!,
        group.duration[row]!,
      );
    }
  }

  #seriesOf(summary: string): number {
    let id = this.#series.get(summary);
    if (id === undefined) {
      this.#statements.addSeries.run(this.#site, summary);
      createViews(this.#database, summary);
      id = (this.#statements.findSeries.get(this.#site, summary) as { id: number }).id;
      this.#series.set(summary, id);
    }
    return id;
  }
}

/** Database IDs of a batch's texts, each looked up once. */
class BatchIds {
  readonly #strings: readonly (string | null)[];
  readonly #ids: Float64Array;
  readonly #lookUp: (text: string) => number;

  constructor(records: RecordBatch, lookUp: (text: string) => number) {
    this.#strings = records.strings;
    this.#ids = new Float64Array(records.strings.length);
    this.#lookUp = lookUp;
  }

  /** Returns the database ID of a text; 0 for null. */
  of(local: number): number {
    if (local === 0) return 0;
    let id = this.#ids[local]!;
    if (id === 0) {
      id = this.#lookUp(this.#strings[local]!);
      this.#ids[local] = id;
    }
    return id;
  }

  orNull(local: number): number | null {
    return local === 0 ? null : this.of(local);
  }

  all(locals: Int32Array): Float64Array {
    return Float64Array.from(locals, (local) => this.of(local));
  }
}

/**
 * Throws if the file is read-only. SQLite opens such a file without an error and fails only at the first
 * batch.
 */
function checkWritable(database: DatabaseSync): void {
  try {
    // Beginning a transaction is not enough: on a read-only file it would be a read transaction.
    database.exec("DELETE FROM journals WHERE id = ''");
  } catch (error) {
    // 5: SQLITE_BUSY. Another connection is writing.
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== 5) throw error;
  }
}

/**
 * Prepares a statement that writes. Its result is BigInt, because a record ID is too large for a number.
 * SQLite keeps the last ID for all later statements, and Node 26 throws instead of rounding it.
 */
function writing(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement;
}

function prepare(database: DatabaseSync) {
  const { hour, day, month } = PERIOD_NAMES;
  const { position, forget, series, add } = statementsOf(dialectOf(database));
  const write = (sql: string) => writing(database, sql);
  /** Prepares a statement that adds a row, unless its key exists, and takes its values. */
  const adding = (table: string, columns: readonly string[]) =>
    write(add(table, Object.fromEntries(columns.map((column) => [column, '?']))));
  const endpoint = ['site', ...ENDPOINT_COLUMNS];
  const upsert = (table: string) =>
    write(`
      INSERT INTO ${table} (series, bucket, key, ${MEASURES.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET ${addingUp((measure) => `${measure} + excluded.${measure}`)}`);
  return {
    site: database.prepare('SELECT name FROM sites WHERE id = ?'),
    position: database.prepare(position('?')),
    move: write('INSERT OR REPLACE INTO journals (id, position, ordinal) VALUES (?, ?, ?)'),
    forget: write(forget('?')),
    addString: adding('strings', ['text']),
    findString: database.prepare('SELECT id FROM strings WHERE text = ?'),
    // Within a write transaction, no other writer can add the same row.
    findAgent: database.prepare(
      'SELECT id FROM agents WHERE string = ? AND browser IS ? AND version IS ? AND platform IS ? AND bot = ?',
    ),
    addAgent: adding('agents', ['string', 'browser', 'version', 'platform', 'bot']),
    addEndpoint: adding('endpoints', endpoint),
    findEndpoint: database.prepare(
      `SELECT id FROM endpoints WHERE ${endpoint.map((column) => `${column} = ?`).join(' AND ')}`,
    ),
    addRecord: write(
      `INSERT INTO records VALUES (
         (CAST(? AS INTEGER) << ${DATE_SHIFT}) | CAST(? AS INTEGER), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
       ) ON CONFLICT DO NOTHING`,
    ),
    addSeries: adding('series', ['site', 'summary']),
    findSeries: database.prepare(series('?', '?')),
    addBucket: adding('buckets', ['site', 'bucket', 'date']),
    upsert: { hour: upsert(hour), day: upsert(day), month: upsert(month) },
  };
}
