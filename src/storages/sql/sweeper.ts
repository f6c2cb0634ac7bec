import { monotonicClock } from '../../platform/clock.ts';
import { PERIODS } from '../../summaries/periods.ts';
import { ENDPOINT_TEXTS, RECORD_TEXTS } from './columns.ts';
import { columnsOf } from './columns-of.ts';
import { CALENDAR, type Dialect, type RecordPosition, type ServerDialect } from './dialect.ts';
import { IdSet } from './id-set.ts';

/** Tables whose rows others refer to. */
export type SharedTable = 'strings' | 'agents' | 'endpoints';

/** Changes of a sweep, which differ between the engines. */
export interface SweepChanges {
  /** Begins a sweep, when no batch is being stored. Returns its number. */
  beginSweep(): Promise<number>;
  /** Deletes those of these rows that no writer has looked up since a sweep began. */
  deleteUnused(table: SharedTable, ids: readonly number[], sweep: number): Promise<unknown>;
  /** Deletes those of these bucket dates that have no sums, while no batch is being stored. */
  deleteBuckets(site: number, buckets: readonly number[]): Promise<unknown>;
}

/** Time that a step should take. In ms. */
const STEP = 25;
const MIN_ROWS = 500;
const MAX_ROWS = 20_000;
/** Number of bucket dates deleted per step. */
const DELETED_BUCKETS = 50;
/** Number of text IDs for which marks are kept at a time: 16 MiB. */
const MAX_MARKS = 2 ** 27;

const RECORD_IDS = Object.values(RECORD_TEXTS);
const ENDPOINT_IDS = Object.values(ENDPOINT_TEXTS);

/**
 * Deletes rows to which nothing refers, in short steps. A pass marks the IDs that are in use, and then deletes the
 * others. Meanwhile, writers may refer to more rows. They look them up again, because no batch is stored with IDs that
 * were looked up before the pass began, and rows that were looked up since then are not deleted: see `CurrentSweep`.
 * So several processes may sweep at the same time.
 */
export class Sweeper {
  readonly #dialect: ServerDialect;
  readonly #changes: SweepChanges;
  readonly #maxMarks: number;
  #pass: AsyncGenerator<void> | undefined;
  /** Number of rows read per step. */
  #rows = 2_000;

  /** @param maxMarks Number of text IDs for which marks are kept at a time. */
  constructor(dialect: ServerDialect, changes: SweepChanges, maxMarks = MAX_MARKS) {
    this.#dialect = dialect;
    this.#changes = changes;
    this.#maxMarks = maxMarks;
  }

  /** Runs a step. Returns false if it completes a pass. A failed pass starts over. */
  async step(): Promise<boolean> {
    this.#pass ??= this.#sweep();
    const pass = this.#pass;
    this.#pass = undefined;
    const begin = monotonicClock.now();
    const { done } = await pass.next();
    const took = monotonicClock.now() - begin;
    if (took > 2 * STEP) this.#rows = Math.max(MIN_ROWS, this.#rows >> 1);
    else if (took < STEP) this.#rows = Math.min(MAX_ROWS, this.#rows * 2);
    if (done) return false;
    this.#pass = pass;
    return true;
  }

  async *#sweep(): AsyncGenerator<void> {
    const sweep = await this.#changes.beginSweep();
    // Read afterwards: rows that are added from now on are in use.
    const sites = await this.#ids('sites');
    const series = await columnsOf(
      this.#dialect,
      ['id', 'site'],
      `SELECT t.id, t.site FROM ${this.#dialect.table('series')} t`,
    );
    const last = async (table: SharedTable) =>
      Math.max(0, ...(await this.#ids(table, 'ORDER BY t.id DESC LIMIT 1')));
    const agents = new IdSet(1, await last('agents'));
    const endpoints = new IdSet(1, await last('endpoints'));
    const lastText = await last('strings');
    // Starts of the buckets that have sums, by site. Dates of a site that is added meanwhile stay.
    const buckets = new Map(sites.map((site) => [site, new Set<number>()]));
    yield;
    for (let from = 1; from <= lastText; from += this.#maxMarks) {
      const texts = new IdSet(from, Math.min(lastText, from + this.#maxMarks - 1));
      for (const site of sites) yield* this.#markRecords(site, texts, agents, endpoints);
      if (from === 1) {
        yield* this.#delete('agents', agents, sweep);
        yield* this.#delete('endpoints', endpoints, sweep);
      }
      yield* this.#markShared('agents', ['string'], texts);
      yield* this.#markShared('endpoints', ENDPOINT_IDS, texts);
      for (const [i, id] of series.id.entries()) {
        yield* this.#markKeys(Number(id), texts, buckets.get(Number(series.site[i])) ?? new Set());
      }
      yield* this.#delete('strings', texts, sweep);
    }
    for (const [site, used] of buckets) yield* this.#deleteBuckets(site, used);
  }

  async *#markRecords(site: number, texts: IdSet, agents: IdSet, endpoints: IdSet): AsyncGenerator<void> {
    const { records, isBeyond, bucketMs, table } = this.#dialect;
    let after: RecordPosition | undefined;
    for (;;) {
      const beyond = after ? `AND ${isBeyond('>', after)}` : '';
      const limit = this.#rows;
      const { ms, journal, ordinal, agent, endpoint, ...found } = await columnsOf(
        this.#dialect,
        [...RECORD_IDS, 'agent', 'endpoint', 'ms', 'journal', 'ordinal'],
        `SELECT ${RECORD_IDS.map((column) => `r.${column}`).join(', ')}, r.agent, r.endpoint,
           ${bucketMs('r.date')} AS ms, r.journal, r.ordinal
         FROM ${table(records)} r WHERE r.site = ${site} ${beyond}
         ORDER BY r.date, r.journal, r.ordinal LIMIT ${limit}`,
      );
      for (const ids of Object.values(found)) texts.addAll(ids);
      agents.addAll(agent);
      endpoints.addAll(endpoint);
      yield;
      if (ms.length < limit) return;
      const number = (column: readonly unknown[]) => Number(column.at(-1));
      after = { ms: number(ms), journal: number(journal), ordinal: number(ordinal) };
    }
  }

  /** Marks the texts to which the rows of a table refer. */
  async *#markShared(name: SharedTable, columns: readonly string[], texts: IdSet): AsyncGenerator<void> {
    let after = 0;
    for (;;) {
      const limit = this.#rows;
      const { id, ...found } = await columnsOf(
        this.#dialect,
        [...columns, 'id'],
        `SELECT ${columns.join(', ')}, id FROM ${this.#dialect.table(name)} WHERE id > ${after} ORDER BY id LIMIT ${limit}`,
      );
      for (const ids of Object.values(found)) texts.addAll(ids);
      yield;
      if (id!.length < limit) return;
      after = Number(id!.at(-1));
    }
  }

  /** Marks the keys and the buckets of a summary's sums. */
  async *#markKeys(series: number, texts: IdSet, buckets: Set<number>): AsyncGenerator<void> {
    const { table, sums, bucketMs, bucketWithin } = this.#dialect;
    for (const period of PERIODS) {
      let after: { bucket: number; key: number } | undefined;
      for (;;) {
        const { bucket, key } = after ?? { bucket: CALENDAR.from, key: -1 };
        const same = bucketWithin('t.bucket', { from: bucket, to: bucket });
        const limit = this.#rows;
        const { k, ms } = await columnsOf(
          this.#dialect,
          ['k', 'ms'],
          `SELECT t.key AS k, ${bucketMs('t.bucket')} AS ms FROM ${table(sums[period])} t
           WHERE t.series = ${series} AND ${bucketWithin('t.bucket', { from: bucket, to: CALENDAR.to })}
             AND (NOT (${same}) OR t.key > ${key})
           ORDER BY t.bucket, t.key LIMIT ${limit}`,
        );
        texts.addAll(k);
        for (const start of ms) buckets.add(Number(start));
        yield;
        if (k.length < limit) break;
        after = { bucket: Number(ms.at(-1)), key: Number(k.at(-1)) };
      }
    }
  }

  async *#delete(table: SharedTable, marks: IdSet, sweep: number): AsyncGenerator<void> {
    let after = marks.first - 1;
    for (;;) {
      const limit = this.#rows;
      const where = `t.id > ${after} AND t.id <= ${marks.last} AND t.seen < ${sweep}`;
      const ids = await this.#ids(table, `WHERE ${where} ORDER BY t.id LIMIT ${limit}`);
      const unused = ids.filter((id) => !marks.has(id));
      if (unused.length > 0) await this.#changes.deleteUnused(table, unused, sweep);
      yield;
      if (ids.length < limit) return;
      after = ids.at(-1)!;
    }
  }

  /** Deletes the dates of a site's buckets without sums. */
  async *#deleteBuckets(site: number, used: ReadonlySet<number>): AsyncGenerator<void> {
    const { table, bucketMs, bucketWithin } = this.#dialect;
    let after = CALENDAR.from - 1;
    for (;;) {
      const limit = MIN_ROWS;
      const within = bucketWithin('b.bucket', { from: after + 1, to: CALENDAR.to });
      const { ms } = await columnsOf(
        this.#dialect,
        ['ms'],
        `SELECT ${bucketMs('b.bucket')} AS ms FROM ${table('buckets')} b
         WHERE b.site = ${site} AND ${within} ORDER BY b.bucket LIMIT ${limit}`,
      );
      yield;
      const unused = ms.map(Number).filter((start) => !used.has(start));
      for (let at = 0; at < unused.length; at += DELETED_BUCKETS) {
        await this.#changes.deleteBuckets(site, unused.slice(at, at + DELETED_BUCKETS));
        yield;
      }
      if (ms.length < limit) return;
      after = Number(ms.at(-1));
    }
  }

  async #ids(name: 'sites' | SharedTable, where = ''): Promise<number[]> {
    const { id } = await columnsOf(
      this.#dialect,
      ['id'],
      `SELECT t.id FROM ${this.#dialect.table(name)} t ${where}`,
    );
    return id.map(Number);
  }
}

/** Returns an expression: 1 if any summary has sums in bucket `b`, or else 0. */
export function hasSums({ table, sums }: Pick<Dialect, 'table' | 'sums'>): string {
  // With a limit, engines look up each summary instead of reading all sums.
  const found = PERIODS.map(
    (period) =>
      `(SELECT 1 FROM ${table('series')} s JOIN ${table(sums[period])} t ON t.series = s.id AND t.bucket = b.bucket
        WHERE s.site = b.site LIMIT 1)`,
  );
  return `COALESCE(${found.join(', ')}, 0)`;
}
