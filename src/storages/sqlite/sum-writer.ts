import type { MaxKeys, Measures } from '../../storage/contract.ts';
import { hasBudget, isCounted, maxKeysIn } from '../../storage/key-budget.ts';
import { addMeasures, noMeasures } from '../../storage/measures.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { companionBase, latencyKey, partsOfLatencyKey } from '../../summaries/latency.ts';
import type { BatchIds } from './batch-ids.ts';
import type { BucketId, KeyCounts } from './key-counts.ts';
import type { batchStatements } from './statements.ts';

type Statements = ReturnType<typeof batchStatements>['sums'];

/** Adds the sums of batches to the buckets, within their budgets. */
export class SumWriter {
  readonly #statements: Statements;
  readonly #counts: KeyCounts;
  readonly #maxKeys: MaxKeys | undefined;
  /** Keys of the current batch that were counted under `OTHERS`, by bucket. Those of companions follow them. */
  #refused = new Map<string, Set<string>>();
  #batch: BatchIds | undefined;

  constructor(statements: Statements, counts: KeyCounts, maxKeys: MaxKeys | undefined) {
    this.#statements = statements;
    this.#counts = counts;
    this.#maxKeys = maxKeys;
  }

  /**
   * Adds sums to a bucket. Up to half of the budget, an upper bound of its keys is enough. Beyond that, they are counted
   * in passing, because an update of a new key changes no row.
   */
  add(group: DeltaGroup, id: BucketId, ids: BatchIds): void {
    const { summary, period, key } = group;
    if (ids !== this.#batch) this.#refused = new Map();
    this.#batch = ids;
    if (!hasBudget(summary.name)) {
      const refused = this.#refused.get(nameOf(companionBase(summary.name) ?? '', group));
      if (refused === undefined) this.#addAll(group, id, ids);
      else this.#addCompanion(group, id, ids, refused);
      return;
    }
    const max = maxKeysIn(this.#maxKeys, summary.name, period);
    const count = this.#counts.get(id);
    const isFar = () => count.keys + key.length <= max / 2;
    if (!isFar()) this.#counts.recount(id, count);
    if (isFar()) {
      this.#addAll(group, id, ids);
      count.keys += key.length;
      count.isExact = false;
    } else if (count.keys + key.length <= max) count.keys += this.#addCounted(group, id, ids, count.isEmpty);
    else count.keys += this.#addWithin(max - count.keys, group, id, ids);
    count.isEmpty = false;
    this.#counts.save(id, count, key.length);
  }

  #addAll(group: DeltaGroup, id: BucketId, ids: BatchIds): void {
    const { insert } = this.#statements[id.period];
    const { hits, transfer, errors, duration } = group;
    const keys = ids.all(group.key);
    for (const i of orderOf(keys)) {
      insert.run(hits[i]!, transfer[i]!, errors[i]!, duration[i]!, id.series, id.bucket, keys[i]!);
      if (hits[i]! <= 0) this.#removeEmpty(id, keys[i]!);
    }
  }

  /**
   * Adds all sums. Returns the number of new keys, which is negative if more were removed.
   * @param isEmpty True if no key of the bucket exists.
   */
  #addCounted(group: DeltaGroup, id: BucketId, ids: BatchIds, isEmpty: boolean): number {
    const keys = ids.all(group.key);
    let added = 0;
    for (const i of orderOf(keys)) {
      const counts = isCounted(ids.strings[group.key[i]!]!);
      const measures = measuresAt(group, i);
      if (isEmpty || ids.isNew(keys[i]!) || !this.#update(id, keys[i]!, measures)) {
        this.#insert(id, keys[i]!, measures);
        if (counts) added += 1;
      }
      if (measures.hits <= 0 && this.#removeEmpty(id, keys[i]!) && counts) added -= 1;
    }
    return added;
  }

  /** Adds sums in the order of the batch. Those of new keys beyond the room are added up. Returns the number of new keys. */
  #addWithin(room: number, group: DeltaGroup, id: BucketId, ids: BatchIds): number {
    const rest = noMeasures();
    const refused = new Set<string>();
    this.#refused.set(nameOf(group.summary.name, group), refused);
    let added = 0;
    for (let i = 0; i < group.key.length; i++) {
      const local = group.key[i]!;
      const counts = isCounted(ids.strings[local]!);
      const measures = measuresAt(group, i);
      // A text that is not stored is a new key.
      const known = ids.find(local);
      if (known !== undefined && !ids.isNew(known) && this.#update(id, known, measures)) {
        if (measures.hits <= 0 && this.#removeEmpty(id, known) && counts) added -= 1;
        continue;
      }
      if (counts && added >= room) {
        addMeasures(rest, measures);
        refused.add(ids.strings[local]!);
        continue;
      }
      this.#insert(id, ids.of(local), measures);
      if (counts) added += 1;
    }
    if (rest.hits !== 0) {
      const others = ids.idOf(OTHERS);
      if (!this.#update(id, others, rest)) this.#insert(id, others, rest);
    }
    return added;
  }

  /** Adds the sums of a companion, with the refused keys of its summary counted under `OTHERS`. */
  #addCompanion(group: DeltaGroup, id: BucketId, ids: BatchIds, refused: ReadonlySet<string>): void {
    const none = noMeasures();
    for (let i = 0; i < group.key.length; i++) {
      const { bin, key } = partsOfLatencyKey(ids.strings[group.key[i]!]!);
      const isRefused = key !== null && refused.has(key);
      const found = isRefused ? ids.idOf(latencyKey(bin, OTHERS)) : ids.of(group.key[i]!);
      this.#insert(id, found, { ...none, hits: group.hits[i]! });
    }
  }

  #update(id: BucketId, key: number, { hits, transfer, errors, duration }: Measures): boolean {
    const { update } = this.#statements[id.period];
    return update.run(hits, transfer, errors, duration, id.series, id.bucket, key).changes !== 0n;
  }

  #insert(id: BucketId, key: number, { hits, transfer, errors, duration }: Measures): void {
    this.#statements[id.period].insert.run(hits, transfer, errors, duration, id.series, id.bucket, key);
  }

  /** Removes a key that has no hits left. */
  #removeEmpty({ series, period, bucket }: BucketId, key: number): boolean {
    return this.#statements[period].removeEmpty.run(series, bucket, key).changes !== 0n;
  }
}

/** Returns the indexes in the table's order, so that adjacent rows are on the same pages. */
function orderOf(keys: Float64Array): Uint32Array {
  return Uint32Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]!);
}

function measuresAt({ hits, transfer, errors, duration }: DeltaGroup, index: number): Measures {
  return {
    hits: hits[index]!,
    transfer: transfer[index]!,
    errors: errors[index]!,
    duration: duration[index]!,
  };
}

function nameOf(summary: string, { period, bucket }: DeltaGroup): string {
  return `${summary} ${period} ${bucket}`;
}
