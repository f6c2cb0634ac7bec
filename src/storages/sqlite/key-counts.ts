import type { DatabaseSync } from 'node:sqlite';
import { BoundedCache } from '../../platform/cache.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import type { Period } from '../../summaries/periods.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { writing } from './statements.ts';

/** Minimum number of cached counts. */
const CACHED = 10_000;
/** Number of batches like the current one for which a stored upper bound has room. */
const RESERVED_BATCHES = 16;
/** Number of keys up to which no count is stored. */
const FEW_KEYS = 50;

/** Number of keys in a bucket, excluding `null` and `OTHERS`. */
export interface KeyCount {
  /** Upper bound, or the exact number. */
  keys: number;
  isExact: boolean;
  /** Stored upper bound; -1 if there is none. */
  saved: number;
  /** True if the bucket has no rows. */
  isEmpty: boolean;
}

/** Identifies a bucket of a series. `bucket` is in seconds since 1970. */
export interface BucketId {
  series: number;
  period: Period;
  bucket: number;
}

/**
 * Upper bounds of the numbers of keys in the buckets. They are stored, so that all processes share them, and cached
 * until another process writes. All calls are made within a write transaction.
 */
export class KeyCounts {
  readonly #counts = new BoundedCache<string, KeyCount>(CACHED);
  readonly #statements: ReturnType<typeof prepare>;
  /** True if no other process has written since the last batch. */
  #isAlone = false;

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database);
  }

  get(id: BucketId): KeyCount {
    const name = nameOf(id);
    let count = this.#counts.get(name);
    if (!count) {
      const { series, period, bucket } = id;
      const found = this.#statements.find.get(series, period, bucket) as
        | { keys: number; exact: number }
        | undefined;
      // Without a row, the bucket is new, or was stored by a release that did not count.
      count = found
        ? { keys: found.keys, isExact: found.exact === 1, saved: found.keys, isEmpty: false }
        : { ...this.#count(id), saved: -1 };
      this.#counts.set(name, count);
    }
    return count;
  }

  /** Replaces an upper bound with the exact number. */
  recount(id: BucketId, count: KeyCount): void {
    if (!count.isExact) Object.assign(count, this.#count(id));
  }

  /** Stores a count, unless the stored one is still an upper bound. */
  save({ series, period, bucket }: BucketId, count: KeyCount, added: number): void {
    const { keys, isExact } = count;
    if (isExact ? count.saved === keys : count.saved >= keys) return;
    // Few keys are counted again as fast as their number is read.
    if (count.saved < 0 && keys <= FEW_KEYS) return;
    // A process that writes alone stores only every few batches.
    count.saved = isExact || !this.#isAlone ? keys : keys + RESERVED_BATCHES * added;
    this.#statements.save.run(series, period, bucket, count.saved, isExact ? 1 : 0);
  }

  /** Removes the count of a bucket from which rows were deleted. */
  remove(id: BucketId): void {
    this.#statements.remove.run(id.series, id.period, id.bucket);
    this.#counts.delete(nameOf(id));
  }

  /** Begins a transaction. @param isAlone False if another process has written since the last one. */
  begin(isAlone: boolean): void {
    this.#isAlone = isAlone;
    if (!isAlone) this.#counts.clear();
  }

  /** Clears the cache, after a failure. */
  forget(): void {
    this.#counts.clear();
  }

  #count({ series, period, bucket }: BucketId): Pick<KeyCount, 'keys' | 'isExact' | 'isEmpty'> {
    const { rows, keys } = this.#statements.count[period].get(series, bucket) as {
      rows: number;
      keys: number;
    };
    return { keys, isExact: true, isEmpty: rows === 0 };
  }
}

function nameOf({ series, period, bucket }: BucketId): string {
  return `${series} ${period} ${bucket}`;
}

function prepare(database: DatabaseSync) {
  const others = `(SELECT id FROM strings WHERE text = '${OTHERS}')`;
  const count = (table: string) =>
    database.prepare(
      `SELECT count(*) AS rows, count(CASE WHEN key <> 0 AND key IS NOT ${others} THEN 1 END) AS keys
       FROM ${table} WHERE series = ? AND bucket = ?`,
    );
  const { hour, day, month } = PERIOD_NAMES;
  const of = 'WHERE series = ? AND period = ? AND bucket = ?';
  return {
    find: database.prepare(`SELECT keys, exact FROM key_counts ${of}`),
    count: { hour: count(hour), day: count(day), month: count(month) },
    save: writing(database, 'INSERT OR REPLACE INTO key_counts VALUES (?, ?, ?, ?, ?)'),
    remove: writing(database, `DELETE FROM key_counts ${of}`),
  };
}
