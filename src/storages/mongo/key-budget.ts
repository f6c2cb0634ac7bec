import type { Batch, WriterContext } from '../../storage/contract.ts';
import { admitted, admittedCompanions, maxKeysIn } from '../../storage/key-budget.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import { type Collections, limited } from './collections.ts';
import type { KeyCount, KeyCounts } from './key-counts.ts';
import { idOf, Keys } from './keys.ts';

/** Number of sums searched per message. */
const SUMS_PER_MESSAGE = 1_000;

/**
 * Limits the keys of a bucket, before a batch is saved.
 *
 * Exact for one process. Nothing is locked between this and `apply`, so a bucket may exceed its maximum by the new keys
 * of the batches that other processes have in progress at the same time.
 */
export class KeyBudget {
  readonly #collections: Collections;
  readonly #context: WriterContext;
  readonly #counts: KeyCounts;

  constructor(collections: Collections, context: WriterContext, counts: KeyCounts) {
    this.#collections = collections;
    this.#context = context;
    this.#counts = counts;
  }

  /** Replaces the keys for which there is no room. Reads one small document per bucket while there is room for all. */
  async admit(batch: Batch): Promise<Batch> {
    const groups = batch.deltas.filter((group) => Number.isFinite(this.#max(group)));
    if (groups.length === 0) return batch;
    const counts = await this.#counts.read(groups);
    const keys = new Keys(this.#context.site, batch.records);
    const changed = new Map<DeltaGroup, DeltaGroup>();
    for (const [group, found] of counts) {
      if (found.count + group.key.length <= this.#max(group)) continue;
      changed.set(group, await this.#admit(batch, group, found, keys));
    }
    if (changed.size === 0) return batch;
    const { deltas, records } = batch;
    return { ...batch, deltas: admittedCompanions(deltas, records, changed) };
  }

  async #admit({ records }: Batch, group: DeltaGroup, found: KeyCount, keys: Keys): Promise<DeltaGroup> {
    const existing = await this.#existing(group, keys);
    const added = group.key.filter((local) => keys.isCounted(local) && !existing.has(local)).length;
    const max = this.#max(group);
    let { count } = found;
    if (count + added > max && !found.isCounted) {
      count = (await this.#counts.count([group])).get(group)!.count;
    }
    return admitted(group, records, max, { count, has: (local) => existing.has(local) });
  }

  /** Returns those keys of a bucket that already have a sum, by their IDs in `strings`. */
  async #existing({ summary, period, bucket, key }: DeltaGroup, keys: Keys): Promise<Set<number>> {
    const collection = this.#collections.sums(summary.name, period);
    const locals = new Map(Array.from(key, (local) => [idOf(bucket, keys.hash(local)), local]));
    const ids = [...locals.keys()];
    const existing = new Set<number>();
    for (let at = 0; at < ids.length; at += SUMS_PER_MESSAGE) {
      const some = { $in: ids.slice(at, at + SUMS_PER_MESSAGE) };
      const found = await limited(collection.find({ _id: some }).project({ _id: 1 }).toArray());
      for (const { _id } of found) existing.add(locals.get(_id as string)!);
    }
    return existing;
  }

  #max({ summary, period }: DeltaGroup): number {
    return maxKeysIn(this.#context.maxKeys, summary.name, period);
  }
}
