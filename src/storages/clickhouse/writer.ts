import { createHash } from 'node:crypto';
import type { Position } from '../../journal/position.ts';
import type { Batch, StorageWriter, VisitorKeyRequest, WriterContext } from '../../storage/contract.ts';
import { StorageReplaced } from '../../storage/replaced.ts';
import { positionBlock, recordsBlock, sumsBlock, Unstorable } from './blocks.ts';
import { literal, type Statements } from './client.ts';
import { KeyCounts } from './key-counts.ts';
import { ClickhouseMaintenance } from './maintenance.ts';
import { storedPosition } from './position.ts';
import type { Setup } from './schema.ts';
import { identityOf, type Tables } from './table-names.ts';
import { VisitorKeys } from './visitor-keys.ts';

/** The writer's site in the database. */
export interface Site {
  /** Checks the existing tables, and creates the missing ones. */
  setUp(): Promise<Setup>;
  /** Throws if its time zone has been changed. */
  check(): Promise<void>;
}

/** Position of a forgotten journal, greater than any real one. */
export const FORGOTTEN = 2 ** 63;

/**
 * Stores a batch with two inserts. The first has the records, each with the journal's ID and its number
 * there. The second has the sums and the position, in one part. So the stored state can be determined after
 * any failure. Deduplication tokens keep a delayed insert from being stored twice.
 */
export class ClickhouseWriter implements StorageWriter {
  readonly replays = true;
  readonly maintenance: ClickhouseMaintenance;
  readonly #keys: KeyCounts;
  readonly #statements: Statements;
  readonly #tables: Tables;
  readonly #name: string;
  readonly #site: Site;
  readonly #close: () => Promise<void>;
  /**
   * Position of each journal and the tables' identity, as last written. A replica may return an older
   * position.
   */
  readonly #reached = new Map<string, Position & { identity: string }>();
  /** Journals whose last batch was stored without a failure: nothing of the next one is stored yet. */
  readonly #clean = new Set<string>();
  #setup: Setup;
  #shards: number | undefined;

  constructor(
    statements: Statements,
    tables: Tables,
    { site: name, maxKeys }: WriterContext,
    setup: Setup,
    site: Site,
    close: () => Promise<void>,
  ) {
    this.#statements = statements;
    this.#tables = tables;
    this.#name = name;
    this.#site = site;
    this.#setup = setup;
    this.#close = close;
    this.#keys = new KeyCounts(statements, tables, name, maxKeys);
    this.maintenance = new ClickhouseMaintenance(statements, tables, name, () => this.#setup.replicated);
  }

  async position(journal: string): Promise<Position | undefined> {
    const identity = await identityOf(this.#statements, this.#tables);
    // Dropped tables cannot be queried, and the positions of old ones do not apply to new ones.
    if (identity === '') return undefined;
    const stored = await storedPosition(this.#statements, this.#tables, { site: this.#name, journal });
    if (stored && stored.position >= FORGOTTEN) return undefined;
    const known = this.#reached.get(journal);
    const reached = known?.identity === identity ? known : undefined;
    return !stored || (reached && reached.position > stored.position) ? reached : stored;
  }

  admit(batch: Batch): Promise<Batch> {
    return this.#keys.admit(batch);
  }

  async apply(batch: Batch): Promise<boolean> {
    const { journal, from, to } = batch;
    // A journal has one process, so its own last position needs no query.
    const clean = this.#clean.delete(journal) && this.#reached.get(journal)?.position === from.position;
    if (!clean && ((await this.position(journal))?.position ?? 0) !== from.position) return false;
    await this.#site.check();
    const token = `${journal}:${from.position}-${to.position}`;
    const settings = await this.#settings(journal);
    await this.#storeRecords(batch, clean, token, settings);
    const sums = sumsBlock(batch, this.#name);
    await this.#statements.insert(this.#tables.sums, sums, token, settings);
    if (!clean && (await this.position(journal))?.position !== to.position) {
      await this.#again(this.#tables.sums, sums, token, settings);
    }
    await this.#checkIdentity(batch, token, settings);
    this.#reached.set(journal, { ...to, identity: this.#setup.identity });
    this.#clean.add(journal);
    return true;
  }

  /** Throws if the tables changed since the batch began. They may then have only the sums. */
  async #checkIdentity(batch: Batch, token: string, settings: Settings): Promise<void> {
    const identity = await identityOf(this.#statements, this.#tables);
    if (identity === this.#setup.identity) return;
    if (identity !== '' && (await this.position(batch.journal))?.position === batch.to.position) {
      await this.#setUp();
      await this.#storeRecords(batch, false, token, settings);
    }
    throw new StorageReplaced('the tables were dropped while the app was running');
  }

  async #setUp(): Promise<void> {
    this.#setup = await this.#site.setUp();
    this.#clean.clear();
    this.#shards = undefined;
  }

  async resume(journal: string, at: Position): Promise<boolean> {
    await this.#setUp();
    const { identity, replicated } = this.#setup;
    const known = this.#reached.get(journal);
    const isOther = known ? known.identity !== identity : at.position > 0 && !replicated;
    if (isOther && at.position > 0) {
      const block = positionBlock(this.#name, journal, at);
      const token = `${journal}:resumed-${at.position}`;
      await this.#statements.insert(this.#tables.sums, block, token, await this.#settings(journal));
    }
    // Otherwise the replica lags behind.
    this.#reached.set(journal, { ...at, identity });
    return isOther;
  }

  async forget(journal: string): Promise<void> {
    this.#clean.delete(journal);
    this.#reached.delete(journal);
    const block = positionBlock(this.#name, journal, { position: FORGOTTEN, ordinal: 0 });
    await this.#statements.insert(
      this.#tables.sums,
      block,
      `${journal}:forgotten`,
      await this.#settings(journal),
    );
  }

  visitorKey(request: VisitorKeyRequest): Promise<Uint8Array> {
    return new VisitorKeys(this.#statements, this.#tables, this.#name).get(request);
  }

  refuses(error: unknown): boolean {
    return error instanceof Unstorable;
  }

  close(): Promise<void> {
    return this.#close();
  }

  /**
   * Inserts the records that are not stored yet.
   * @param clean Set if none can be stored. Otherwise a previous attempt may have stored some or all of them.
   */
  async #storeRecords(batch: Batch, clean: boolean, token: string, settings: Settings): Promise<void> {
    const { length } = batch.records;
    const all = Int32Array.from({ length }, (_, row) => row);
    const rows = clean ? all : await this.#missing(batch, all);
    if (rows.length === 0) return;
    const { records } = this.#tables;
    await this.#statements.insert(records, recordsBlock(batch, this.#name, rows), token, settings);
    if (clean) return;
    const still = await this.#missing(batch, rows);
    if (still.length > 0) await this.#again(records, recordsBlock(batch, this.#name, still), token, settings);
  }

  /** Returns which of these records are not stored. */
  async #missing(batch: Batch, rows: Int32Array): Promise<Int32Array> {
    const { journal, from, to, records } = batch;
    if (rows.length === 0) return rows;
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    for (const row of rows) {
      first = Math.min(first, Math.floor(records.date[row]!));
      last = Math.max(last, Math.floor(records.date[row]!));
    }
    const date = (ms: number) => `fromUnixTimestamp64Milli(toInt64(${Math.max(0, ms)}), 'UTC')`;
    const found = await this.#statements.rows<{ number: string | number }>(
      `SELECT r.ordinal AS number FROM ${this.#tables.everyRecords} AS r
       WHERE site = ${literal(this.#name)} AND date BETWEEN ${date(first)} AND ${date(last)}
         AND journal = ${literal(journal)} AND r.ordinal >= ${from.ordinal} AND r.ordinal < ${to.ordinal}`,
    );
    const stored = new Set(found.map(({ number }) => Number(number) - from.ordinal));
    return rows.filter((row) => !stored.has(row));
  }

  /**
   * Inserts a block again that the server reported as a duplicate but does not have. A server that crashes at
   * the wrong moment keeps the token and loses the rows. Replicas keep both or neither, but may show the rows
   * later. The batch then has to wait.
   */
  async #again(table: string, block: Buffer[], token: string, settings: Settings): Promise<void> {
    if (this.#setup.replicated) throw new Error('the replica has not received the stored records yet');
    await this.#statements.insert(table, block, `${token}:again`, settings);
  }

  /**
   * Returns settings that send all batches of a journal to one shard of a cluster, whichever server receives
   * them.
   */
  async #settings(journal: string): Promise<Settings> {
    const { cluster } = this.#tables;
    if (cluster === undefined) return {};
    if (this.#shards === undefined) {
      const [row] = await this.#statements.rows<{ shards: string | number }>(
        `SELECT max(shard_num) AS shards FROM system.clusters WHERE cluster = ${literal(cluster)}`,
      );
      this.#shards = Number(row?.shards);
    }
    const hash = createHash('sha256').update(journal).digest().readUInt32LE();
    return { insert_shard_id: 1 + (hash % this.#shards) };
  }
}

type Settings = Record<string, number>;
