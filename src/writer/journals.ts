import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { wallClock } from '../clock.ts';
import type { TrackUsageError } from '../errors.ts';
import { emptyJournal, listJournals, listSegments, removeSegment } from '../journal/directory.ts';
import { isFileProblem, removing } from '../journal/files.ts';
import type { MemoryPiece } from '../journal/journal.ts';
import { DirectoryLock } from '../journal/lock.ts';
import type { SharedState } from '../journal/shared.ts';

/** A journal without a record is let alone for so long: its process may be about to lock it. In ms. */
const FRESH = 60_000;

/** A journal that this process may read and delete: its own, or one that it adopted. */
export interface HeldJournal {
  readonly id: string;
  readonly directory: string;
  /** The own one's shared state; a dead process's journal has none. */
  readonly live: SharedState | undefined;
  /** Pieces of the own one that have no file. */
  readonly memory: MemoryPiece[];
  /** How far each storage has committed it, by the storage's number. */
  readonly committed: number[];
  readonly lock: DirectoryLock | undefined;
  /** What was reported of its losses. */
  readonly reported: Set<string>;
}

/** The journals of a directory, as far as they are this process's to read. */
export class Journals {
  readonly own: HeldJournal;
  readonly #directory: string;
  readonly #storages: number;
  readonly #onProblem: (problem: TrackUsageError) => void;
  readonly #adopted: HeldJournal[] = [];

  /** @param onProblem Called with what cannot be read or deleted, and is tried again. */
  constructor(
    directory: string,
    id: string,
    live: SharedState,
    storages: number,
    onProblem: (problem: TrackUsageError) => void,
  ) {
    this.#directory = directory;
    this.#storages = storages;
    this.#onProblem = onProblem;
    this.own = this.#hold(id, live, undefined);
  }

  /** The own one first: somebody may wait for it. */
  get all(): readonly HeldJournal[] {
    return [this.own, ...this.#adopted];
  }

  /** Takes over the journals whose processes have died. Their locks decide, not their ids. */
  adopt(): void {
    for (const id of this.#listed()) {
      if (this.all.some((journal) => journal.id === id)) continue;
      const directory = join(this.#directory, id);
      try {
        // Whoever creates a journal locks it before its first segment; whoever deletes one does that last.
        if (listSegments(directory).length === 0 && wallClock.now() - statSync(directory).mtimeMs < FRESH)
          continue;
        const lock = DirectoryLock.take(directory);
        if (lock) this.#adopted.push(this.#hold(id, undefined, lock));
      } catch (error) {
        // Deleted by who held it, or not readable for us: the next round sees.
        if (isFileProblem(error)) this.#onProblem(error);
      }
    }
  }

  #listed(): string[] {
    try {
      return listJournals(this.#directory);
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
      return [];
    }
  }

  /**
   * Notes how far a storage is, and deletes the segments that none needs any more. What cannot be deleted is reported,
   * and the next commit tries again: it takes space and nothing else.
   */
  commit(journal: HeldJournal, storage: number, position: number): void {
    journal.committed[storage] = position;
    const all = Math.min(...journal.committed);
    if (!Number.isFinite(all)) return;
    while (journal.memory[0] && journal.memory[0].start + journal.memory[0].bytes.length <= all) {
      journal.memory.shift();
    }
    if (journal.live) journal.live.committed = all;
    try {
      const segments = listSegments(journal.directory);
      segments.forEach((segment, index) => {
        const next = segments[index + 1];
        if (next && next.start <= all) removeSegment(segment.path);
      });
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
    }
  }

  /**
   * Deletes a dead process's journal, which every storage has to its end. One whose records cannot be deleted stays
   * held: if it were let go, its positions would be forgotten, and whoever adopts it next would store it again.
   * Throws the reason; the caller tries again.
   */
  discard(journal: HeldJournal): void {
    // The lock is held until the records are gone: nobody may find and store them again.
    if (!emptyJournal(journal.directory)) return;
    this.#adopted.splice(this.#adopted.indexOf(journal), 1);
    try {
      removing(journal.directory, () => rmSync(journal.directory, { recursive: true }));
    } catch (error) {
      // It holds no record any more. A rival may just have made its lock file in it; somebody deletes it later.
      if (isFileProblem(error) && (error.cause as NodeJS.ErrnoException).code !== 'ENOTEMPTY')
        this.#onProblem(error);
    } finally {
      journal.lock?.release();
    }
  }

  /** Lets the journals of dead processes go, for others to adopt. */
  release(): void {
    for (const { lock } of this.#adopted.splice(0)) lock?.release();
  }

  #hold(id: string, live: SharedState | undefined, lock: DirectoryLock | undefined): HeldJournal {
    const committed = new Array<number>(this.#storages).fill(Number.NEGATIVE_INFINITY);
    return {
      id,
      directory: join(this.#directory, id),
      live,
      memory: [],
      committed,
      lock,
      reported: new Set(),
    };
  }
}
