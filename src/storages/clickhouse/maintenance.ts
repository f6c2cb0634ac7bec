import { monotonicClock, setTimeout } from '../../platform/clock.ts';
import type {
  LeaseRequest,
  Person,
  PruneRequest,
  StorageMaintenance,
  StorageTimes,
  TimeZoneRequest,
} from '../../storage/contract.ts';
import { COLUMNS } from '../../storage/fold-records.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { CHANGES } from '../../summaries/coverage.ts';
import { literal, type Statements } from './client.ts';
import { requestLease } from './lease.ts';
import { LAST_BUCKET, LAST_DATE } from './queries.ts';
import { retained, storeRetention } from './retention.ts';
import { timeZoneOf } from './schema.ts';
import type { Tables } from './table-names.ts';
import { localName } from './tables.ts';

/** Maximum number of records that one statement deletes by their numbers. More would exceed `max_query_size`. */
const MAX_ERASED = 2_000;
/** Share of deleted rows at which parts are rewritten without them. */
const REWRITTEN_SHARE = 0.1;
/** Interval at which `scrub` checks its progress, and the time after which it fails. In ms. */
const POLL_INTERVAL_MS = 100;
const SCRUB_TIMEOUT_MS = 600_000;
/** The server's error code for parts that cannot be merged at the moment, because they are being merged. */
const CANNOT_ASSIGN_OPTIMIZE = '388';

/** Rows of `usage_sums` that add nothing, so that they can be deleted at any time. */
const IS_ZERO = 'hits = 0 AND transfer = 0 AND errors = 0 AND duration = 0 AND position = 0';

/**
 * Deletes data. Each deletion is a mutation, which costs about the same for one row as for a million: it hides the rows
 * (lightweight `DELETE`), and merges remove them later. So one call deletes up to a whole month.
 */
export class ClickhouseMaintenance implements StorageMaintenance {
  readonly #statements: Statements;
  readonly #tables: Tables;
  readonly #site: string;
  readonly #isReplicated: () => boolean;
  readonly #records: string;
  readonly #sums: string;

  /** @param isReplicated Returns whether the engine replicates data. */
  constructor(statements: Statements, tables: Tables, site: string, isReplicated: () => boolean) {
    this.#statements = statements;
    this.#tables = tables;
    this.#site = site;
    this.#isReplicated = isReplicated;
    this.#records = localName('usage_records', tables.naming);
    this.#sums = localName('usage_sums', tables.naming);
  }

  lease(request: LeaseRequest): Promise<boolean> {
    return requestLease(this.#statements, this.#tables, this.#site, this.#isReplicated(), request);
  }

  async times(): Promise<StorageTimes> {
    const [row] = await this.#statements.rows<Record<'now' | 'newest', string | number>>(
      `SELECT toUnixTimestamp64Milli(now64(3)) AS now, (
         SELECT toUnixTimestamp64Milli(r.date) FROM ${this.#tables.records} AS r WHERE site = ${literal(this.#site)}
         ORDER BY site DESC, date DESC LIMIT 1
       ) AS newest`,
    );
    const { now, newest } = row!;
    return {
      now: Number(now),
      newest: newest === null ? undefined : Number(newest),
      retention: await retained(this.#statements, this.#tables, this.#site),
    };
  }

  async retain(retention: StoredRetention, replaces = false): Promise<void> {
    if (replaces) await this.#removeLater(retention);
    const kept = Object.entries(retention).map(([part, { keep, before }]) => ({
      part: part as keyof StoredRetention,
      keep,
      before: Math.max(0, Math.ceil(before ?? 0)),
    }));
    return storeRetention(this.#statements, this.#tables, this.#site, false, kept);
  }

  /** Deletes the stored starts of kept data that are later than these. */
  async #removeLater(retention: StoredRetention): Promise<void> {
    const later = Object.entries(retention).map(
      ([part, { before }]) => `part = ${literal(part)} AND before > ${Math.max(0, Math.ceil(before ?? 0))}`,
    );
    if (later.length === 0) return;
    const table = localName('usage_retention', this.#tables.naming);
    await this.#delete(table, `site = ${literal(this.#site)} AND expires = 0 AND (${later.join(' OR ')})`);
  }

  async prune({ part, before }: PruneRequest): Promise<number> {
    const ofSite = `site = ${literal(this.#site)}`;
    if (part === 'records') {
      const { records } = this.#tables;
      return this.#deleteOldest(records, this.#records, 'date', toDate(before), [ofSite]);
    }
    const { sums } = this.#tables;
    const conditions = [ofSite, `period = ${literal(part)}`];
    return this.#deleteOldest(sums, this.#sums, 'bucket', toBucket(before), conditions);
  }

  /** Deletes the rows of the oldest month, as far as they are older than `before`. Returns their number. */
  async #deleteOldest(
    from: string,
    local: string,
    column: string,
    before: string,
    where: readonly string[],
  ): Promise<number> {
    const conditions = [...where, `${column} < ${before}`];
    const [oldest] = await this.#statements.rows<Record<'month' | 'rows', string | number>>(
      `SELECT toYYYYMM(${column}) AS month, count() AS rows FROM ${from}
       WHERE ${conditions.join(' AND ')} GROUP BY month ORDER BY month LIMIT 1`,
    );
    if (!oldest) return 0;
    conditions.push(`toYYYYMM(${column}) <= ${Number(oldest.month)}`);
    await this.#delete(local, conditions.join(' AND '));
    return Number(oldest.rows);
  }

  /**
   * Rewrites parts of which many rows are deleted, and deletes merged sums that corrections reduced to nothing, both in
   * the background. Records and sums share no rows.
   */
  async sweep(): Promise<boolean> {
    for (const table of [this.#records, this.#sums]) {
      const [stored] = await this.#statements.rows<Record<'rows' | 'masked', string | number>>(
        `SELECT sum(rows) AS rows, countIf(has_lightweight_delete) AS masked FROM system.parts
         WHERE active AND ${this.#isTable(table)}`,
      );
      if (Number(stored?.masked) === 0) continue;
      const [left] = await this.#statements.rows<{ rows: string | number }>(
        `SELECT count() AS rows FROM ${table}`,
      );
      if (Number(left?.rows) > (1 - REWRITTEN_SHARE) * Number(stored?.rows)) continue;
      await this.#alter(table, 'APPLY DELETED MASK');
    }
    const isCorrected = `SELECT 1 FROM ${this.#sums} WHERE summary = ${literal(CHANGES.name)} LIMIT 1`;
    const isZero = `SELECT 1 FROM ${this.#sums} WHERE ${IS_ZERO} LIMIT 1`;
    // The second query reads the whole table.
    if (
      (await this.#statements.rows(isCorrected)).length > 0 &&
      (await this.#statements.rows(isZero)).length > 0
    )
      await this.#alter(this.#sums, `DELETE WHERE ${IS_ZERO}`);
    return false;
  }

  /**
   * ClickHouse has no transactions: a batch that was being inserted may still arrive after the change. The command that
   * changes the zone compares the sums with the records at its end.
   */
  async setTimeZone({ from, to }: TimeZoneRequest): Promise<boolean> {
    const site = literal(this.#site);
    const isStored = `site = ${site} AND time_zone IN (${[from, to].map(literal).join(', ')})`;
    const table = localName('usage_sites', this.#tables.naming);
    const wait = { mutations_sync: 2, alter_sync: 2 };
    await this.#alter(table, `UPDATE time_zone = ${literal(to)} WHERE ${isStored}`, wait);
    return (await timeZoneOf(this.#statements, this.#tables, this.#site)) === to;
  }

  /**
   * Deletes records by their numbers, because the server keeps the text of the statement in the table's folder: it must
   * not name the person.
   */
  async erase({ column, value }: Person, limit: number): Promise<number> {
    const text = literal(value);
    const condition =
      column === 'remoteAddr'
        ? `(remote_addr = ${text} OR has(arrayMap(one -> trimBoth(one), splitByChar(',', ifNull(forwarded_for, ''))), ${text}))`
        : `${COLUMNS[column]} = ${text}`;
    const found = await this.#statements.unlogged<{ ms: string; journal: string; ordinal: string }>(
      `SELECT toUnixTimestamp64Milli(date) AS ms, journal, ordinal FROM ${this.#tables.records}
       WHERE site = ${literal(this.#site)} AND ${condition} LIMIT ${Math.min(limit, MAX_ERASED)}`,
    );
    if (found.length === 0) return 0;
    const ordinals = new Map<string, string[]>();
    let [first, last] = [Number.POSITIVE_INFINITY, 0];
    for (const { ms, journal, ordinal } of found) {
      first = Math.min(first, Number(ms));
      last = Math.max(last, Number(ms));
      const others = ordinals.get(journal);
      if (others) others.push(String(ordinal));
      else ordinals.set(journal, [String(ordinal)]);
    }
    const records = [...ordinals].map(
      ([journal, of]) => `(journal = ${literal(journal)} AND ordinal IN (${of.join(', ')}))`,
    );
    await this.#delete(
      this.#records,
      `site = ${literal(this.#site)} AND date BETWEEN ${toDate(first)} AND ${toDate(last)}
       AND (${records.join(' OR ')})`,
    );
    return found.length;
  }

  /**
   * Rewrites all parts with deleted records, merges the sums, deletes the rows that add up to nothing, and waits until
   * the server has removed the previous parts from the disk.
   */
  async scrub(): Promise<void> {
    const deadline = monotonicClock.now() + SCRUB_TIMEOUT_MS;
    const wait = { mutations_sync: 2, alter_sync: 2 };
    await this.#alter(this.#records, 'APPLY DELETED MASK', wait);
    await this.#merge(deadline);
    await this.#alter(this.#sums, `DELETE WHERE ${IS_ZERO}`, wait);
    for (const table of [this.#records, this.#sums]) {
      // By default, the server keeps previous parts for eight minutes.
      await this.#alter(table, 'MODIFY SETTING old_parts_lifetime = 1');
      await this.#waitForRemoval(table, deadline);
      await this.#alter(table, 'RESET SETTING old_parts_lifetime');
    }
  }

  async #merge(deadline: number): Promise<void> {
    for (;;) {
      try {
        const { onCluster } = this.#tables.naming;
        await this.#statements.run(`OPTIMIZE TABLE ${this.#sums} ${onCluster} FINAL`, {
          optimize_throw_if_noop: 1,
          alter_sync: 2,
        });
        return;
      } catch (error) {
        const isBusy = (error as { code?: string }).code === CANNOT_ASSIGN_OPTIMIZE;
        if (!isBusy || monotonicClock.now() > deadline) throw error;
        await pause();
      }
    }
  }

  /** Waits until the parts that are inactive now are removed. */
  async #waitForRemoval(table: string, deadline: number): Promise<void> {
    const { cluster } = this.#tables;
    const parts =
      cluster === undefined ? 'system.parts' : `clusterAllReplicas(${literal(cluster)}, system.parts)`;
    const inactive = async () => {
      const rows = await this.#statements.rows<{ part: string }>(
        `SELECT concat(hostName(), ' ', name) AS part FROM ${parts} WHERE NOT active AND ${this.#isTable(table)}`,
      );
      return rows.map(({ part }) => part);
    };
    let left = await inactive();
    let isWakeable = true;
    while (left.length > 0) {
      if (isWakeable) isWakeable = await this.#wakeCleanup(table);
      if (monotonicClock.now() > deadline) {
        throw new Error(`the server has not removed ${left.length} previous parts of ${table} yet`);
      }
      await pause();
      const now = new Set(await inactive());
      left = left.filter((part) => now.has(part));
    }
  }

  /**
   * Starts the removal of previous parts immediately. An idle server checks for them every 0.5 to 5 minutes.
   * Returns false if the server is too old, or the user lacks the privilege.
   */
  async #wakeCleanup(table: string): Promise<boolean> {
    try {
      await this.#statements.run(`SYSTEM START CLEANUP ${this.#tables.naming.onCluster} ${table}`);
      return true;
    } catch {
      // It only saves time: if the server failed, the next query fails, too.
      return false;
    }
  }

  /** Returns the condition on `system.parts` that selects the parts of a table. */
  #isTable(table: string): string {
    const { database, naming } = this.#tables;
    return `database = ${literal(database)} AND table = ${literal(table.slice(naming.database.length + 1))}`;
  }

  async #delete(table: string, condition: string): Promise<void> {
    await this.#statements.run(`DELETE FROM ${table} ${this.#tables.naming.onCluster} WHERE ${condition}`);
  }

  async #alter(table: string, change: string, settings = {}): Promise<void> {
    await this.#statements.run(`ALTER TABLE ${table} ${this.#tables.naming.onCluster} ${change}`, settings);
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
}

function toDate(ms: number): string {
  return `fromUnixTimestamp64Milli(toInt64(${Math.min(Math.max(0, Math.ceil(ms)), LAST_DATE)}), 'UTC')`;
}

function toBucket(ms: number): string {
  return `toDateTime(${Math.min(Math.max(0, Math.ceil(ms / 1000)), LAST_BUCKET)}, 'UTC')`;
}
