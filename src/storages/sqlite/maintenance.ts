import type { DatabaseSync } from 'node:sqlite';
import { wallClock } from '../../platform/clock.ts';
import type {
  LeaseRequest,
  Person,
  PruneRequest,
  StorageMaintenance,
  StorageTimes,
  TimeZoneRequest,
} from '../../storage/contract.ts';
import { isForwardedFor } from '../../storage/person.ts';
import type { KeepTime, StoredRetention } from '../../storage/retention.ts';
import { type Period, targetOf } from '../../summaries/periods.ts';
import { RECORD_TEXTS } from '../sql/columns.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { LAST_DATE } from './dialect.ts';
import { DATE_SHIFT } from './schema.ts';
import { scrub } from './scrub.ts';
import type { WriterSession } from './session.ts';
import { writing } from './statements.ts';
import { Sweeper } from './sweeper.ts';

/** Position in a search for a person's records, which takes several calls. */
interface Search {
  person: string;
  /** Condition on the records. */
  where: string;
  /** ID of the last record that was read. */
  after: string;
}

/** A lease that ends later was requested while the clock was wrong. In ms. */
const MAX_LEASE = 24 * 3_600_000;
/** ID before those of all records. */
const BEFORE_ALL = '-1';

/** Deletes data of a site, in short transactions of the writer's connection. */
export class SqliteMaintenance implements StorageMaintenance {
  readonly #session: WriterSession;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #sweeper: Sweeper;
  /** ID of the last record that was read while pruning. */
  #pruned = BEFORE_ALL;
  #search: Search | undefined;

  constructor(session: WriterSession) {
    this.#session = session;
    this.#statements = prepare(session.database);
    this.#sweeper = new Sweeper(session);
  }

  async lease({ task, holder, ms }: LeaseRequest): Promise<boolean> {
    const { site, write } = this.#session;
    const { isGranted } = write(() => {
      const { findLease, setLease } = this.#statements;
      const now = wallClock.now();
      if (findLease.get(task, site, holder, now, now + MAX_LEASE)) return { isGranted: false };
      setLease.run(site, task, holder, now + ms);
      return { isGranted: true };
    });
    return isGranted;
  }

  /** The newest record is that of all sites of the file. A file has no clock of its own. */
  async times(): Promise<StorageTimes> {
    const { site, read } = this.#session;
    const { retention, newest } = this.#statements;
    return read(() => {
      const rows = retention.all(site) as { part: string; keep: KeepTime; before: number | null }[];
      const [last] = newest.all() as { ms: number }[];
      return {
        now: undefined,
        newest: last?.ms,
        retention: Object.fromEntries(rows.map(({ part, ...kept }) => [part, { ...kept }])),
      };
    });
  }

  async retain(retention: StoredRetention, replaces = false): Promise<void> {
    const { site, write } = this.#session;
    write(() => {
      for (const [part, kept] of Object.entries(retention)) {
        if (kept) this.#statements.retain.run(site, part, kept.keep, kept.before, Number(replaces));
      }
    });
  }

  async prune({ part, before, limit }: PruneRequest): Promise<number> {
    if (part === 'records') return this.#pruneRecords(before, limit);
    return this.#session.write(() => this.#pruneSums(part, Math.ceil(before / 1000), limit));
  }

  async sweep(): Promise<boolean> {
    return this.#sweeper.step();
  }

  /** Other writers notice the change at the beginning of their next transaction. */
  async setTimeZone({ from, to }: TimeZoneRequest): Promise<boolean> {
    const { site, write } = this.#session;
    return write(() => {
      const { setTimeZone, removeDates } = this.#statements;
      if (setTimeZone.run(to, site, from, to).changes === 0n) return false;
      // They contain the offset of the previous zone.
      if (targetOf(to) !== undefined) removeDates.run(site);
      return true;
    });
  }

  async erase(person: Person, limit: number): Promise<number> {
    const search = this.#session.read(() => this.#searchOf(person));
    const { after, count } = this.#delete(search.after, search.where, limit);
    this.#search = after === undefined ? undefined : { ...search, after };
    // Records that were stored meanwhile can have an earlier date.
    return count === 0 && search.after !== BEFORE_ALL ? this.erase(person, limit) : count;
  }

  async scrub(): Promise<void> {
    this.#session.read(() => scrub(this.#session.database));
    this.#session.forget();
  }

  #pruneRecords(before: number, limit: number): number {
    const end = BigInt(Math.min(Math.max(Math.ceil(before), 0), LAST_DATE)) << BigInt(DATE_SHIFT);
    const from = this.#pruned;
    const { after, count } = this.#delete(from, `id < ${end}`, limit);
    this.#pruned = after ?? BEFORE_ALL;
    // Records that were stored meanwhile can have an earlier date.
    return count === 0 && from !== BEFORE_ALL ? this.#pruneRecords(before, limit) : count;
  }

  /**
   * Deletes at most `limit` records of the site that meet a condition.
   * @param from ID of the last record that a previous call read.
   * @returns ID of the last record; `undefined` if all were read.
   */
  #delete(from: string, where: string, limit: number): { after: string | undefined; count: number } {
    const { database, site, read, write } = this.#session;
    const found = read(() => {
      const condition = this.#isOnlySite()
        ? where
        : `${where} AND endpoint IN (SELECT id FROM endpoints WHERE site = ${site})`;
      return database
        .prepare(
          `SELECT json_group_array(CAST(id AS TEXT)) AS ids FROM (
             SELECT id FROM records WHERE id > ${from} AND ${condition} ORDER BY id LIMIT ?
           )`,
        )
        .get(limit) as { ids: string };
    });
    const ids = JSON.parse(found.ids) as string[];
    if (ids.length === 0) return { after: undefined, count: 0 };
    const count = write(() => Number(this.#statements.deleteRecords.run(found.ids).changes));
    return { after: ids.length < limit ? undefined : ids.at(-1)!, count };
  }

  #isOnlySite(): boolean {
    return (this.#statements.sites.get() as { n: number }).n === 1;
  }

  /** Continues the search for a person, or begins one. */
  #searchOf(person: Person): Search {
    const name = JSON.stringify([person.column, person.value]);
    if (this.#search?.person === name) return this.#search;
    const { findText, findTexts } = this.#statements;
    const { column, value } = person;
    const ids = (rows: readonly unknown[]) => rows.map((row) => (row as { id: number }).id).join(', ');
    const conditions = [`${RECORD_TEXTS[column]} IN (${ids(findText.all(value))})`];
    if (column === 'remoteAddr') {
      const lists = findTexts.all(value).filter(({ text }) => isForwardedFor(text as string, value));
      conditions.push(`${RECORD_TEXTS.forwardedFor} IN (${ids(lists)})`);
    }
    return { person: name, where: `(${conditions.join(' OR ')})`, after: BEFORE_ALL };
  }

  #pruneSums(period: Period, before: number, limit: number): number {
    const { site, counts } = this.#session;
    const { series, sums } = this.#statements;
    const { oldest, remove } = sums[period];
    const first = (id: number) => (oldest.get(id) as { bucket: number | null }).bucket;
    const queue = series.all(site).map((row) => ({ id: Number(row.id), bucket: first(Number(row.id)) }));
    let deleted = 0;
    while (deleted < limit) {
      let next: { id: number; bucket: number } | undefined;
      for (const { id, bucket } of queue) {
        if (bucket !== null && bucket < before && !(next && next.bucket <= bucket)) next = { id, bucket };
      }
      if (!next) break;
      const { id, bucket } = next;
      deleted += Number(remove.run(id, bucket, limit - deleted).changes);
      counts.remove({ series: id, period, bucket });
      queue.find((each) => each.id === id)!.bucket = first(id);
    }
    return deleted;
  }
}

function prepare(database: DatabaseSync) {
  const write = (sql: string) => writing(database, sql);
  const sums = (table: string) => ({
    oldest: database.prepare(`SELECT min(bucket) AS bucket FROM ${table} WHERE series = ?`),
    remove: write(
      `DELETE FROM ${table} WHERE series = ?1 AND bucket = ?2
       AND key IN (SELECT key FROM ${table} WHERE series = ?1 AND bucket = ?2 LIMIT ?3)`,
    ),
  });
  const { hour, day, month } = PERIOD_NAMES;
  return {
    // The sites of a file share their texts, and a sweep ends the one of another process.
    findLease: database.prepare(
      `SELECT 1 FROM leases WHERE task = ? AND (site = ? OR task = 'prune') AND holder <> ?
       AND until > ? AND until <= ? LIMIT 1`,
    ),
    setLease: write('INSERT OR REPLACE INTO leases (site, task, holder, until) VALUES (?, ?, ?, ?)'),
    retain: write(
      `INSERT INTO retention (site, part, keep, before) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT DO UPDATE SET keep = excluded.keep, before = CASE
         WHEN ?5 OR before IS NULL OR excluded.before > before THEN excluded.before ELSE before END`,
    ),
    retention: database.prepare('SELECT part, keep, before FROM retention WHERE site = ?'),
    newest: database.prepare(`SELECT id >> ${DATE_SHIFT} AS ms FROM records ORDER BY id DESC LIMIT 1`),
    sites: database.prepare('SELECT count(*) AS n FROM sites'),
    setTimeZone: write('UPDATE sites SET time_zone = ? WHERE id = ? AND time_zone IN (?, ?)'),
    removeDates: write('DELETE FROM buckets WHERE site = ?'),
    series: database.prepare('SELECT id FROM series WHERE site = ?'),
    deleteRecords: write('DELETE FROM records WHERE id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))'),
    findText: database.prepare('SELECT id FROM strings WHERE text = ?'),
    findTexts: database.prepare('SELECT id, text FROM strings WHERE instr(text, ?) > 0'),
    sums: { hour: sums(hour), day: sums(day), month: sums(month) },
  };
}
