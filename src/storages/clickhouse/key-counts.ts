import { hash } from 'node:crypto';
import { monotonicClock } from '../../platform/clock.ts';
import type { Batch, MaxKeys } from '../../storage/contract.ts';
import { admitted, admittedCompanions, isCounted, isNegative, maxKeysIn } from '../../storage/key-budget.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';
import { HAS_HITS } from './tables.ts';

/** Time after which keys are counted again, because other processes may have added some. In ms. */
const MAX_AGE = 10_000;
/** The same for a full bucket, which changes only if keys are removed, or if processes filled it at the same time. In ms. */
const MAX_AGE_IF_FULL = 60_000;
/** Number of free keys of a bucket below which its keys are counted before each batch. */
const NEAR = 1_000;
/** Limits of the remembered buckets and hashes. Beyond them, all are forgotten. A hash takes 8 bytes. */
const MAX_BUCKETS = 4_096;
const MAX_HASHES = 2_000_000;
/** First 53 bits of the SHA-256 of a key, as a number. */
const HASH = 'bitShiftRight(reinterpretAsUInt64(substring(SHA256(key), 1, 8)), 11)';

/** Keys of a bucket. */
interface Bucket {
  /** `performance.now()` timestamp of the last count, in ms. */
  counted: number;
  /** Number of keys when they were counted, plus the largest possible number of keys added since. */
  most: number;
  /**
   * Ascending hashes of all counted keys. Loaded when there may be no room for a batch. If two keys have the same hash,
   * one key more than the maximum is stored.
   */
  hashes: Float64Array | undefined;
  /** Hashes of keys that were admitted since the hashes were loaded. */
  readonly added: Set<number>;
}

/** Group of a batch that has a budget. */
interface Limited {
  group: DeltaGroup;
  max: number;
  bucket: Bucket;
}

/**
 * Decides which keys of a batch have room in their buckets. Far from the budget, this costs one query per 10 s.
 *
 * The decision and the insert are not one transaction. So a bucket can exceed its budget by the keys that other
 * processes add meanwhile: those of one batch per process if fewer than 1,000 keys are free, otherwise those of 10 s.
 */
export class KeyCounts {
  readonly #statements: Statements;
  readonly #tables: Tables;
  readonly #site: string;
  readonly #maxKeys: MaxKeys | undefined;
  readonly #buckets = new Map<string, Bucket>();
  #hashes = 0;

  constructor(statements: Statements, tables: Tables, site: string, maxKeys: MaxKeys | undefined) {
    this.#statements = statements;
    this.#tables = tables;
    this.#site = site;
    this.#maxKeys = maxKeys;
  }

  async admit(batch: Batch): Promise<Batch> {
    if (this.#buckets.size > MAX_BUCKETS || this.#hashes > MAX_HASHES) {
      this.#buckets.clear();
      this.#hashes = 0;
    }
    const found = await this.#admit(batch);
    for (const group of batch.deltas) {
      // A correction may remove keys.
      if (isNegative(group)) this.#forget(group);
    }
    return found;
  }

  async #admit(batch: Batch): Promise<Batch> {
    const limited = batch.deltas.flatMap((group): Limited[] => {
      const max = maxKeysIn(this.#maxKeys, group.summary.name, group.period);
      return max === Number.POSITIVE_INFINITY ? [] : [{ group, max, bucket: this.#bucketOf(group) }];
    });
    let uncertain = limited.filter(isUncertain);
    // All that are not full, so that their counts do not become old one after the other.
    if (uncertain.some(({ bucket }) => ageOf(bucket) > MAX_AGE))
      uncertain = limited.filter((each) => !isFull(each) || isUncertain(each));
    if (uncertain.length > 0) await this.#count(uncertain);
    const unknown = limited.filter((each) => !fits(each) && each.bucket.hashes === undefined);
    if (unknown.length > 0) await this.#loadHashes(unknown);
    if (limited.every(fits)) {
      for (const { group, bucket } of limited) bucket.most += group.key.length;
      return batch;
    }
    const hashes = new Map<number, number>();
    const hashOfKey = (key: number): number => {
      const found = hashes.get(key) ?? hashOf(batch.records.strings[key]!);
      hashes.set(key, found);
      return found;
    };
    const groups = new Map(limited.map((each) => [each.group, each]));
    const changed = new Map(
      batch.deltas.map((group) => {
        const of = groups.get(group);
        return [group, of ? admit(of, batch, hashOfKey) : group];
      }),
    );
    return { ...batch, deltas: admittedCompanions(batch.deltas, batch.records, changed) };
  }

  #bucketOf({ summary, period, bucket }: DeltaGroup): Bucket {
    const name = nameOf(summary.name, period, bucket);
    let found = this.#buckets.get(name);
    if (!found) {
      found = { counted: Number.NEGATIVE_INFINITY, most: 0, hashes: undefined, added: new Set() };
      this.#buckets.set(name, found);
    }
    return found;
  }

  /** Counts the keys of the buckets. */
  async #count(limited: readonly Limited[]): Promise<void> {
    const counted = monotonicClock.now();
    const rows = await this.#statements.rows<CountedRow>(`${COUNTED} ${this.#keysOf(limited)}`);
    const counts = new Map(rows.map((row) => [rowName(row), Number(row.count)]));
    for (const { group, bucket } of limited) {
      const count = counts.get(nameOf(group.summary.name, group.period, group.bucket)) ?? 0;
      if (bucket.hashes && bucket.hashes.length + bucket.added.size !== count) this.#dropHashes(bucket);
      bucket.counted = counted;
      bucket.most = count;
    }
  }

  async #loadHashes(limited: readonly Limited[]): Promise<void> {
    const rows = await this.#statements.rows<CountedRow & { hashes: (string | number)[] }>(
      `${COUNTED}, arraySort(groupArray(${HASH})) AS hashes ${this.#keysOf(limited)}`,
    );
    const found = new Map(rows.map((row) => [rowName(row), row.hashes]));
    for (const { group, bucket } of limited) {
      const name = nameOf(group.summary.name, group.period, group.bucket);
      bucket.hashes = Float64Array.from(found.get(name) ?? [], Number);
      bucket.most = bucket.hashes.length;
      this.#hashes += bucket.hashes.length;
    }
  }

  #forget({ summary, period, bucket }: DeltaGroup): void {
    const name = nameOf(summary.name, period, bucket);
    const found = this.#buckets.get(name);
    if (!found) return;
    this.#dropHashes(found);
    this.#buckets.delete(name);
  }

  #dropHashes(bucket: Bucket): void {
    this.#hashes -= bucket.hashes?.length ?? 0;
    bucket.hashes = undefined;
    bucket.added.clear();
  }

  /** Selects the keys of the buckets, and perhaps others, grouped by bucket. `null` and `OTHERS` do not count. */
  #keysOf(limited: readonly Limited[]): string {
    const summaries = new Set(limited.map(({ group }) => literal(group.summary.name)));
    const spans = new Map<string, [from: number, to: number]>();
    for (const { group } of limited) {
      const second = group.bucket / 1000;
      const [from, to] = spans.get(group.period) ?? [second, second];
      spans.set(group.period, [Math.min(from, second), Math.max(to, second)]);
    }
    const within = [...spans].map(
      ([period, [from, to]]) =>
        `(period = ${literal(period)} AND bucket BETWEEN toDateTime(${from}, 'UTC') AND toDateTime(${to}, 'UTC'))`,
    );
    return `FROM (SELECT summary, period, bucket, key, sum(s.hits) AS hits FROM ${this.#tables.sums} AS s
        WHERE site = ${literal(this.#site)} AND summary IN (${[...summaries].join(', ')})
          AND (${within.join(' OR ')}) AND absent = 0 AND key != ${literal(OTHERS)}
        GROUP BY summary, period, bucket, key HAVING ${HAS_HITS})
      GROUP BY summary, period, bucket`;
  }
}

const COUNTED = 'SELECT summary, period, toUnixTimestamp(bucket) AS start, count() AS count';

interface CountedRow {
  summary: string;
  period: string;
  start: string | number;
  count: string | number;
}

function rowName({ summary, period, start }: CountedRow): string {
  return nameOf(summary, period, Number(start) * 1000);
}

function nameOf(summary: string, period: string, bucket: number): string {
  return `${period} ${bucket} ${summary}`;
}

function ageOf({ counted }: Bucket): number {
  return monotonicClock.now() - counted;
}

/** Returns whether the keys must be counted before the decision. */
function isUncertain(limited: Limited): boolean {
  const { group, max, bucket } = limited;
  if (isFull(limited)) return ageOf(bucket) > MAX_AGE_IF_FULL;
  return ageOf(bucket) > MAX_AGE || bucket.most + group.key.length > max - NEAR;
}

/** Returns whether a bucket is known to have no room. */
function isFull({ max, bucket }: Limited): boolean {
  return bucket.hashes !== undefined && bucket.hashes.length + bucket.added.size >= max;
}

/** Returns whether there is room for all keys, even if all are new. */
function fits({ group, max, bucket }: Limited): boolean {
  return bucket.most + group.key.length <= max;
}

function admit(
  { group, max, bucket }: Limited,
  { records }: Batch,
  hashOfKey: (key: number) => number,
): DeltaGroup {
  const { hashes, added } = bucket;
  if (!hashes) {
    bucket.most += group.key.length;
    return group;
  }
  const isStored = (key: number) => added.has(hashOfKey(key)) || includes(hashes, hashOfKey(key));
  const found = admitted(group, records, max, { count: hashes.length + added.size, has: isStored });
  for (const key of found.key) {
    if (isCounted(records.strings[key]!) && !isStored(key)) added.add(hashOfKey(key));
  }
  bucket.most = hashes.length + added.size;
  return found;
}

/** Returns the same number as `HASH`. */
function hashOf(key: string): number {
  const bytes = hash('sha256', key, 'buffer');
  return bytes.readUInt32LE(4) * 2 ** 21 + (bytes.readUInt32LE(0) >>> 11);
}

/** Returns whether ascending numbers include a number. */
function includes(numbers: Float64Array, wanted: number): boolean {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return numbers[low] === wanted;
}
