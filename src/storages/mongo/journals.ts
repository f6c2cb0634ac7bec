import type { Document } from 'mongodb';
import { wallClock } from '../../clock.ts';
import type { Cursor } from '../../journal/reader.ts';
import type { Batch } from '../contract.ts';
import { type Collections, limited, wereDuplicates } from './collections.ts';

/** A journal that has no batch under way and did not move for so long may lose its slot. In ms. */
const IDLE = 24 * 3_600_000;

/** A batch that may be written now. */
export interface Begun {
  /** The field in which sums note what they have of this journal. */
  mark: string;
  /** What stands there when a sum has nothing of this batch, at most. */
  before: number;
  /** What stands there when it has its part. */
  after: number;
  /** Whether it was begun before, so that any part of it may be there already. */
  again: boolean;
}

/** What marks a journal's part of sums, see `Journals`. */
interface Slot {
  slot: number;
  base: number;
}

/** A document of the collection of journals. */
interface JournalDoc {
  _id: string;
  position: number;
  /** How many records stand before the position. */
  ordinal: number;
  /** Where the batch ends that is under way. */
  pending?: number;
  slot?: number;
  /** Added to positions to give marks: journals that had the slot before never made a higher one. */
  base: number;
  /** When it was moved last. */
  date: Date;
}

/**
 * How far each journal is stored, and which slot it has.
 *
 * There are no transactions: a sum that has its part of a batch notes so in itself, in the same change, under the
 * journal's slot. A slot, not the journal's id: processes come and go, and sums of a month would gather them. When a
 * journal is gone, or idle with nothing under way, the next one takes its slot and goes on with higher marks. So a sum
 * has no more marks than there are journals at work at the same time.
 */
export class Journals {
  readonly #collections: Collections;
  /** The slots that this writer's journals have, or had in a database that was dropped since. */
  readonly #slots = new Map<string, Slot>();

  constructor(collections: Collections) {
    this.#collections = collections;
  }

  async position(journal: string): Promise<Cursor | undefined> {
    const found = await this.#find(journal);
    return found && { position: found.position, ordinal: found.ordinal };
  }

  /** Notes that a batch is under way; `undefined` where the journal is not at its beginning. */
  async begin({ journal, from, to }: Batch): Promise<Begun | undefined> {
    for (;;) {
      const found = (await limited(
        this.#collections.journals.findOneAndUpdate(
          { _id: journal, position: from.position, slot: { $exists: true } },
          { $set: { pending: to.position, date: new Date(wallClock.now()) } },
          { returnDocument: 'before', includeResultMetadata: false },
        ),
      )) as JournalDoc | null;
      if (found) {
        const { slot, base } = found as JournalDoc & Slot;
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
      await this.#giveSlot(journal, there);
    }
  }

  /**
   * Enters a journal of a database that was dropped, at `at`. The batch that begins there may be in the new database in
   * part, with the marks of the slot that the journal had: it gets the same one, and the batch counts as begun.
   */
  async enter(journal: string, at: Cursor): Promise<void> {
    const { slot, base } = (await this.#takeBack(journal)) ?? (await this.#takeSlot(journal));
    try {
      await limited(
        this.#collections.journals.insertOne({
          _id: journal,
          ...at,
          ...{ slot, base, pending: at.position, date: new Date(wallClock.now()) },
        }),
      );
    } catch (error) {
      // An earlier try came through after all.
      if (!wereDuplicates(error)) throw error;
    }
  }

  /** The slot that the journal had, unless another one has it now. */
  async #takeBack(journal: string): Promise<Slot | undefined> {
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

  /** The batch is stored, on disk, and everything before it; false where somebody else has moved the journal. */
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

  async forget(journal: string): Promise<void> {
    this.#slots.delete(journal);
    const { journals, slots } = this.#collections;
    const found = await this.#find(journal);
    const highest = Math.max(found?.position ?? 0, found?.pending ?? 0);
    // First the slot: a process that dies in between comes back and does it again.
    for (const { _id, base } of await limited(slots.find({ journal }).toArray())) {
      await limited(
        slots.updateOne({ _id, journal }, { $set: { journal: null, base: (base as number) + highest } }),
      );
    }
    await limited(journals.deleteOne({ _id: journal }));
  }

  async #find(journal: string): Promise<JournalDoc | undefined> {
    const found = await limited(this.#collections.journals.findOne({ _id: journal }));
    return (found as Document as JournalDoc | null) ?? undefined;
  }

  async #giveSlot(journal: string, there: JournalDoc | undefined): Promise<void> {
    const { journals } = this.#collections;
    const { slot, base } = await this.#takeSlot(journal);
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
          slot,
          base,
          date: new Date(wallClock.now()),
        }),
      );
    } catch (error) {
      // An earlier try came through after all, and entered the journal with its slot.
      if (!wereDuplicates(error)) throw error;
    }
  }

  /** A slot for a journal that has none: the one that it took when it could not tell, a free, an idle or a new one. */
  async #takeSlot(journal: string): Promise<Slot> {
    const { slots } = this.#collections;
    for (;;) {
      const own = await limited(slots.findOne({ journal }));
      if (own) return { slot: own._id as number, base: own.base as number };
      const free = await limited(
        slots.findOneAndUpdate(
          { journal: null },
          { $set: { journal } },
          { sort: { _id: 1 }, includeResultMetadata: false },
        ),
      );
      if (free) return { slot: free._id as number, base: free.base as number };
      if (await this.#freeIdle()) continue;
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

  /** Frees the slot of a journal that is idle and has no batch under way: its marks say nothing any more. */
  async #freeIdle(): Promise<boolean> {
    const { journals, slots } = this.#collections;
    const idle = (await limited(
      journals.findOne({
        slot: { $exists: true },
        pending: { $exists: false },
        date: { $lt: new Date(wallClock.now() - IDLE) },
      }),
    )) as Document as JournalDoc | null;
    if (!idle) return false;
    const { _id, position, slot, base } = idle;
    const { matchedCount } = await limited(
      journals.updateOne(
        { _id, position, slot, pending: { $exists: false } },
        { $unset: { slot: '', base: '' } },
      ),
    );
    if (matchedCount === 1) {
      await limited(
        slots.updateOne({ _id: slot!, journal: _id }, { $set: { journal: null, base: base + position } }),
      );
    }
    // Somebody else may have been faster, with the journal or with the slot.
    return true;
  }
}
