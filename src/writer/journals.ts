import { rmSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { wallClock } from '../clock.ts';
import { listJournals, listSegments } from '../journal/directory.ts';
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
}

/** The journals of a directory, as far as they are this process's to read. */
export class Journals {
  readonly own: HeldJournal;
  readonly #directory: string;
  readonly #storages: number;
  readonly #adopted: HeldJournal[] = [];

  constructor(directory: string, id: string, live: SharedState, storages: number) {
    this.#directory = directory;
    this.#storages = storages;
    this.own = this.#hold(id, live, undefined);
  }

  /** The own one first: somebody may wait for it. */
  get all(): readonly HeldJournal[] {
    return [this.own, ...this.#adopted];
  }

  /** Takes over the journals whose processes have died. Their locks decide, not their ids. */
  adopt(): void {
    for (const id of listJournals(this.#directory)) {
      if (this.all.some((journal) => journal.id === id)) continue;
      const directory = join(this.#directory, id);
      try {
        // Whoever creates a journal locks it before its first segment; whoever deletes one does that last.
        if (listSegments(directory).length === 0 && wallClock.now() - statSync(directory).mtimeMs < FRESH)
          continue;
        const lock = DirectoryLock.take(directory);
        if (lock) this.#adopted.push(this.#hold(id, undefined, lock));
      } catch {
        // Deleted by who held it, or not readable for us: the next round sees.
      }
    }
  }

  /** Notes how far a storage is, and deletes the segments that none needs any more. */
  commit(journal: HeldJournal, storage: number, position: number): void {
    journal.committed[storage] = position;
    const all = Math.min(...journal.committed);
    if (!Number.isFinite(all)) return;
    const segments = listSegments(journal.directory);
    segments.forEach((segment, index) => {
      const next = segments[index + 1];
      if (next && next.start <= all) remove(segment.path);
    });
    while (journal.memory[0] && journal.memory[0].start + journal.memory[0].bytes.length <= all) {
      journal.memory.shift();
    }
    if (journal.live) journal.live.committed = all;
  }

  /**
   * Deletes a dead process's journal, which every storage has to its end. One that cannot be deleted stays held:
   * if it were let go, its positions would be forgotten, and whoever adopts it next would store it again.
   */
  discard(journal: HeldJournal): void {
    // The lock is held until the records are gone: nobody may find and store them again.
    if (!emptyJournal(journal.directory)) return;
    this.#adopted.splice(this.#adopted.indexOf(journal), 1);
    try {
      rmSync(journal.directory, { recursive: true, force: true });
    } catch {
      // A rival made its lock file in it just now. It holds no record; somebody deletes it later.
    }
    journal.lock?.release();
  }

  /** Lets the journals of dead processes go, for others to adopt. */
  release(): void {
    for (const { lock } of this.#adopted.splice(0)) lock?.release();
  }

  #hold(id: string, live: SharedState | undefined, lock: DirectoryLock | undefined): HeldJournal {
    const committed = new Array<number>(this.#storages).fill(Number.NEGATIVE_INFINITY);
    return { id, directory: join(this.#directory, id), live, memory: [], committed, lock };
  }
}

/** Deletes the records of a journal, and leaves its lock; whether none is left. */
export function emptyJournal(directory: string): boolean {
  for (const { path } of listSegments(directory)) remove(path);
  return listSegments(directory).length === 0;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or on a file system that has become read-only: the next commit tries again.
  }
}
