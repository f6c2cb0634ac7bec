import type { MaxKeys, Measures } from '../../storage/contract.ts';
import { maxKeysIn } from '../../storage/key-budget.ts';
import { addMeasures, noMeasures } from '../../storage/measures.ts';
import { OTHERS, RESERVED } from '../../summaries/coverage.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { BatchIds } from './batch-ids.ts';
import type { BucketId, KeyCounts } from './key-counts.ts';
import type { batchStatements } from './statements.ts';

type Statements = ReturnType<typeof batchStatements>['sums'];

/** Adds the sums of batches to the buckets, within their budgets. */
export class SumWriter {
  readonly #statements: Statements;
  readonly #counts: KeyCounts;
  readonly #maxKeys: MaxKeys | undefined;

  constructor(statements: Statements, counts: KeyCounts, maxKeys: MaxKeys | undefined) {
    this.#statements = statements;
    this.#counts = counts;
    this.#maxKeys = maxKeys;
  }

  /** Adds sums to a bucket. The keys are counted in passing, because an update of a new key changes no row. */
  add(group: DeltaGroup, id: BucketId, ids: BatchIds): void {
    const { summary, period, key } = group;
    if (RESERVED.includes(summary.name)) {
      this.#addAll(group, id, ids, false);
      return;
    }
    const { keys, isSaved, isEmpty } = this.#counts.get(id);
    const max = maxKeysIn(this.#maxKeys, summary.name, period);
    const now =
      keys +
      (keys + key.length <= max
        ? this.#addAll(group, id, ids, isEmpty)
        : this.#addWithin(max - keys, group, id, ids));
    if (now !== keys || !isSaved) this.#counts.save(id, now);
  }

  /**
   * Adds all sums. Returns the number of new keys, which is negative if more were removed.
   * @param isEmpty True if no key of the bucket exists.
   */
  #addAll(group: DeltaGroup, id: BucketId, ids: BatchIds, isEmpty: boolean): number {
    const keys = ids.all(group.key);
    // Sorted in the table's order, so that adjacent rows are on the same pages.
    const order = Uint32Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]!);
    let added = 0;
    for (const i of order) {
      const isCounted = isKey(ids.strings[group.key[i]!]!);
      const measures = measuresAt(group, i);
      if (isEmpty || !this.#update(id, keys[i]!, measures)) {
        this.#insert(id, keys[i]!, measures);
        if (isCounted) added += 1;
      }
      if (measures.hits <= 0 && this.#removeEmpty(id, keys[i]!) && isCounted) added -= 1;
    }
    return added;
  }

  /** Adds sums in the order of the batch. Those of new keys beyond the room are added up. Returns the number of new keys. */
  #addWithin(room: number, group: DeltaGroup, id: BucketId, ids: BatchIds): number {
    const rest = noMeasures();
    let added = 0;
    for (let i = 0; i < group.key.length; i++) {
      const local = group.key[i]!;
      const isCounted = isKey(ids.strings[local]!);
      const measures = measuresAt(group, i);
      // A text that is not stored is a new key.
      const known = ids.find(local);
      if (known !== undefined && this.#update(id, known, measures)) {
        if (measures.hits <= 0 && this.#removeEmpty(id, known) && isCounted) added -= 1;
        continue;
      }
      if (isCounted && added >= room) {
        addMeasures(rest, measures);
        continue;
      }
      this.#insert(id, ids.of(local), measures);
      if (isCounted) added += 1;
    }
    if (rest.hits !== 0) {
      const others = ids.idOf(OTHERS);
      if (!this.#update(id, others, rest)) this.#insert(id, others, rest);
    }
    return added;
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

/** Returns whether a key counts towards the budget. */
function isKey(text: string | null): boolean {
  return text !== null && text !== OTHERS;
}

function measuresAt({ hits, transfer, errors, duration }: DeltaGroup, index: number): Measures {
  return {
    hits: hits[index]!,
    transfer: transfer[index]!,
    errors: errors[index]!,
    duration: duration[index]!,
  };
}
