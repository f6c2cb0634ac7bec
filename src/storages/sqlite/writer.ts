import type { DatabaseSync } from 'node:sqlite';
import { FLAG_BOT, type RecordBatch } from '../../batch.ts';
import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { afterUndo, closeDatabase, rollBack, settle, sqlite } from '../../platform/sqlite.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type { Batch, StorageWriter, VisitorKeyRequest, WriterContext } from '../../storage/contract.ts';
import { fileIdentity } from '../../storage/file-identity.ts';
import { isReplaced, StorageReplaced } from '../../storage/replaced.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { companionBase } from '../../summaries/latency.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { agentKinds } from '../sql/agents.ts';
import { endpointKinds, endpointValues } from '../sql/endpoints.ts';
import { statementsOf } from '../sql/statements.ts';
import { BatchIds } from './batch-ids.ts';
import { dialectOf } from './dialect.ts';
import { KeyCounts } from './key-counts.ts';
import { DatabaseFile } from './location.ts';
import { SqliteMaintenance } from './maintenance.ts';
import type { SqliteOptions } from './options.ts';
import { createViews, DATE_SHIFT, migrate, namedError } from './schema.ts';
import { batchStatements, writing } from './statements.ts';
import { SumWriter } from './sum-writer.ts';
import type { SweptTable } from './sweeper.ts';

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
  readonly #context: WriterContext;
  readonly #calendar: Calendar;
  readonly #site: number;
  readonly #ids = new BoundedCache<string, number>(CACHED_STRINGS);
  readonly #series = new Map<string, number>();
  readonly #statements: ReturnType<typeof batchStatements>;
  readonly #counts: KeyCounts;
  readonly #sums: SumWriter;
  /** Result of `PRAGMA data_version` for which the caches are valid. */
  #dataVersion: number | undefined;
  /** Number of searches for unused rows that have started. */
  #generation: number | undefined;
  /** Smallest ID of a text that the current batch has added. IDs increase. */
  #firstNewId = Number.POSITIVE_INFINITY;
  /** True while unused rows are searched: existing rows that are used must then be kept. */
  #isSweeping = false;
  #isClosed = false;
  readonly maintenance: SqliteMaintenance;

  constructor(options: SqliteOptions, context: WriterContext) {
    this.#path = options.path;
    this.#context = context;
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
      this.#statements = batchStatements(this.#database);
      this.#counts = new KeyCounts(this.#database);
      this.#sums = new SumWriter(this.#statements.sums, this.#counts, context.maxKeys);
      this.#file = new DatabaseFile(options.path);
      if (file === undefined || file !== fileIdentity(options.path)) throw this.#replaced();
    } catch (error) {
      throw namedError(
        afterUndo(error, () => closeDatabase(this.#database)),
        options.path,
      );
    }
    this.#calendar = calendar(context.timeZone);
    this.maintenance = new SqliteMaintenance({
      database: this.#database,
      site: this.#site,
      counts: this.#counts,
      read: (run) => this.#read(run),
      write: (run) => this.#write(run),
      forget: () => this.#forgetCaches(),
    });
  }

  async position(journal: string): Promise<Position | undefined> {
    return this.#read(() => this.#position(journal));
  }

  async apply(batch: Batch): Promise<boolean> {
    return this.#write(() => {
      const found = this.#position(batch.journal);
      if ((found?.position ?? 0) !== batch.from.position) return false;
      // The file may have been restored from another state before this writer stored anything.
      if (!found && this.#statements.site.get(this.#site)?.name !== this.#context.site)
        throw this.#replaced();
      this.#firstNewId = Number.POSITIVE_INFINITY;
      const ids = new BatchIds(batch.records, {
        add: (text) => this.#idOf(text),
        find: (text) => this.#knownId(text),
        isNew: (id) => id >= this.#firstNewId,
      });
      this.#insertRecords(batch, ids);
      for (const group of batch.deltas) this.#addSums(group, ids);
      this.#statements.move.run(batch.journal, batch.to.position, batch.to.ordinal);
      return true;
    });
  }

  async visitorKey({ day, oldest, proposal }: VisitorKeyRequest): Promise<Uint8Array> {
    return this.#write(() => {
      const run = (sql: string) => this.#database.prepare(sql);
      // Deleting a row leaves its bytes in the file.
      run('UPDATE visitor_keys SET key = zeroblob(length(key)) WHERE site = ? AND day < ?').run(
        this.#site,
        oldest,
      );
      run('DELETE FROM visitor_keys WHERE site = ? AND day < ?').run(this.#site, oldest);
      run('INSERT OR IGNORE INTO visitor_keys VALUES (?, ?, ?)').run(this.#site, day, proposal);
      const row = run('SELECT key FROM visitor_keys WHERE site = ? AND day = ?').get(this.#site, day);
      return row!.key as Uint8Array;
    });
  }

  isReplaced(): boolean {
    return this.#file.isReplaced();
  }

  async forget(journal: string): Promise<void> {
    this.#read(() => this.#statements.forget.run(journal));
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

  /** Runs statements that are no transaction. */
  #read<T>(run: () => T): T {
    try {
      settle(this.#database);
      return run();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Runs a write transaction. Rolls it back if `run` throws or returns false. */
  #write<T>(run: () => T): T {
    let result: T;
    try {
      settle(this.#database);
      this.#database.exec('BEGIN IMMEDIATE');
      this.#checkCaches();
      result = run();
      if (result === false) {
        this.#undo();
        return result;
      }
      this.#database.exec('COMMIT');
    } catch (error) {
      throw this.#explain(afterUndo(error, () => this.#undo()));
    }
    // Checked after the commit: a commit to a file that is no longer at its path is lost.
    if (this.#file.isReplaced()) throw this.#replaced();
    return result;
  }

  /** Clears what other processes have made invalid since the last transaction. */
  #checkCaches(): void {
    const { data_version: version } = this.#statements.dataVersion.get() as { data_version: number };
    this.#counts.begin(version === this.#dataVersion);
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    const { generation, active } = this.#statements.sweeps.get() as { generation: number; active: number };
    // Texts known from before the search may be deleted by it.
    if (generation !== this.#generation) this.#ids.clear();
    this.#generation = generation;
    this.#isSweeping = active === 1;
    this.#checkZone();
  }

  /** Throws if another process has changed the time zone of the site since this writer was opened. */
  #checkZone(): void {
    const site = this.#statements.site.get(this.#site) as { time_zone: string } | undefined;
    if (site) checkTimeZone(this.#context, site.time_zone, this.#path);
  }

  #forgetCaches(): void {
    this.#ids.clear();
    this.#series.clear();
    this.#counts.forget();
    this.#dataVersion = undefined;
  }

  /** Rolls back the transaction, if any. */
  #undo(): void {
    // The IDs that it assigned are free again, and another process may take them.
    this.#forgetCaches();
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

  #openSite(path: string, context: WriterContext): number {
    const { site, timeZone } = context;
    const { add, site: find } = statementsOf(dialectOf(this.#database));
    const finding = this.#database.prepare(find(site));
    if (!finding.get()) {
      writing(this.#database, add('sites', { name: '?', time_zone: '?' })).run(site, timeZone);
    }
    const found = finding.get() as { id: number; time_zone: string };
    checkTimeZone(context, found.time_zone, path);
    return found.id;
  }

  #idOf(text: string): number {
    const cached = this.#ids.get(text);
    if (cached !== undefined) return cached;
    const { changes, lastInsertRowid } = this.#statements.addString.run(text);
    if (changes === 0n) return this.#knownId(text)!;
    const id = Number(lastInsertRowid);
    this.#firstNewId = Math.min(this.#firstNewId, id);
    if (text.length <= CACHED_LENGTH) this.#ids.set(text, id);
    return id;
  }

  /** Returns the ID of a text that may be stored. */
  #knownId(text: string): number | undefined {
    const cached = this.#ids.get(text);
    if (cached !== undefined) return cached;
    const found = this.#statements.findString.get(text) as { id: number } | undefined;
    if (!found) return undefined;
    this.#keep('strings', found.id);
    if (text.length <= CACHED_LENGTH) this.#ids.set(text, found.id);
    return found.id;
  }

  /** Keeps an existing row from being deleted by a search for unused rows that has not seen its use. */
  #keep(table: SweptTable, id: number): void {
    if (this.#isSweeping) this.#statements.keepRow.run(table, id);
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
          ids.orNull(text.urlKey[i]!),
          ids.orNull(text.path[i]!),
          ids.orNull(text.referrerHost[i]!),
          ids.orNull(text.campaign[i]!),
          ids.orNull(text.class[i]!),
          records.receivedAt(i),
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
      records.at('device', index),
    ] as const;
    const found = this.#statements.findAgent.get(...values) as { id: number } | undefined;
    if (!found) return Number(this.#statements.addAgent.run(...values).lastInsertRowid);
    this.#keep('agents', found.id);
    return found.id;
  }

  #endpointIdOf(records: RecordBatch, index: number, ids: BatchIds): number {
    const values = [this.#site, ...endpointValues(records, index, (local) => ids.of(local))];
    this.#statements.addEndpoint.run(...values);
    const { id } = this.#statements.findEndpoint.get(...values) as { id: number };
    this.#keep('endpoints', id);
    return id;
  }

  #addSums(group: DeltaGroup, ids: BatchIds): void {
    if (group.key.length === 0) return;
    const series = this.#seriesOf(group.summary.name);
    const bucket = Math.floor(group.bucket / 1000);
    this.#statements.addBucket.run(this.#site, bucket, this.#calendar.format(group.bucket));
    this.#sums.add(group, { series, period: group.period, bucket }, ids);
  }

  #seriesOf(summary: string): number {
    let id = this.#series.get(summary);
    if (id === undefined) {
      this.#statements.addSeries.run(this.#site, summary);
      if (companionBase(summary) === undefined) createViews(this.#database, summary);
      id = (this.#statements.findSeries.get(this.#site, summary) as { id: number }).id;
      this.#series.set(summary, id);
    }
    return id;
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
