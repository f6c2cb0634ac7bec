import type { Collection, Filter, Sort } from 'mongodb';
import type { PruneRequest } from '../../storage/contract.ts';
import type { Part } from '../../storage/retention.ts';
import { type Collections, limited, type StoredDocument } from './collections.ts';
import type { KeyCounts } from './key-counts.ts';

/**
 * Deletes old records and sums, in batches.
 *
 * A TTL index would apply one age to all sites of a collection, and ignore that days begin at different times in
 * different time zones.
 */
export class Pruning {
  readonly #collections: Collections;
  readonly #site: string;
  readonly #counts: KeyCounts;
  /** Part and end of the current pass, and the summaries in which it found nothing more. */
  #pass: { part: Part; before: number; finished: Set<string> } | undefined;

  constructor(collections: Collections, site: string, counts: KeyCounts) {
    this.#collections = collections;
    this.#site = site;
    this.#counts = counts;
  }

  async prune({ part, before, limit }: PruneRequest): Promise<number> {
    if (part === 'records') return this.#deleteOldest(this.#collections.records, '_id', 1, before, limit);
    if (this.#pass?.part !== part || this.#pass.before !== before) {
      this.#pass = { part, before, finished: new Set() };
    }
    const { finished } = this.#pass;
    let deleted = 0;
    for (const summary of await this.#collections.summaries(this.#site)) {
      if (finished.has(summary)) continue;
      const left = limit - deleted;
      const count = await this.#deleteOldest(this.#collections.sums(summary, part), 'key', -1, before, left);
      deleted += count;
      if (count >= left) return deleted;
      finished.add(summary);
    }
    if (deleted > 0) return deleted;
    this.#pass = undefined;
    await this.#counts.prune(part, before);
    return 0;
  }

  /**
   * Deletes the first documents by date, then by another field. Deletes a range of the index, which is faster than a list
   * of `_id`s.
   * @param direction Order of the field that the index supports.
   */
  async #deleteOldest(
    collection: Collection<StoredDocument>,
    field: '_id' | 'key',
    direction: 1 | -1,
    before: number,
    limit: number,
  ): Promise<number> {
    const old: Filter<StoredDocument> = { site: this.#site, date: { $lt: new Date(before) } };
    const sort: Sort = { date: 1, [field]: direction };
    const [last] = await limited(
      collection
        .find(old)
        .sort(sort)
        .skip(limit - 1)
        .limit(1)
        .project({ date: 1, [field]: 1 })
        .toArray(),
    );
    const { deletedCount } = await limited(
      collection.deleteMany(last === undefined ? old : { site: this.#site, $or: until(last, field) }),
    );
    return deletedCount;
  }
}

/** Returns the documents up to the last one in the order of `#deleteOldest`. */
function until(last: Partial<StoredDocument>, field: '_id' | 'key'): Filter<StoredDocument>[] {
  const { date, [field]: value = null } = last;
  // The key `null` is the last one of its date. Some servers omit it.
  const upTo = field === '_id' ? { _id: { $lte: value } } : { key: { $gte: value } };
  return [{ date: { $lt: date } }, { date, ...(value !== null && upTo) }] as Filter<StoredDocument>[];
}
