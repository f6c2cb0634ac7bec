import type { Position } from '../../journal/position.ts';
import type { UsageRecord } from '../../record.ts';
import type {
  Keys as FoundKeys,
  FoundRecords,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  PositionRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageSize,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { ANY_DATE, cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { FoldedSums } from '../../storage/fold-sums.ts';
import { type RecordRow, recordOf } from '../../storage/record-row.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { searchRecords } from '../../storage/search-records.ts';
import { calendar } from '../../summaries/periods.ts';
import { run, type Server } from './client.ts';
import type { Keys, SeriesKeys } from './keys.ts';
import { positionOf } from './position.ts';
import { entriesOf } from './progress.ts';
import { rowOf } from './records.ts';
import { recountAtOnce } from './recount.ts';
import { inForce, storedRetention } from './retained.ts';
import { ONE, PAGE, PAUSE } from './scripts.ts';
import { type Bucket, bucketsOf, seriesNames } from './series.ts';
import { sizeOf } from './size.ts';
import { type Entry, RecordStream } from './stream.ts';

/** Number of rows read per call. Each call blocks Redis for about a millisecond. */
const ROWS = 1_000;
/** Number of buckets read concurrently. */
const BUCKETS = 100;

interface ReadBucket extends Bucket {
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
    const names = (await seriesNames(this.#server, this.#keys, site)).map((series) => series.split(':')[0]!);
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

  async *#rows({ site, from, to }: Matching, end?: string): AsyncGenerator<RecordRow[]> {
    for await (const entries of this.#stream(site, end).within(from, to)) {
      yield entries.map(({ date, json }) => rowOf(site, date, json));
    }
  }

  scan(request: ScanRequest): Promise<Scanned> {
    return this.#scan(request);
  }

  async #scan(
    { site, after, limit, from = ANY_DATE.from, to = ANY_DATE.to }: ScanRequest,
    end?: string,
  ): Promise<Scanned> {
    const { entries, more } = await this.#stream(site, end).oldest(from, to, limit, entryAt(after));
    const next = entries.at(-1);
    return {
      records: entries.map((entry) => rowOf(site, entry.date, entry.json)),
      next: more && next ? `${next.date} ${next.id}` : undefined,
    };
  }

  /** Returns what is stored, what Redis expires by itself, and which records were removed as too many. */
  async retention(site: string): Promise<StoredRetention> {
    const [timeZone, stored, trimmed, names] = await Promise.all([
      this.timeZone(site),
      storedRetention(this.#server, this.#keys.retention(site)),
      this.#stream(site).trimmedBefore(),
      seriesNames(this.#server, this.#keys, site),
    ]);
    return timeZone === undefined ? {} : inForce(stored, calendar(timeZone), trimmed, names);
  }

  position({ journal }: PositionRequest): Promise<Position | undefined> {
    return positionOf(this.#server, this.#keys, journal);
  }

  recount(request: RecountRequest): Promise<Recount> {
    const { site } = request;
    const sums = new FoldedSums(this);
    return recountAtOnce(request, {
      keys: (keys) => sums.keys(keys),
      entries: () => entriesOf(this.#server, this.#keys, site),
      pause: async (ms) => {
        const args = [site, request.from, request.to, ms].map(String);
        await run(this.#server, PAUSE, [this.#keys.journals], args);
      },
      last: () => this.#stream(site).last(),
      rows: (matching, last) => this.#rows(matching, last),
      scan: (page, last) => this.#scan(page, last),
    });
  }

  size(): Promise<StorageSize> {
    return sizeOf(this.#server, this.#keys);
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** Returns the buckets, newest first. One may be empty: not filled yet, or expired. */
  async #buckets({ site, summary, period, from, to }: SumsRequest): Promise<ReadBucket[]> {
    const all = await seriesNames(this.#server, this.#keys, site);
    const series = all.filter((name) => name.startsWith(`${summary}:${period}:`));
    const lists = await Promise.all(
      series.map(async (name) => {
        const keys = this.#keys.of(site, name);
        const buckets = await bucketsOf(this.#server, keys, String(from), String(to));
        return buckets.map((bucket) => ({ ...bucket, keys }));
      }),
    );
    return lists.flat().sort((a, b) => b.ms - a.ms);
  }

  async #sumsOf(
    target: string | null,
    buckets: readonly ReadBucket[],
    offset: number,
    end: number,
  ): Promise<SumRow[]> {
    const rows: SumRow[] = [];
    for (let at = 0; at < buckets.length && rows.length < end; at += BUCKETS) {
      const found = await Promise.all(
        buckets.slice(at, at + BUCKETS).map(async ({ ms, date, keys }) => {
          const numbers = await run(
            this.#server,
            ONE,
            [keys.sums(date)],
            [target === null ? '1' : '0', target ?? ''],
          );
          return numbers === null ? [] : [rowFrom(ms, target, numbers)];
        }),
      );
      rows.push(...found.flat());
    }
    return rows.slice(offset, end);
  }

  async #size({ date, keys }: ReadBucket): Promise<number> {
    const key = keys.tops(date);
    return Number(await this.#server.send(key, ['ZCARD', key]));
  }

  async #page({ ms, date, keys }: ReadBucket, first: number, last: number): Promise<SumRow[]> {
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

  #stream(site: string, end?: string): RecordStream {
    return new RecordStream(this.#server, this.#keys.records(site), end);
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
