import type { Document } from 'mongodb';
import type { Position } from '../../journal/position.ts';
import { wallClock } from '../../platform/clock.ts';
import type { Batch } from '../../storage/contract.ts';
import { type Collections, limited, wereDuplicates } from './collections.ts';

/** Time after which an idle journal, without a batch in progress, may lose its slot. In ms. */
const IDLE = 24 * 3_600_000;

/** A batch that may be written now. */
export interface Begun {
  /** Field in which sums record what they contain of this journal. */
  mark: string;
  /** Maximum value of the field in a sum that does not contain this batch. */
  before: number;
  /** Value of the field in a sum that contains this batch. */
  after: number;
  /** True if the batch was begun before, so that parts of it may already be stored. */
  again: boolean;
}

/** Slot that marks a journal's part of sums: see `Journals`. */
interface Slot {
  slot: number;
  base: number;
}

/** Document of the collection of journals. */
interface JournalDocument {
  _id: string;
  position: number;
  /** Number of records before the position. */
  ordinal: number;
  /** End of the batch in progress, if any. */
  pending?: number;
  /** Site of the last batch that was begun. */
  site?: string;
  /** End of the last batch with sums. Missing in version 1 of the schema. */
  marked?: number;
  slot?: number;
  /** Offset added to positions to get marks. Marks of the slot's previous journals were never higher. */
  base: number;
  /** Date of the last move. */
  date: Date;
}

/**
 * Stored position and slot of each journal.
 *
 * There are no transactions. Instead, a sum records in itself which batches it contains, in the same update,
 * under the journal's slot. It uses slots instead of journal IDs, because a month's sums would collect the
 * IDs of all past processes. When a journal is gone, or idle with no batch in progress, the next one takes
 * its slot and continues with higher marks. So a sum has at most as many marks as there are concurrent
 * journals.
 */
export class Journals {
  readonly #collections: Collections;
  readonly #site: string;
  /** Slots of this writer's journals, including those in a database that has been dropped. */
  readonly #slots = new Map<string, Slot>();

  constructor(collections: Collections, site: string) {
    this.#collections = collections;
    this.#site = site;
  }

  async position(journal: string): Promise<Position | undefined> {
    const found = await this.#find(journal);
    return found && { position: found.position, ordinal: found.ordinal };
  }

  /**
   * Records that a batch is in progress. Returns `undefined` if the journal is not at the start of the batch.
   */
  async begin({ journal, from, to, deltas }: Batch): Promise<Begun | undefined> {
    const marked = deltas.length > 0 && { marked: to.position };
    for (;;) {
      const found = (await limited(
        this.#collections.journals.findOneAndUpdate(
          { _id: journal, position: from.position, slot: { $exists: true } },
          { $set: { pending: to.position, site: this.#site, ...marked, date: new Date(wallClock.now()) } },
          { returnDocument: 'before', includeResultMetadata: false },
        ),
      )) as JournalDocument | null;
      if (found) {
        const { slot, base } = found as JournalDocument & Slot;
        this.#slots.set(journal, { slot, base });
        return {
          mark: `applied.s${slot}`,
          before: base + from.position,
          after: base + to.position,
          again: found.pending !== undefined,
        };
      }
      const there = await this.#find(journal);
      if ((there?.position ?? 0) !== from.position) return undefined;
      await this.#assignSlot(journal, there);
    }
  }

  /**
   * Adds a journal of a dropped database, at `at`. The batch that starts there may be partly stored in the
   * new database, with the marks of the journal's former slot. So the journal gets the same slot, and the
   * batch counts as begun.
   */
  async enter(journal: string, at: Position): Promise<void> {
    const { slot, base } = (await this.#reclaimSlot(journal)) ?? (await this.#acquireSlot(journal));
    try {
      await limited(
        this.#collections.journals.insertOne({
          _id: journal,
          ...at,
          ...{ slot, base, pending: at.position, date: new Date(wallClock.now()) },
        }),
      );
    } catch (error) {
      // An earlier attempt succeeded after all.
      if (!wereDuplicates(error)) throw error;
    }
  }

  /** Returns the journal's former slot, unless another journal has taken it. */
  async #reclaimSlot(journal: string): Promise<Slot | undefined> {
    const had = this.#slots.get(journal);
    if (!had) return undefined;
    const { slot, base } = had;
    const { slots } = this.#collections;
    try {
      await limited(slots.insertOne({ _id: slot, journal, base }));
      return had;
    } catch (error) {
      if (!wereDuplicates(error)) throw error;
    }
    const found = await limited(slots.findOne({ _id: slot }));
    return found?.journal === journal ? { slot, base: found.base as number } : undefined;
  }

  /**
   * Moves the journal, after the batch and everything before it is on disk. Returns false if another process
   * has moved it.
   */
  async move({ journal, from, to }: Batch): Promise<boolean> {
    const { matchedCount } = await limited(
      this.#collections.journals.updateOne(
        { _id: journal, position: from.position },
        {
          $set: { position: to.position, ordinal: to.ordinal, date: new Date(wallClock.now()) },
          $unset: { pending: '' },
        },
        { writeConcern: { w: 'majority', journal: true } },
      ),
    );
    return matchedCount === 1;
  }

  /** Ends a batch of which nothing is stored. */
  async cancel({ journal, from, to }: Batch): Promise<void> {
    await limited(
      this.#collections.journals.updateOne(
        { _id: journal, position: from.position, pending: to.position },
        { $unset: { pending: '' } },
      ),
    );
  }

  /** Returns the end of the batch in progress, if any. */
  async pending(journal: string): Promise<number | undefined> {
    return (await this.#find(journal))?.pending;
  }

  async forget(journal: string): Promise<void> {
    this.#slots.delete(journal);
    const { journals, slots } = this.#collections;
    const found = await this.#find(journal);
    // A position may be as high as 2^40 without any sums. Added up, such marks would become inexact.
    const highest = found?.marked ?? Math.max(found?.position ?? 0, found?.pending ?? 0);
    // The slot is freed first: a process that dies in between repeats both steps.
    for (const { _id, base } of await limited(slots.find({ journal }).toArray())) {
      await limited(
        slots.updateOne({ _id, journal }, { $set: { journal: null, base: (base as number) + highest } }),
      );
    }
    await limited(journals.deleteOne({ _id: journal }));
  }

  async #find(journal: string): Promise<JournalDocument | undefined> {
    const found = await limited(this.#collections.journals.findOne({ _id: journal }));
    return (found as Document as JournalDocument | null) ?? undefined;
  }

  async #assignSlot(journal: string, there: JournalDocument | undefined): Promise<void> {
    const { journals } = this.#collections;
    const { slot, base } = await this.#acquireSlot(journal);
    if (there) {
      await limited(journals.updateOne({ _id: journal, slot: { $exists: false } }, { $set: { slot, base } }));
      return;
    }
    try {
      await limited(
        journals.insertOne({
          _id: journal,
          position: 0,
          ordinal: 0,
          marked: 0,
          slot,
          base,
          date: new Date(wallClock.now()),
        }),
      );
    } catch (error) {
      // An earlier attempt succeeded after all, and added the journal with its slot.
      if (!wereDuplicates(error)) throw error;
    }
  }

  /**
   * Assigns a slot to a journal. Prefers the one from an attempt with an unknown result, then a free, an idle
   * or a new one.
   */
  async #acquireSlot(journal: string): Promise<Slot> {
    const { slots } = this.#collections;
    for (;;) {
      const current = await limited(slots.findOne({ journal }));
      if (current) return { slot: current._id as number, base: current.base as number };
      const free = await limited(
        slots.findOneAndUpdate(
          { journal: null },
          { $set: { journal } },
          { sort: { _id: 1 }, includeResultMetadata: false },
        ),
      );
      if (free) return { slot: free._id as number, base: free.base as number };
      if (await this.#freeIdleSlot()) continue;
      const [last] = await limited(slots.find().sort({ _id: -1 }).limit(1).toArray());
      const slot = Number(last?._id ?? -1) + 1;
      try {
        await limited(slots.insertOne({ _id: slot, journal, base: 0 }));
        return { slot, base: 0 };
      } catch (error) {
        if (!wereDuplicates(error)) throw error;
      }
    }
  }

  /** Frees the slot of an idle journal with no batch in progress. Its marks are no longer needed. */
  async #freeIdleSlot(): Promise<boolean> {
    const { journals, slots } = this.#collections;
    const idle = (await limited(
      journals.findOne({
        slot: { $exists: true },
        pending: { $exists: false },
        date: { $lt: new Date(wallClock.now() - IDLE) },
      }),
    )) as Document as JournalDocument | null;
    if (!idle) return false;
    const { _id, position, marked = position, slot, base } = idle;
    const { matchedCount } = await limited(
      journals.updateOne(
        { _id, position, slot, pending: { $exists: false } },
        { $unset: { slot: '', base: '' } },
      ),
    );
    if (matchedCount === 1) {
      await limited(
        slots.updateOne({ _id: slot!, journal: _id }, { $set: { journal: null, base: base + marked } }),
      );
    }
    // Another process may have moved the journal or taken the slot first.
    return true;
  }
}
