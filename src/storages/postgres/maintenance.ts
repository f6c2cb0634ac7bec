import type { LeaseRequest } from '../../storage/contract.ts';
import type { Part } from '../../storage/retention.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { periodNumber } from '../sql/key-budgets.ts';
import { type PrunedBucket, ServerMaintenance } from '../sql/server-maintenance.ts';
import { hasSums, type SharedTable } from '../sql/sweeper.ts';
import type { Session } from './session.ts';

/** Maximum time that the server may take to rewrite the tables. In ms. */
const SCRUB_TIMEOUT = 24 * 3_600_000;

/**
 * Expression: the transaction does not wait until its commit is on disk, so that batches wait less. What a crash undoes
 * is deleted again.
 */
const NO_WAIT = "set_config('synchronous_commit', 'off', true)";

/** Deletes data in PostgreSQL. */
export class PostgresMaintenance extends ServerMaintenance {
  protected readonly now = 'floor(extract(epoch FROM clock_timestamp()) * 1000)';
  readonly #session: Session;
  /** True if a deleted record contained texts of its own. */
  #hasErasedTexts = false;

  constructor(session: Session, dialect: ServerDialect, site: number) {
    super(dialect, site);
    this.#session = session;
  }

  async lease({ task, holder, ms }: LeaseRequest): Promise<boolean> {
    const rows = await this.#session.query(
      `INSERT INTO ${this.#table('leases')} AS t (site, task, holder, ends)
       VALUES ($1::int4, $2::text, $3::text, clock_timestamp() + $4::float8 * interval '1 ms')
       ON CONFLICT (site, task) DO UPDATE SET holder = excluded.holder, ends = excluded.ends
       WHERE t.holder = excluded.holder OR t.ends <= clock_timestamp() RETURNING site`,
      [this.site, task, holder, ms],
    );
    return rows.length === 1;
  }

  async scrub(): Promise<void> {
    // A plain VACUUM leaves the bytes of deleted rows in their pages.
    const rewritten = ['strings', 'agents', ...(this.#hasErasedTexts ? ['records'] : [])];
    for (const name of rewritten)
      await this.#session.script(`VACUUM (FULL) ${this.#table(name)}`, SCRUB_TIMEOUT);
    this.#hasErasedTexts = false;
  }

  async beginSweep(): Promise<number> {
    const [row] = await this.#session.query<{ number: number }>(
      `UPDATE ${this.#table('sweeps')} SET number = number + 1 RETURNING number`,
    );
    return Number(row!.number);
  }

  /** Rows that a writer has locked are in use. Waiting for them could lead to a deadlock. */
  async deleteUnused(name: SharedTable, ids: readonly number[], sweep: number): Promise<void> {
    const table = this.#table(name);
    await this.#session.query(
      `WITH deleted AS (
         DELETE FROM ${table} WHERE id IN (
           SELECT id FROM ${table} WHERE id IN (${ids.join(', ')}) AND seen < ${sweep} FOR UPDATE SKIP LOCKED
         )
       )
       SELECT ${NO_WAIT}`,
    );
  }

  async deleteBuckets(site: number, buckets: readonly number[]): Promise<void> {
    const { bucketWithin } = this.dialect;
    const some = buckets.map((bucket) => bucketWithin('b.bucket', { from: bucket, to: bucket })).join(' OR ');
    // Without current statistics, the planner would read all sums for each bucket.
    await this.#session.script(
      `SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
       SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
       SELECT number FROM ${this.#table('sweeps')} FOR UPDATE;
       DELETE FROM ${this.#table('buckets')} b WHERE b.site = ${site} AND (${some}) AND ${hasSums(this.dialect)} = 0`,
    );
  }

  protected retainPart(
    part: Part,
    keep: string,
    horizon: number | null,
    replaces: boolean,
  ): Promise<unknown> {
    const stored = replaces ? 'excluded.horizon' : 'greatest(t.horizon, excluded.horizon)';
    return this.#session.query(
      `INSERT INTO ${this.#table('retention')} AS t (site, part, keep, horizon)
       VALUES ($1::int4, $2::text, $3::text, $4::int8)
       ON CONFLICT (site, part) DO UPDATE SET keep = excluded.keep, horizon = ${stored}`,
      [this.site, part, keep, horizon],
    );
  }

  protected pruneRecords(from: number, to: number, limit: number): Promise<number> {
    const within = this.dialect.recordWithin(this.site, { from, to });
    return this.#deleteRecords(`${within} ORDER BY r.date, r.journal, r.ordinal`, limit);
  }

  protected eraseRecords(where: string, limit: number): Promise<number> {
    return this.#deleteRecords(where, limit);
  }

  async #deleteRecords(where: string, limit: number): Promise<number> {
    const table = this.#table('records');
    const [row] = await this.#session.query<{ deleted: string; texts: string }>(
      `WITH deleted AS (
         DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
           SELECT r.ctid FROM ${table} r WHERE ${where} LIMIT ${limit} FOR UPDATE SKIP LOCKED
         )) RETURNING extra
       )
       SELECT count(*) AS deleted, count(extra) AS texts, ${NO_WAIT} FROM deleted`,
    );
    this.#hasErasedTexts ||= Number(row!.texts) > 0;
    return Number(row!.deleted);
  }

  protected async pruneSums({ period, series, bucket }: PrunedBucket, limit: number): Promise<number> {
    const { sums, bucketWithin } = this.dialect;
    const table = this.#table(sums[period]);
    const within = (alias: string) =>
      `${alias}.series IN (${series.join(', ')}) AND ${bucketWithin(`${alias}.bucket`, { from: bucket, to: bucket })}`;
    // Rows are locked in the order in which writers lock them.
    const [row] = await this.#session.query<{ deleted: string }>(
      `WITH deleted AS (
         DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
           SELECT t.ctid FROM ${table} t WHERE ${within('t')} ORDER BY t.series, t.key LIMIT ${limit} FOR UPDATE
         )) RETURNING key
       ),
       counts AS (
         DELETE FROM ${this.#table('key_counts')} c WHERE c.period = ${periodNumber(period)} AND ${within('c')}
       )
       SELECT count(*) AS deleted, ${NO_WAIT} FROM deleted`,
    );
    return Number(row!.deleted);
  }

  #table(name: string): string {
    return this.dialect.table(name);
  }
}
