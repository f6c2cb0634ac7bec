import type { RecordBatch } from '../../batch.ts';
import type { MaxKeys } from '../../storage/contract.ts';
import { admitted, admittedCompanions, hasBudget, isCounted, maxKeysIn } from '../../storage/key-budget.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';
import { columnsOf } from './columns-of.ts';
import type { ServerDialect } from './dialect.ts';

/** Limit that means no limit. */
export const UNLIMITED = 2 ** 31 - 1;
/** Number of buckets whose counts are read per statement. */
const BUCKETS_PER_STATEMENT = 200;
/** Number of keys up to which they are looked up one by one. Beyond, all keys of the bucket are read. */
const FEW_KEYS = 900;

/** Group of a batch, with its place in the database. */
export interface PlacedGroup {
  group: DeltaGroup;
  /** ID of the summary. */
  series: number;
  /** Maximum number of keys in the bucket; `undefined` for a summary whose keys are not counted. */
  max: number | undefined;
  /** Number of keys that the bucket does not have yet; `undefined` if unknown. */
  added?: number;
}

/** Number of keys in a bucket, as stored. */
export interface KeyCount {
  series: number;
  period: Period;
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
  total: number;
  /** False if the bucket may have fewer keys. */
  isExact: boolean;
}

/** Runs a query within or outside of a transaction. */
type Query = ServerDialect['query'];

/** Returns the place of a group. `maxKeys` is the option of the storage. */
export function placed(group: DeltaGroup, series: number, maxKeys: MaxKeys | undefined): PlacedGroup {
  const { summary, period } = group;
  if (!hasBudget(summary.name)) return { group, series, max: undefined };
  return { group, series, max: Math.min(UNLIMITED, maxKeysIn(maxKeys, summary.name, period)) };
}

/** Returns the number of a period in `key_counts`. */
export function periodNumber(period: Period): number {
  return PERIODS.indexOf(period);
}

/**
 * Admits the keys of batches to their buckets. `key_counts` has the number of keys in each bucket, and is changed with
 * the sums. Its row is locked last and checked, so that two writers together cannot exceed a budget: the batch of one
 * of them fails, and is admitted again. The writer remembers the counts of its last batch, so it looks up the keys of
 * a bucket only if the bucket may be full.
 */
export class KeyBudgets {
  readonly #dialect: ServerDialect;
  readonly #isExact: string;
  #counts = new Map<string, KeyCount>();

  /** @param isExact Expression of 0 if a bucket may have fewer keys than `c.total`, or else 1. */
  constructor(dialect: ServerDialect, isExact: string) {
    this.#dialect = dialect;
    this.#isExact = isExact;
  }

  /** Clears the counts, after a failure. */
  forget(): void {
    this.#counts.clear();
  }

  /** Remembers counts that were stored with a batch. */
  learn(counts: readonly KeyCount[]): void {
    for (const count of counts) this.#counts.set(nameOf(count), count);
  }

  /**
   * Returns the groups with the keys for which there is no room added up under `OTHERS`.
   * @param ids IDs of the batch's texts.
   */
  async admit(
    groups: readonly PlacedGroup[],
    records: RecordBatch,
    ids: Float64Array,
  ): Promise<PlacedGroup[]> {
    const limited = groups.filter(({ max = UNLIMITED }) => max < UNLIMITED);
    await this.#readCounts(limited);
    const tight = limited.filter((place) => {
      const { length } = place.group.key;
      return length > 0 && this.#counts.get(nameOf(placeOf(place)))!.total + length > place.max!;
    });
    if (tight.length === 0) return [...groups];
    // Other writers may have removed keys.
    await this.#refresh(tight);
    const found: PlacedGroup[] = [];
    for (const place of groups) {
      found.push(tight.includes(place) ? await this.#admit(place, records, ids) : place);
    }
    const changed = new Map(found.map(({ group }, i) => [groups[i]!.group, group]));
    const deltas = groups.map(({ group }) => group);
    const followed = admittedCompanions(deltas, records, changed);
    return found.map((place, i) => ({ ...place, group: followed[i]! }));
  }

  /** Reads stored counts of buckets. Within a transaction that has changed them, they are final. */
  async read(query: Query, places: readonly PlacedGroup[]): Promise<KeyCount[]> {
    const { table, bucketMs, bucketWithin } = this.#dialect;
    const counts: KeyCount[] = [];
    for (let at = 0; at < places.length; at += BUCKETS_PER_STATEMENT) {
      const conditions = places.slice(at, at + BUCKETS_PER_STATEMENT).map(({ series, group }) => {
        const range = { from: group.bucket, to: group.bucket };
        const period = periodNumber(group.period);
        return `(c.series = ${series} AND c.period = ${period} AND ${bucketWithin('c.bucket', range)})`;
      });
      const rows = await query(
        `SELECT c.series, c.period, ${bucketMs('c.bucket')} AS ms, c.total, ${this.#isExact} AS is_exact
         FROM ${table('key_counts')} c WHERE ${conditions.join(' OR ')}`,
      );
      for (const row of rows) {
        counts.push({
          series: Number(row.series),
          period: PERIODS[Number(row.period)]!,
          bucket: Number(row.ms),
          total: Number(row.total),
          isExact: Number(row.is_exact) === 1,
        });
      }
    }
    return counts;
  }

  /** Counts the keys of a bucket. */
  async count(query: Query, place: PlacedGroup): Promise<number> {
    const { table, isText } = this.#dialect;
    const strings = table('strings');
    const [row] = await query(
      `SELECT COUNT(*) AS total FROM ${this.#bucketOf(place)} AND t.key <> 0
       AND t.key <> COALESCE((SELECT strings.id FROM ${strings} strings WHERE ${isText(OTHERS)}), 0)`,
    );
    return Number(row!.total);
  }

  /** Reads the counts of the buckets of a batch that are unknown, and forgets those of other buckets. */
  async #readCounts(places: readonly PlacedGroup[]): Promise<void> {
    const before = this.#counts;
    this.#counts = new Map();
    const unknown: PlacedGroup[] = [];
    for (const place of places) {
      const name = nameOf(placeOf(place));
      const known = before.get(name);
      if (known) this.#counts.set(name, known);
      else unknown.push(place);
    }
    await this.#refresh(unknown);
  }

  async #refresh(places: readonly PlacedGroup[]): Promise<void> {
    // Buckets without keys have no row.
    this.learn(places.map((place) => ({ ...placeOf(place), total: 0, isExact: true })));
    this.learn(await this.read(this.#dialect.query, places));
  }

  async #admit(place: PlacedGroup, records: RecordBatch, ids: Float64Array): Promise<PlacedGroup> {
    const { group, max = UNLIMITED } = place;
    const count = this.#counts.get(nameOf(placeOf(place)))!;
    let { total } = count;
    const present = await this.#present(place, ids);
    const isNew = (local: number) => {
      return isCounted(records.strings[local]!) && !present.has(ids[local]!);
    };
    const added = group.key.filter(isNew).length;
    if (total + added > max && !count.isExact) total = await this.count(this.#dialect.query, place);
    if (total + added <= max) return { ...place, added };
    const has = (local: number) => present.has(ids[local]!);
    const found = admitted(group, records, max, { count: total, has });
    return { ...place, group: found, added: Math.max(0, Math.min(added, max - total)) };
  }

  /** Returns those keys of a group that its bucket has, and possibly others. */
  async #present(place: PlacedGroup, ids: Float64Array): Promise<Set<number>> {
    const { key } = place.group;
    const some =
      key.length > FEW_KEYS ? '' : `AND t.key IN (${Array.from(key, (local) => ids[local]).join(', ')})`;
    const { id } = await columnsOf(
      this.#dialect,
      ['id'],
      `SELECT t.key AS id FROM ${this.#bucketOf(place)} ${some}`,
    );
    return new Set(id.map(Number));
  }

  /** Returns the FROM and WHERE clause of a bucket's rows. */
  #bucketOf({ series, group: { period, bucket } }: PlacedGroup): string {
    const { table, sums, bucketWithin } = this.#dialect;
    const range = { from: bucket, to: bucket };
    return `${table(sums[period])} t WHERE t.series = ${series} AND ${bucketWithin('t.bucket', range)}`;
  }
}

/** Returns the bucket of a group. */
export function placeOf({ series, group: { period, bucket } }: PlacedGroup) {
  return { series, period, bucket };
}

/** Returns the name of a bucket. */
export function nameOf({ series, period, bucket }: Pick<KeyCount, 'series' | 'period' | 'bucket'>): string {
  return `${series} ${period} ${bucket}`;
}
