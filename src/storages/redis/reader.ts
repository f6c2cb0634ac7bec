import type { UsageRecord } from '../../record.ts';
import type {
  Keys as FoundKeys,
  FoundRecords,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { ANY_DATE, cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { type RecordRow, recordOf } from '../../storage/record-row.ts';
import { searchRecords } from '../../storage/search-records.ts';
import { run, type Server } from './client.ts';
import type { Keys, SeriesKeys } from './keys.ts';
import { rowOf } from './records.ts';
import { ONE, PAGE } from './scripts.ts';
import { type Entry, RecordStream } from './stream.ts';

/** Number of rows read per call. Each call blocks Redis for about a millisecond. */
const ROWS = 1_000;
/** Number of buckets read concurrently. */
const BUCKETS = 100;

interface Bucket {
  ms: number;
  date: string;
  keys: SeriesKeys;
}

export class RedisReader implements StorageReader {
  readonly #server: Server;
  readonly #keys: Keys;
  readonly #folds = new RecordFolds((request) => this.#rows(request));

  constructor(server: Server, keys: Keys) {
    this.#server = server;
    this.#keys = keys;
  }

  async timeZone(site: string): Promise<string | undefined> {
    const found = await this.#server.send(this.#keys.sites, ['HGET', this.#keys.sites, site]);
    return found === null ? undefined : String(found);
  }

  async summaries(site: string): Promise<string[]> {
    const names = (await this.#series(site)).map((series) => series.split(':')[0]!);
    return [...new Set(names)].sort();
  }

  async sums(request: SumsRequest): Promise<SumRow[]> {
    const { target, limit, offset } = request;
    const buckets = await this.#buckets(request);
    const end = limit === 0 ? Number.POSITIVE_INFINITY : offset + limit;
    if (target !== undefined) return this.#sumsOf(target, buckets, offset, end);
    const rows: SumRow[] = [];
    let passed = 0;
    for (let at = 0; at < buckets.length && passed < end; at += BUCKETS) {
      const piece = buckets.slice(at, at + BUCKETS);
      const sizes = await Promise.all(piece.map((bucket) => this.#size(bucket)));
      for (const [n, bucket] of piece.entries()) {
        const size = sizes[n]!;
        const first = Math.max(0, offset - passed);
        const last = Math.min(size, end - passed);
        for (let from = first; from < last; from += ROWS) {
          rows.push(...(await this.#page(bucket, from, Math.min(last, from + ROWS) - 1)));
        }
        passed += size;
      }
    }
    return rows;
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const count = limit === 0 ? Number.POSITIVE_INFINITY : offset + limit;
    const entries = await this.#stream(site).newest(from, to, count);
    return entries.slice(offset).map(({ date, json }) => recordOf(rowOf(site, date, json)));
  }

  matchingRecords(request: MatchingRecordsRequest): Promise<FoundRecords> {
    const { site, from, to } = request;
    return searchRecords(async (after, limit) => {
      const before = entryAt(after);
      const last = before ? Math.min(to, before.date) : to;
      const entries = await this.#stream(site).newest(from, last, limit, before);
      return entries.map(({ date, id, json }) => ({
        row: rowOf(site, date, json),
        cursor: `${date} ${id}`,
      }));
    }, request);
  }

  matchingKeys(request: MatchingKeysRequest): Promise<FoundKeys> {
    return this.#folds.matchingKeys(request);
  }

  matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    return this.#folds.matchingSeries(request);
  }

  async *#rows({ site, from, to }: Matching): AsyncGenerator<RecordRow[]> {
    for await (const entries of this.#stream(site).within(from, to)) {
      yield entries.map(({ date, json }) => rowOf(site, date, json));
    }
  }

  async scan({ site, after, limit, from = ANY_DATE.from, to = ANY_DATE.to }: ScanRequest): Promise<Scanned> {
    const { entries, more } = await this.#stream(site).oldest(from, to, limit, entryAt(after));
    const next = entries.at(-1);
    return {
      records: entries.map((entry) => rowOf(site, entry.date, entry.json)),
      next: more && next ? `${next.date} ${next.id}` : undefined,
    };
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** Returns the buckets, newest first. One may be empty: not filled yet, or expired. */
  async #buckets({ site, summary, period, from, to }: SumsRequest): Promise<Bucket[]> {
    const all = await this.#series(site);
    const series = all.filter((name) => name.startsWith(`${summary}:${period}:`));
    const lists = await Promise.all(
      series.map(async (name) => {
        const keys = this.#keys.of(site, name);
        const range = ['ZRANGE', keys.buckets, String(from), String(to), 'BYSCORE'];
        const dates = (await this.#server.send(keys.buckets, range)) as unknown[];
        return dates.map(String).map((date) => ({ ms: Date.parse(date), date, keys }));
      }),
    );
    return lists.flat().sort((a, b) => b.ms - a.ms);
  }

  async #sumsOf(
    target: string | null,
    buckets: readonly Bucket[],
    offset: number,
    end: number,
  ): Promise<SumRow[]> {
    // No key is empty, so the empty text represents null.
    if (target === '') return [];
    const rows: SumRow[] = [];
    for (let at = 0; at < buckets.length && rows.length < end; at += BUCKETS) {
      const found = await Promise.all(
        buckets.slice(at, at + BUCKETS).map(async ({ ms, date, keys }) => {
          const numbers = await run(this.#server, ONE, [keys.sums(date)], [target ?? '']);
          return numbers === null ? [] : [rowFrom(ms, target, numbers)];
        }),
      );
      rows.push(...found.flat());
    }
    return rows.slice(offset, end);
  }

  async #size({ date, keys }: Bucket): Promise<number> {
    const key = keys.tops(date);
    return Number(await this.#server.send(key, ['ZCARD', key]));
  }

  async #page({ ms, date, keys }: Bucket, first: number, last: number): Promise<SumRow[]> {
    const found = (await run(
      this.#server,
      PAGE,
      [keys.sums(date), keys.tops(date)],
      [String(first), String(last)],
    )) as unknown[];
    const rows: SumRow[] = [];
    for (let n = 0; n < found.length; n += 2) {
      const key = found[n];
      rows.push(rowFrom(ms, key === null ? null : String(key), found[n + 1]));
    }
    return rows;
  }

  async #series(site: string): Promise<string[]> {
    const key = this.#keys.series(site);
    // The response is an array, or in protocol version 3 possibly a set.
    const names = (await this.#server.send(key, ['SMEMBERS', key])) as Iterable<unknown>;
    return [...names].map(String);
  }

  #stream(site: string): RecordStream {
    return new RecordStream(this.#server, this.#keys.records(site));
  }
}

/**
 * Parses the sums of a bucket.
 * @param numbers For example `12 3456 0 7890`. Values above 2^53 are rounded.
 */
function rowFrom(bucket: number, key: string | null, numbers: unknown): SumRow {
  const [hits = 0, transfer = 0, errors = 0, duration = 0] = String(numbers).split(' ').map(Number);
  return { bucket, key, hits, transfer, errors, duration };
}

/** Parses the position in a cursor. */
function entryAt(after: string | undefined): Entry | undefined {
  if (after === undefined) return undefined;
  const [date, id = ''] = cursorParts(after, /^(-?\d{1,16}) (\d{1,16}-\d{1,20})$/);
  if (Number(date) > ANY_DATE.to) throw invalidCursor(after);
  return { date: Number(date), id, json: '' };
}
