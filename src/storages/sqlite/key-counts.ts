import type { DatabaseSync } from 'node:sqlite';
import { BoundedCache } from '../../platform/cache.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import type { Period } from '../../summaries/periods.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { writing } from './statements.ts';

/** Minimum number of cached counts. */
const CACHED = 10_000;

/** Number of keys in a bucket, excluding `null` and `OTHERS`. */
export interface KeyCount {
  keys: number;
  /** True if the count is the one in the database. */
  isSaved: boolean;
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
 * Numbers of keys in the buckets. They are stored, so that all processes share them, and cached until another process
 * writes. All calls are made within a write transaction.
 */
export class KeyCounts {
  readonly #counts = new BoundedCache<string, number>(CACHED);
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database);
  }

  get({ series, period, bucket }: BucketId): KeyCount {
    const name = nameOf(series, period, bucket);
    const cached = this.#counts.get(name);
    if (cached !== undefined) return { keys: cached, isSaved: true, isEmpty: false };
    const { find, count } = this.#statements;
    const found = find.get(series, period, bucket) as { keys: number } | undefined;
    if (found) {
      this.#counts.set(name, found.keys);
      return { ...found, isSaved: true, isEmpty: false };
    }
    // The bucket is new, or was stored by a release that did not count.
    const { rows, keys } = count[period].get(series, bucket) as { rows: number; keys: number };
    return { keys, isSaved: false, isEmpty: rows === 0 };
  }

  save({ series, period, bucket }: BucketId, keys: number): void {
    this.#statements.save.run(series, period, bucket, keys);
    this.#counts.set(nameOf(series, period, bucket), keys);
  }

  /** Removes the count of a bucket from which rows were deleted. */
  remove({ series, period, bucket }: BucketId): void {
    this.#statements.remove.run(series, period, bucket);
    this.#counts.delete(nameOf(series, period, bucket));
  }

  /** Clears the cache, after a failure or when another process has written. */
  forget(): void {
    this.#counts.clear();
  }
}

function nameOf(series: number, period: Period, bucket: number): string {
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
    find: database.prepare(`SELECT keys FROM key_counts ${of}`),
    count: { hour: count(hour), day: count(day), month: count(month) },
    save: writing(database, 'INSERT OR REPLACE INTO key_counts VALUES (?, ?, ?, ?)'),
    remove: writing(database, `DELETE FROM key_counts ${of}`),
  };
}
