import type { Batch } from '../../storage/contract.ts';
import type { Period } from '../../summaries/periods.ts';
import { type Collections, limited, type StoredDocument } from './collections.ts';
import type { KeyCounts } from './key-counts.ts';

/** Sums of one summary and period. */
export interface SumsOf {
  summary: string;
  period: Period;
  /** Their `_id`s. */
  ids: readonly string[];
}

/** Number of sums per message and document. */
const SUMS_PER_MESSAGE = 500;
/** Number of documents processed per call of `remove`. */
const NOTES_PER_CALL = 20;

/** Document of the collection of emptied sums. */
interface Note extends SumsOf {
  _id: string;
}

/**
 * Deletes the sums whose hits became 0.
 *
 * A sum without hits may still be needed: it records that a batch in progress was added, which would otherwise be added
 * again. So the sums are noted before the position of the journal is updated, and deleted once no such batch is left.
 */
export class EmptiedSums {
  readonly #collections: Collections;
  readonly #site: string;
  readonly #counts: KeyCounts;
  /** `_id` of the last note that was processed in this pass. */
  #last = '';

  constructor(collections: Collections, site: string, counts: KeyCounts) {
    this.#collections = collections;
    this.#site = site;
    this.#counts = counts;
  }

  /** Notes those of the sums that have no hits now, and returns whether there are any. */
  async note({ journal, to }: Batch, sums: readonly SumsOf[]): Promise<boolean> {
    let notes = 0;
    for (const { summary, period, ids } of sums) {
      for (let at = 0; at < ids.length; at += SUMS_PER_MESSAGE) {
        const some = ids.slice(at, at + SUMS_PER_MESSAGE);
        const empty = await this.#empty({ summary, period, ids: some });
        if (empty.length === 0) continue;
        // A repeated batch notes the same sums again.
        const _id = `${journal} ${to.position} ${notes++}`;
        const note = { site: this.#site, summary, period, ids: empty.map((sum) => sum._id) };
        await limited(this.#collections.emptied.updateOne({ _id }, { $set: note }, { upsert: true }));
      }
    }
    return notes > 0;
  }

  /** Deletes all noted sums that are no longer needed. */
  async removeAll(): Promise<void> {
    this.#last = '';
    while (await this.remove());
  }

  /** Deletes noted sums, in steps. Returns false once a whole pass is complete. */
  async remove(): Promise<boolean> {
    const notes = await limited(
      this.#collections.emptied
        .find({ site: this.#site, _id: { $gt: this.#last } })
        .sort({ _id: 1 })
        .limit(NOTES_PER_CALL)
        .toArray(),
    );
    for (const note of notes) await this.#remove(note as StoredDocument & Note);
    this.#last = notes.length < NOTES_PER_CALL ? '' : (notes.at(-1)!._id as string);
    return this.#last !== '';
  }

  async #remove(note: Note): Promise<void> {
    const { summary, period } = note;
    const empty = await this.#empty(note);
    // Read after the sums: a batch that began later changes `applied`, so that its sums are not deleted below.
    const pending = await limited(this.#collections.journals.find({ pending: { $exists: true } }).toArray());
    const isNeeded = ({ applied = {} }: StoredDocument) =>
      pending.some(({ slot, base, position }) => applied[`s${slot}`] > base + position);
    const needed = empty.filter(isNeeded);
    const removed = empty.filter((sum) => !needed.includes(sum));
    if (removed.length > 0) {
      await limited(
        this.#collections.sums(summary, period).bulkWrite(
          removed.map(({ _id, hits, applied }) => ({
            deleteOne: { filter: { _id, hits, applied: applied ?? { $exists: false } } },
          })),
          { ordered: false },
        ),
      );
      const buckets = new Set(removed.map(({ date }) => (date as Date).getTime()));
      // Not all may have been deleted, so the keys are counted again.
      await this.#counts.add(
        [...buckets].map((bucket) => [{ summary: { name: summary }, period, bucket }, undefined] as const),
      );
    }
    const { emptied } = this.#collections;
    const { _id } = note;
    if (needed.length === 0) await limited(emptied.deleteOne({ _id }));
    else await limited(emptied.updateOne({ _id }, { $set: { ids: needed.map((sum) => sum._id) } }));
  }

  /** Returns those sums that have no hits. */
  #empty({ summary, period, ids }: SumsOf): Promise<StoredDocument[]> {
    const sums = this.#collections.sums(summary, period);
    return limited(
      sums
        .find({ _id: { $in: [...ids] }, hits: 0 })
        .project<StoredDocument>({ date: 1, hits: 1, applied: 1 })
        .toArray(),
    );
  }
}
