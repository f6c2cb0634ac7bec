import type { DatabaseSync } from 'node:sqlite';
import { monotonicClock } from '../../platform/clock.ts';
import { ENDPOINT_TEXTS, RECORD_TEXTS } from '../sql/columns.ts';
import { IdSet } from '../sql/id-set.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import type { WriterSession } from './session.ts';
import { writing } from './statements.ts';

/** Table whose rows are deleted if nothing refers to them. */
export type SweptTable = 'strings' | 'agents' | 'endpoints';

/** Time after which a step ends. In ms. */
const STEP_MS = 25;
/** Number of rows read per statement. */
const READ_ROWS = 1_000;
/** Maximum number of rows deleted per transaction. Texts are scattered over an index. */
const DELETED_ROWS = 250;
/** Number of text IDs that are searched at a time, which limits the memory to 8 MiB. */
const WINDOW = 2 ** 26;
/** Number of pages returned to the file system per statement. */
const FREED_PAGES = 100;
/** Part of the pages that may be free: the next batches use them. */
const FREE_SHARE = 0.05;

/** Columns of `records` that hold IDs of texts. */
const TEXTS = Object.values(RECORD_TEXTS);

/**
 * Deletes texts, agents and endpoints to which nothing refers any longer.
 *
 * A pass reads all references, then deletes the other rows. It takes many steps, and batches are stored meanwhile, by
 * any process. When a pass starts, it increments the generation in `sweeps`. Each writer notices that in its next
 * transaction, clears its cache of IDs, and from then on adds each existing row that it uses to `used_rows`, which are
 * not deleted. So a cached ID never belongs to a deleted text. IDs of texts are never reused, because readers
 * cache texts by ID.
 *
 * If another process starts a pass, this one ends.
 */
export class Sweeper {
  readonly #session: WriterSession;
  readonly #statements: ReturnType<typeof prepare>;
  #pass: Generator<void, void> | undefined;
  #generation = 0;

  constructor(session: WriterSession) {
    this.#session = session;
    this.#statements = prepare(session.database);
  }

  /** Continues the pass for a short time. Returns false once it is complete. */
  step(): boolean {
    const end = monotonicClock.now() + STEP_MS;
    try {
      this.#pass ??= this.#run();
      while (!this.#pass.next().done) if (monotonicClock.now() >= end) return true;
    } catch (error) {
      this.#pass = undefined;
      throw error;
    }
    this.#pass = undefined;
    return false;
  }

  *#run(): Generator<void, void> {
    const last = this.#start();
    const agents = new IdSet(1, last.agents);
    const endpoints = new IdSet(1, last.endpoints);
    for (let first = 1; first === 1 || first <= last.strings; first += WINDOW) {
      const end = Math.min(first + WINDOW - 1, last.strings);
      const texts = new IdSet(first, end);
      yield* this.#readRecords(texts, agents, endpoints);
      yield* this.#readSums(texts);
      if (first === 1) {
        if (!(yield* this.#delete('agents', agents, 0, last.agents))) return;
        if (!(yield* this.#delete('endpoints', endpoints, 0, last.endpoints))) return;
      }
      yield* this.#readTexts('agents', ['string'], texts);
      yield* this.#readTexts('endpoints', Object.values(ENDPOINT_TEXTS), texts);
      if (!(yield* this.#delete('strings', texts, first - 1, end))) return;
    }
    yield* this.#deleteBuckets();
    this.#end();
    yield* this.#vacuum();
  }

  /** Starts a pass. Returns the largest ID of each table: later rows stay. */
  #start(): Record<SweptTable, number> {
    const { start, generation, clear, last } = this.#statements;
    const found = this.#session.write(() => {
      start.run();
      clear.run();
      this.#generation = generation.get()!.generation as number;
      return last.get() as Record<SweptTable, number>;
    });
    this.#session.forget();
    return found;
  }

  #end(): void {
    this.#session.write(() => {
      if (this.#isCurrent()) {
        this.#statements.end.run();
        this.#statements.clear.run();
      }
    });
    this.#session.forget();
  }

  #isCurrent(): boolean {
    return this.#statements.generation.get()!.generation === this.#generation;
  }

  *#readRecords(texts: IdSet, agents: IdSet, endpoints: IdSet): Generator<void, void> {
    let after = '-1';
    for (;;) {
      const row = this.#session.read(() => this.#statements.records.get(after, READ_ROWS))!;
      for (const column of TEXTS) addAll(texts, row[column]);
      addAll(agents, row.agent);
      addAll(endpoints, row.endpoint);
      if ((row.n as number) < READ_ROWS) return;
      after = row.last as string;
      yield;
    }
  }

  *#readSums(texts: IdSet): Generator<void, void> {
    for (const statement of this.#statements.sums) {
      for (const { id } of this.#session.read(() => this.#statements.series.all())) {
        let [bucket, key] = [Number.MIN_SAFE_INTEGER, 0];
        for (;;) {
          const row = this.#session.read(() => statement.get(id as number, bucket, key, READ_ROWS))!;
          const keys = addAll(texts, row.keys);
          yield;
          if (keys.length < READ_ROWS) break;
          bucket = row.bucket as number;
          key = keys.at(-1)!;
        }
      }
    }
  }

  *#readTexts(table: SweptTable, columns: readonly string[], texts: IdSet): Generator<void, void> {
    const { database, read } = this.#session;
    const statement = database.prepare(
      `SELECT max(id) AS last, count(*) AS n, ${columns.map(arrayOf).join(', ')}
       FROM (SELECT id, ${columns.join(', ')} FROM ${table} WHERE id > ? ORDER BY id LIMIT ?)`,
    );
    let after = 0;
    for (;;) {
      const row = read(() => statement.get(after, READ_ROWS))!;
      for (const column of columns) addAll(texts, row[column]);
      if ((row.n as number) < READ_ROWS) return;
      after = row.last as number;
      yield;
    }
  }

  /** Deletes the rows that are not in `used`. Returns false if another process has started a pass. */
  *#delete(table: SweptTable, used: IdSet, from: number, to: number): Generator<void, boolean> {
    const { read, write } = this.#session;
    const { ids, remove } = this.#statements[table];
    let after = from;
    for (;;) {
      const found = JSON.parse(read(() => ids.get(after, to, READ_ROWS))!.ids as string) as number[];
      const unused = found.filter((id) => !used.has(id));
      for (let at = 0; at < unused.length; at += DELETED_ROWS) {
        const some = JSON.stringify(unused.slice(at, at + DELETED_ROWS));
        const { isCurrent } = write(() => {
          if (!this.#isCurrent()) return { isCurrent: false };
          // The last text stays, so that its ID is not given to another text. It need not stay legible.
          if (table === 'strings') this.#statements.blank.run(some);
          remove.run(some);
          return { isCurrent: true };
        });
        if (!isCurrent) return false;
        yield;
      }
      if (found.length < READ_ROWS) return true;
      after = found.at(-1)!;
      yield;
    }
  }

  *#deleteBuckets(): Generator<void, void> {
    const { read, write } = this.#session;
    let [site, bucket] = [0, 0];
    for (;;) {
      const row = read(() => this.#statements.buckets.get(site, bucket, READ_ROWS))!;
      if (row.n === 0) return;
      const [nextSite, nextBucket] = JSON.parse(row.last as string) as [number, number];
      write(() => this.#statements.removeBuckets.run(site, bucket, nextSite, nextBucket));
      [site, bucket] = [nextSite, nextBucket];
      yield;
    }
  }

  /** Returns free pages to the file system. */
  *#vacuum(): Generator<void, void> {
    const { read, database } = this.#session;
    const { mode, pages } = this.#statements;
    if (read(() => mode.get())!.auto_vacuum !== 2) return;
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const { all, free } = read(() => pages.get()) as { all: number; free: number };
      const surplus = Math.floor(free - FREE_SHARE * all);
      if (surplus <= 0 || free >= before) return;
      before = free;
      read(() => database.exec(`PRAGMA incremental_vacuum(${Math.min(surplus, FREED_PAGES)})`));
      yield;
    }
  }
}

/** Adds the IDs of a JSON array. */
function addAll(ids: IdSet, json: unknown): number[] {
  const all = JSON.parse(json as string) as number[];
  ids.addAll(all);
  return all;
}

/** Selects a column as a JSON array, which is read several times as fast as rows. */
function arrayOf(column: string): string {
  return `json_group_array(${column}) AS ${column}`;
}

function prepare(database: DatabaseSync) {
  const read = (sql: string) => database.prepare(sql);
  const write = (sql: string) => writing(database, sql);
  const unused = (table: SweptTable) =>
    `id IN (SELECT value FROM json_each(?)) AND id NOT IN (SELECT id FROM used_rows WHERE name = '${table}')`;
  const table = (name: SweptTable) => ({
    ids: read(
      `SELECT json_group_array(id) AS ids FROM (
         SELECT id FROM ${name} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?
       )`,
    ),
    remove: write(
      `DELETE FROM ${name} WHERE ${unused(name)} ${name === 'strings' ? 'AND id < (SELECT max(id) FROM strings)' : ''}`,
    ),
  });
  const columns = ['endpoint', 'agent', ...TEXTS];
  const exists = (sums: string) =>
    `EXISTS (SELECT 1 FROM ${sums} t WHERE t.series = s.id AND t.bucket = buckets.bucket)`;
  const tables = Object.values(PERIOD_NAMES);
  return {
    start: write('UPDATE sweeps SET generation = generation + 1, active = 1'),
    end: write('UPDATE sweeps SET active = 0'),
    clear: write('DELETE FROM used_rows'),
    generation: read('SELECT generation FROM sweeps'),
    last: read(
      `SELECT ${(['strings', 'agents', 'endpoints'] as const)
        .map((name) => `(SELECT coalesce(max(id), 0) FROM ${name}) AS ${name}`)
        .join(', ')}`,
    ),
    records: read(
      `SELECT CAST(max(id) AS TEXT) AS last, count(*) AS n, ${columns.map(arrayOf).join(', ')}
       FROM (SELECT id, ${columns.join(', ')} FROM records WHERE id > CAST(? AS INTEGER) ORDER BY id LIMIT ?)`,
    ),
    series: read('SELECT id FROM series'),
    sums: tables.map((sums) =>
      read(
        `SELECT json_group_array(key) AS keys, max(bucket) AS bucket FROM (
           SELECT bucket, key FROM ${sums} WHERE series = ? AND (bucket, key) > (?, ?)
           ORDER BY bucket, key LIMIT ?
         )`,
      ),
    ),
    strings: table('strings'),
    agents: table('agents'),
    endpoints: table('endpoints'),
    // No text contains NUL.
    blank: write(
      `UPDATE strings SET text = char(0) || id WHERE id = (SELECT max(id) FROM strings) AND ${unused('strings')}`,
    ),
    buckets: read(
      `SELECT count(*) AS n, json_array(max(site), max(CASE WHEN site = last THEN bucket END)) AS last FROM (
         SELECT site, bucket, max(site) OVER () AS last FROM buckets WHERE (site, bucket) > (?, ?)
         ORDER BY site, bucket LIMIT ?
       )`,
    ),
    removeBuckets: write(
      `DELETE FROM buckets WHERE (site, bucket) > (?, ?) AND (site, bucket) <= (?, ?) AND NOT EXISTS (
         SELECT 1 FROM series s WHERE s.site = buckets.site AND (${tables.map(exists).join(' OR ')})
       )`,
    ),
    mode: read('PRAGMA auto_vacuum'),
    pages: read(
      'SELECT page_count AS "all", freelist_count AS free FROM pragma_page_count, pragma_freelist_count',
    ),
  };
}
