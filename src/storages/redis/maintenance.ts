import { monotonicClock, setTimeout } from '../../platform/clock.ts';
import { batchInProgress, MAX_BATCH } from '../../storage/checks.ts';
import type {
  LeaseRequest,
  Person,
  PruneRequest,
  StorageMaintenance,
  StorageTimes,
  TimeZoneRequest,
} from '../../storage/contract.ts';
import { isOf } from '../../storage/person.ts';
import { keepTimesOf, PARTS, type Retention, type StoredRetention } from '../../storage/retention.ts';
import { type Calendar, PERIODS, type Period } from '../../summaries/periods.ts';
import { run, type Server } from './client.ts';
import { expiryOf } from './expiry.ts';
import { type Keys, partsOfSeries } from './keys.ts';
import { COPY, DROP, EXPIRE, FIND, LEASE, NOW, RETAIN, TRIM, TRIM_LATE } from './maintenance-scripts.ts';
import { rowOf } from './records.ts';
import { storedRetention } from './retained.ts';
import { rewriteFiles, scrubFailed } from './rewrite-files.ts';
import { SET_ZONE } from './scripts.ts';
import { bucketsOf, seriesNames } from './series.ts';
import { RecordStream } from './stream.ts';

/** Maximum number of keys per call. */
const KEYS = 1_000;
/** Maximum number of concurrent calls. */
const CONCURRENT = 50;
/** Number of records read per call. Each call blocks Redis for a millisecond or two. */
const RECORDS = 1_000;
/** Interval at which a change of the time zone looks for batches in progress. In ms. */
const POLL_INTERVAL = 20;
/** Number of attempts to copy the records while others are deleted. */
const COPIES = 10;

/** Deletes data of a site. Buckets are deleted as a whole, and Redis frees their memory in the background. */
export class RedisMaintenance implements StorageMaintenance {
  readonly #server: Server;
  readonly #keys: Keys;
  readonly #calendar: Calendar;
  readonly #site: string;
  readonly #label: string;
  /** Position of the search for a person's records. */
  #search: { person: string; after: string } | undefined;

  constructor(server: Server, keys: Keys, calendar: Calendar, site: string, label: string) {
    this.#server = server;
    this.#keys = keys;
    this.#calendar = calendar;
    this.#site = site;
    this.#label = label;
  }

  async lease({ task, holder, ms }: LeaseRequest): Promise<boolean> {
    const key = this.#keys.lease(this.#site, task);
    return Number(await run(this.#server, LEASE, [key], [holder, String(Math.ceil(ms))])) === 1;
  }

  async times(): Promise<StorageTimes> {
    const key = this.#keys.retention(this.#site);
    const last = await new RecordStream(this.#server, this.#keys.records(this.#site)).last();
    const newest = Number(last.split('-')[0]);
    return {
      now: Number(await run(this.#server, NOW, [key], [])),
      newest: newest === 0 ? undefined : newest,
      retention: await storedRetention(this.#server, key),
    };
  }

  async retain(retention: StoredRetention, replaces = false): Promise<void> {
    const key = this.#keys.retention(this.#site);
    const stored = await storedRetention(this.#server, key);
    const parts = PARTS.filter((part) => retention[part]);
    const changed = PERIODS.filter((part) => retention[part] && retention[part].keep !== stored[part]?.keep);
    // Stored afterwards, so that the next call continues if this one fails.
    if (changed.length > 0) await this.#expire(retention, changed);
    const args = parts.flatMap((part) => {
      const { keep, before } = retention[part]!;
      return [part, keep, before === null ? '' : String(before)];
    });
    if (args.length > 0) await run(this.#server, RETAIN, [key], [replaces ? '1' : '0', ...args]);
  }

  /** Sets when the existing buckets of some periods expire. */
  async #expire(retention: StoredRetention, periods: readonly Period[]): Promise<void> {
    const complete = keepTimesOf(retention);
    const names = await seriesNames(this.#server, this.#keys, this.#site);
    const changed = names.filter((name) => periods.includes(partsOfSeries(name).period));
    for (let i = 0; i < changed.length; i += CONCURRENT) {
      await Promise.all(changed.slice(i, i + CONCURRENT).map((name) => this.#expireSeries(name, complete)));
    }
  }

  async #expireSeries(name: string, retention: Retention): Promise<void> {
    const calendar = this.#calendar;
    const { period } = partsOfSeries(name);
    const keys = this.#keys.of(this.#site, name);
    const buckets = await bucketsOf(this.#server, keys, '-inf', '+inf');
    const last = buckets.at(-1);
    if (!last) return;
    const month = calendar.next('month', calendar.monthOf(last.ms)) - 1;
    const expiries: [key: string, at: string][] = [
      [keys.buckets, expiryOf(retention, period, calendar, month)],
      ...buckets.flatMap(({ ms, date }): [string, string][] => {
        const at = expiryOf(retention, period, calendar, ms);
        return [
          [keys.sums(date), at],
          [keys.tops(date), at],
        ];
      }),
    ];
    for (let i = 0; i < expiries.length; i += KEYS) {
      const piece = expiries.slice(i, i + KEYS);
      await run(
        this.#server,
        EXPIRE,
        piece.map(([key]) => key),
        piece.map(([, at]) => at),
      );
    }
  }

  prune({ part, before, limit }: PruneRequest): Promise<number> {
    return part === 'records' ? this.#pruneRecords(before, limit) : this.#pruneBuckets(part, before, limit);
  }

  async #pruneBuckets(period: Period, before: number, limit: number): Promise<number> {
    let rows = 0;
    for (const [month, names] of await this.#months(period)) {
      if (Date.parse(`${month}-01T00:00:00Z`) - MAX_OFFSET >= before) break;
      rows += await this.#pruneMonth(names, before, limit - rows);
      if (rows >= limit) break;
    }
    return rows;
  }

  /** Returns the series of a period by month, oldest first. */
  async #months(period: Period): Promise<[month: string, names: string[]][]> {
    const names = await seriesNames(this.#server, this.#keys, this.#site);
    const months = Map.groupBy(
      names.filter((name) => partsOfSeries(name).period === period),
      (name) => partsOfSeries(name).month,
    );
    return [...months].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Deletes the buckets of some series, oldest first, and the series that are then empty. */
  async #pruneMonth(names: readonly string[], before: number, limit: number): Promise<number> {
    const series = names.map((name) => ({ name, keys: this.#keys.of(this.#site, name) }));
    const found = await Promise.all(
      series.map(async ({ keys }) => {
        const buckets = await bucketsOf(this.#server, keys, '-inf', `(${before}`);
        return buckets.map((bucket) => ({ ...bucket, keys }));
      }),
    );
    const buckets = found.flat().sort((a, b) => a.ms - b.ms);
    let rows = 0;
    for (let i = 0; i < buckets.length; ) {
      if (rows >= limit) return rows;
      // Each has at least one row, except expired ones.
      const piece = buckets.slice(i, i + Math.min(CONCURRENT, limit - rows));
      const deleted = await Promise.all(
        piece.map(({ date, keys }) =>
          run(this.#server, DROP, [keys.buckets, keys.sums(date), keys.tops(date)], [date]),
        ),
      );
      for (const count of deleted) rows += Number(count);
      i += piece.length;
    }
    await Promise.all(
      series.map(async ({ name, keys }) => {
        const isEmpty = Number(await this.#send('EXISTS', keys.buckets)) === 0;
        if (isEmpty) await this.#send('SREM', this.#keys.series(this.#site), name);
      }),
    );
    return rows;
  }

  async #pruneRecords(before: number, limit: number): Promise<number> {
    const { stream } = this.#keys.records(this.#site);
    let rows = 0;
    // No ID is negative.
    while (before > 0 && rows < limit) {
      const count = Math.min(RECORDS, limit - rows);
      const trimmed = Number(await run(this.#server, TRIM, [stream], [String(before), String(count)]));
      rows += trimmed;
      if (trimmed < count) break;
    }
    return rows < limit ? rows + (await this.#pruneLate(before)) : rows;
  }

  /** Deletes the records that were stored so late that their IDs are not before the instant. */
  async #pruneLate(before: number): Promise<number> {
    const keys = this.#keys.records(this.#site);
    const end = before + (await new RecordStream(this.#server, keys).lateness());
    let rows = 0;
    for (let start = String(Math.max(0, before)); end >= 0; ) {
      const args = [start, String(end), String(RECORDS), String(before)];
      const [deleted, last] = (await run(this.#server, TRIM_LATE, [keys.stream], args)) as unknown[];
      rows += Number(deleted);
      if (!last) break;
      start = `(${last}`;
    }
    return rows;
  }

  /** Returns false: no two records or sums share anything. */
  async sweep(): Promise<boolean> {
    return false;
  }

  /** Batches read the zone from the journals' key, so that they begin and are refused atomically. */
  async setTimeZone({ from, to }: TimeZoneRequest): Promise<boolean> {
    const { sites, journals } = this.#keys;
    const site = this.#site;
    const found = (await this.#send('HGET', sites, site)) as unknown;
    if (![from, to].includes(String(found))) return false;
    await this.#send('HSET', sites, site, to);
    const deadline = monotonicClock.now() + MAX_BATCH;
    while (Number(await run(this.#server, SET_ZONE, [journals], [site, to])) === 0) {
      if (monotonicClock.now() > deadline) {
        await this.#send('HSET', sites, site, String(found));
        throw batchInProgress(site, this.#label);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
    return true;
  }

  /** Continues where the previous call for the same person stopped. New records are always behind that. */
  async erase(person: Person, limit: number): Promise<number> {
    const { stream } = this.#keys.records(this.#site);
    const name = JSON.stringify([person.column, person.value]);
    const search = this.#search?.person === name ? this.#search : { person: name, after: '' };
    this.#search = search;
    const part = JSON.stringify(person.value).slice(1, -1);
    let rows = 0;
    while (rows < limit) {
      const from = search.after === '' ? '-' : `(${search.after}`;
      const args = [from, String(RECORDS), part];
      const [last, ...entries] = (await run(this.#server, FIND, [stream], args)) as unknown[];
      if (!last) break;
      const ids: string[] = [];
      for (let n = 0; n < entries.length; n += 2) {
        if (isOf(person, rowOf(this.#site, 0, String(entries[n + 1])))) ids.push(String(entries[n]));
      }
      const room = ids.slice(0, limit - rows);
      if (room.length > 0) rows += Number(await this.#send('XDEL', stream, ...room));
      search.after = room.length < ids.length ? room.at(-1)! : String(last);
    }
    // The next search is complete, because Redis may be emptied and filled again.
    if (rows === 0) this.#search = undefined;
    return rows;
  }

  /**
   * Copies the records, because a stream only marks deleted entries, and lets the servers rewrite their files.
   */
  async scrub(): Promise<void> {
    this.#search = undefined;
    const { stream, copy } = this.#keys.records(this.#site);
    let last = '';
    for (let changes = 0; last !== 'done' && changes < COPIES; ) {
      last = String(await run(this.#server, COPY, [stream, copy], [last, String(RECORDS)]));
      if (last === 'changed') [last, changes] = ['', changes + 1];
    }
    if (last !== 'done') throw scrubFailed(this.#label, 'other processes delete records at the same time');
    await rewriteFiles(this.#server, this.#label);
  }

  #send(name: string, key: string, ...args: string[]): Promise<unknown> {
    return this.#server.send(key, [name, key, ...args]);
  }
}

/** Largest difference between local time and UTC. In ms. */
const MAX_OFFSET = 24 * 3_600_000;
