import { monotonicClock } from '../../platform/clock.ts';
import type {
  LeaseRequest,
  Person,
  PruneRequest,
  StorageMaintenance,
  StorageTimes,
  TimeZoneRequest,
} from '../../storage/contract.ts';
import { isForwardedFor } from '../../storage/person.ts';
import { PARTS, type Part, type StoredRetention } from '../../storage/retention.ts';
import { type Period, targetOf } from '../../summaries/periods.ts';
import { RECORD_TEXTS } from './columns.ts';
import { CALENDAR, type Row, type ServerDialect } from './dialect.ts';
import { retentionOfSite } from './stored-retention.ts';
import { type SharedTable, type SweepChanges, Sweeper } from './sweeper.ts';

/** Time after which a call deletes no further bucket. In ms. */
const STEP = 20;
/** Time after which a call ends that finds rows but deletes none, because another transaction has locked them. In ms. */
const MAX_WAIT = 1_000;

/** Sums to delete. */
export interface PrunedBucket {
  period: Period;
  /** IDs of the summaries that have the bucket. */
  series: readonly number[];
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
}

/** Base of the deletion of data in an engine that runs as a server. */
export abstract class ServerMaintenance implements StorageMaintenance, SweepChanges {
  protected readonly dialect: ServerDialect;
  /** ID of the site. */
  protected readonly site: number;
  readonly #sweeper: Sweeper;
  /**
   * Date of the rows deleted last, by part. Older ones are only searched again when there are no more, because engines
   * keep deleted rows in their indexes for a while.
   */
  readonly #deletedUntil = new Map<Part, number>();
  /** Person being deleted, and the condition on the records. */
  #erasing: { name: string; where: string | undefined } | undefined;

  constructor(dialect: ServerDialect, site: number) {
    this.dialect = dialect;
    this.site = site;
    this.#sweeper = new Sweeper(dialect, this);
  }

  abstract lease(request: LeaseRequest): Promise<boolean>;
  abstract scrub(): Promise<void>;
  abstract beginSweep(): Promise<number>;
  abstract deleteUnused(table: SharedTable, ids: readonly number[], sweep: number): Promise<unknown>;
  abstract deleteBuckets(site: number, buckets: readonly number[]): Promise<unknown>;
  /** Stores the retention of one part. */
  protected abstract retainPart(
    part: Part,
    keep: string,
    horizon: number | null,
    replaces: boolean,
  ): Promise<unknown>;
  /** SQL expression: time of the server, in ms since 1970. */
  protected abstract readonly now: string;
  /**
   * Deletes the oldest of the site's records in a range.
   * @param from First date of such a record, in ms since 1970.
   * @param to Last date, inclusive.
   */
  protected abstract pruneRecords(from: number, to: number, limit: number): Promise<number>;
  /** Deletes sums and their count. */
  protected abstract pruneSums(bucket: PrunedBucket, limit: number): Promise<number>;
  /** Deletes records `r` that meet a condition. */
  protected abstract eraseRecords(where: string, limit: number): Promise<number>;

  async times(): Promise<StorageTimes> {
    const { query, table, records, recordWithin, bucketMs } = this.dialect;
    const [row] = await query(
      `SELECT ${this.now} AS now, (SELECT ${bucketMs('r.date')} FROM ${table(records)} r
         WHERE ${recordWithin(this.site, CALENDAR)} ORDER BY r.date DESC LIMIT 1) AS newest`,
    );
    const { now, newest } = row!;
    return {
      now: Number(now),
      newest: newest === null ? undefined : Number(newest),
      retention: await retentionOfSite(this.dialect, String(this.site)),
    };
  }

  async retain(retention: StoredRetention, replaces = false): Promise<void> {
    for (const part of PARTS) {
      const found = retention[part];
      if (found) await this.retainPart(part, found.keep, found.before, replaces);
    }
  }

  async prune({ part, before, limit }: PruneRequest): Promise<number> {
    const begin = monotonicClock.now();
    const to = Math.ceil(before) - 1;
    let deleted = 0;
    for (;;) {
      const left = limit - deleted;
      const rows =
        part === 'records' ? await this.#pruneRecords(to, left) : await this.#pruneSums(part, to, left);
      if (rows === undefined) break;
      deleted += rows;
      // Rows that were found may be gone or locked. The next pruning deletes those that stay locked.
      const wait = deleted === 0 ? MAX_WAIT : STEP;
      if (deleted >= limit || monotonicClock.now() >= begin + wait) break;
    }
    return deleted;
  }

  sweep(): Promise<boolean> {
    return this.#sweeper.step();
  }

  /** The number of the last sweep is locked by each batch, and a batch with an older one is refused. */
  async setTimeZone({ from, to }: TimeZoneRequest): Promise<boolean> {
    const { query, table, text } = this.dialect;
    const ofSite = `id = ${this.site}`;
    await query(
      `UPDATE ${table('sites')} SET time_zone = ${text(to)} WHERE ${ofSite} AND time_zone IN (${text(from)}, ${text(to)})`,
    );
    const [site] = await query(`SELECT time_zone FROM ${table('sites')} WHERE ${ofSite}`);
    if (site?.time_zone !== to) return false;
    await this.beginSweep();
    // They contain the offset of the previous zone.
    if (targetOf(to) !== undefined) await query(`DELETE FROM ${table('buckets')} WHERE site = ${this.site}`);
    return true;
  }

  async erase(person: Person, limit: number): Promise<number> {
    const name = JSON.stringify(person);
    for (;;) {
      const isKnown = this.#erasing?.name === name;
      // Finding the texts takes long, and one step may be followed by many.
      if (!isKnown) this.#erasing = { name, where: await this.#recordsOf(person) };
      const { where } = this.#erasing!;
      const deleted = where === undefined ? 0 : await this.eraseRecords(where, limit);
      if (deleted > 0) return deleted;
      this.#erasing = undefined;
      // Other texts may have been added since.
      if (!isKnown) return 0;
    }
  }

  /** Deletes the oldest records. Returns `undefined` if there are none. */
  #pruneRecords(to: number, limit: number): Promise<number | undefined> {
    const { query, table, records, recordWithin, bucketMs } = this.dialect;
    return this.#resuming('records', async (from) => {
      const [row] = await query(
        `SELECT ${bucketMs('r.date')} AS ms FROM ${table(records)} r WHERE ${recordWithin(this.site, { from, to })}
         ORDER BY r.date LIMIT 1`,
      );
      if (!row) return undefined;
      const oldest = Number(row.ms);
      return { until: oldest, rows: await this.pruneRecords(oldest, to, limit) };
    });
  }

  /** Deletes sums of the oldest bucket. Returns `undefined` if there is none. */
  #pruneSums(period: Period, to: number, limit: number): Promise<number | undefined> {
    const { query, table, sums, bucketMs, bucketWithin } = this.dialect;
    return this.#resuming(period, async (from) => {
      const rows = await query(
        `SELECT s.id, ${bucketMs(`(SELECT t.bucket FROM ${table(sums[period])} t
           WHERE t.series = s.id AND ${bucketWithin('t.bucket', { from, to })} ORDER BY t.bucket LIMIT 1)`)} AS ms
         FROM ${table('series')} s WHERE s.site = ${this.site}`,
      );
      const found = rows.filter(({ ms }) => ms !== null);
      if (found.length === 0) return undefined;
      const bucket = Math.min(...found.map(({ ms }) => Number(ms)));
      const series = found.filter(({ ms }) => Number(ms) === bucket).map(({ id }) => Number(id));
      return { until: bucket, rows: await this.pruneSums({ period, series, bucket }, limit) };
    });
  }

  async #resuming(
    part: Part,
    prune: (from: number) => Promise<{ until: number; rows: number } | undefined>,
  ): Promise<number | undefined> {
    const from = this.#deletedUntil.get(part);
    let deleted = from === undefined ? undefined : await prune(from);
    deleted ??= await prune(CALENDAR.from);
    if (deleted) this.#deletedUntil.set(part, deleted.until);
    else this.#deletedUntil.delete(part);
    return deleted?.rows;
  }

  /** Returns the condition on a person's records `r`, or `undefined` if no text is that person's. */
  async #recordsOf({ column, value }: Person): Promise<string | undefined> {
    const { query, table, isText, contains } = this.dialect;
    const strings = `${table('strings')} strings`;
    const idsOf = (rows: readonly Row[]) => rows.map(({ id }) => Number(id));
    const own = idsOf(await query(`SELECT strings.id FROM ${strings} WHERE ${isText(value)}`));
    const conditions = [listOf(`r.${RECORD_TEXTS[column]}`, own)];
    if (column === 'remoteAddr') {
      const lists = await query(
        `SELECT strings.id, strings.text FROM ${strings} WHERE ${contains('strings.text', value)}`,
      );
      const found = lists.filter(({ text }) => isForwardedFor(String(text), value));
      conditions.push(listOf(`r.${RECORD_TEXTS.forwardedFor}`, idsOf(found)));
    }
    const any = conditions.filter((condition) => condition !== undefined).join(' OR ');
    return any === '' ? undefined : `r.site = ${this.site} AND (${any})`;
  }
}

function listOf(column: string, ids: readonly number[]): string | undefined {
  return ids.length === 0 ? undefined : `${column} IN (${ids.join(', ')})`;
}
