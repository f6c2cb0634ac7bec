import type { LeaseRequest } from '../../storage/contract.ts';
import type { Part } from '../../storage/retention.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { periodNumber } from '../sql/key-budgets.ts';
import { type PrunedBucket, ServerMaintenance } from '../sql/server-maintenance.ts';
import { hasSums, type SharedTable } from '../sql/sweeper.ts';
import { datetime, text } from './literals.ts';
import { affectedBy, type Query, type Session } from './session.ts';

/** Maximum time that the server may take to rewrite the tables. In ms. */
const SCRUB_TIMEOUT = 24 * 3_600_000;
/** Number of records deleted by their positions per statement. */
const RECORDS_PER_STATEMENT = 200;

/** Deletes data in MySQL and MariaDB. */
export class MysqlMaintenance extends ServerMaintenance {
  protected readonly now = 'FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)';
  readonly #session: Session;
  /** True if a deleted record contained texts of its own. */
  #hasErasedTexts = false;

  constructor(session: Session, dialect: ServerDialect, site: number) {
    super(dialect, site);
    this.#session = session;
  }

  lease({ task, holder, ms }: LeaseRequest): Promise<boolean> {
    const leases = this.#session.table('leases');
    const now = 'UTC_TIMESTAMP(3)';
    const [id, own] = [text(task), text(holder)];
    return this.#inTransaction(async (query) => {
      // Assignments are evaluated from left to right.
      await query(
        `INSERT INTO ${leases} (site, task, holder, ends)
         VALUES (${this.site}, ${id}, ${own}, ${now} + INTERVAL ${Math.round(1000 * ms)} MICROSECOND)
         ON DUPLICATE KEY UPDATE
           holder = IF(holder = VALUES(holder) OR ends <= ${now}, VALUES(holder), holder),
           ends = IF(holder = VALUES(holder), VALUES(ends), ends)`,
      );
      const [found] = await query(`SELECT holder FROM ${leases} WHERE site = ${this.site} AND task = ${id}`);
      return found!.holder === holder;
    });
  }

  async scrub(): Promise<void> {
    const rewritten = ['strings', 'agents', ...(this.#hasErasedTexts ? ['requests'] : [])];
    for (const name of rewritten) {
      await this.#session.query(`OPTIMIZE TABLE ${this.#session.table(name)}`, SCRUB_TIMEOUT);
    }
    this.#hasErasedTexts = false;
  }

  beginSweep(): Promise<number> {
    const sweeps = this.#session.table('sweeps');
    return this.#inTransaction(async (query) => {
      await query(`UPDATE ${sweeps} SET number = number + 1`);
      const [row] = await query(`SELECT number FROM ${sweeps}`);
      return Number(row!.number);
    });
  }

  async deleteUnused(name: SharedTable, ids: readonly number[], sweep: number): Promise<void> {
    await this.#session.query(
      `DELETE FROM ${this.#session.table(name)} WHERE id IN (${ids.join(', ')}) AND seen < ${sweep}`,
    );
  }

  async deleteBuckets(site: number, buckets: readonly number[]): Promise<void> {
    await this.#inTransaction(async (query) => {
      await query(`SELECT number FROM ${this.#session.table('sweeps')} FOR UPDATE`);
      await query(
        `DELETE b FROM ${this.#session.table('buckets')} b
         WHERE b.site = ${site} AND b.bucket IN (${buckets.map(datetime).join(', ')}) AND ${hasSums(this.dialect)} = 0`,
      );
    });
  }

  protected retainPart(
    part: Part,
    keep: string,
    horizon: number | null,
    replaces: boolean,
  ): Promise<unknown> {
    const stored = replaces
      ? 'VALUES(horizon)'
      : 'GREATEST(COALESCE(horizon, VALUES(horizon)), COALESCE(VALUES(horizon), horizon))';
    return this.#session.query(
      `INSERT INTO ${this.#session.table('retention')} (site, part, keep, horizon)
       VALUES (${this.site}, ${text(part)}, ${text(keep)}, ${horizon ?? 'NULL'})
       ON DUPLICATE KEY UPDATE keep = VALUES(keep),
         horizon = ${stored}`,
    );
  }

  protected async pruneRecords(from: number, to: number, limit: number): Promise<number> {
    // A single-table DELETE has no alias in MariaDB.
    return affectedBy(
      await this.#session.query(
        `DELETE FROM ${this.#session.table('requests')} WHERE site = ${this.site}
           AND date BETWEEN ${datetime(from)} AND ${datetime(to)}
         ORDER BY site, date, journal, ordinal LIMIT ${limit}`,
      ),
    );
  }

  /** Finds the records without locks, and then deletes them by their positions. */
  protected async eraseRecords(where: string, limit: number): Promise<number> {
    const table = this.#session.table('requests');
    const found = await this.#session.query(
      `SELECT r.date, r.journal, r.ordinal, r.extra IS NOT NULL AS has_texts FROM ${table} r WHERE ${where} LIMIT ${limit}`,
    );
    let deleted = 0;
    for (let at = 0; at < found.length; at += RECORDS_PER_STATEMENT) {
      const positions = found
        .slice(at, at + RECORDS_PER_STATEMENT)
        .map(
          ({ date, journal, ordinal }) =>
            `(date = '${date}' AND journal = ${journal} AND ordinal = ${ordinal})`,
        );
      deleted += affectedBy(
        await this.#session.query(
          `DELETE FROM ${table} WHERE site = ${this.site} AND (${positions.join(' OR ')})`,
        ),
      );
    }
    this.#hasErasedTexts ||= found.some((row) => row.has_texts === '1');
    return deleted;
  }

  protected pruneSums({ period, series, bucket }: PrunedBucket, limit: number): Promise<number> {
    const of = `series IN (${series.join(', ')})`;
    const table = this.#session.table(this.dialect.sums[period]);
    return this.#inTransaction(async (query) => {
      const deleted = await query(
        `DELETE FROM ${table} WHERE ${of} AND bucket = ${datetime(bucket)}
         ORDER BY series, bucket, \`key\` LIMIT ${limit}`,
      );
      await query(
        `DELETE FROM ${this.#session.table('key_counts')}
         WHERE ${of} AND period = ${periodNumber(period)} AND bucket = ${datetime(bucket)}`,
      );
      return affectedBy(deleted);
    });
  }

  /** Runs statements in a transaction that sees what others commit meanwhile, and locks only the rows it changes. */
  #inTransaction<T>(run: (query: Query) => Promise<T>): Promise<T> {
    return this.#session.lease(async (query) => {
      await query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await query('START TRANSACTION');
      const result = await run(query);
      await query('COMMIT');
      return result;
    });
  }
}
