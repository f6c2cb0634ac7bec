import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TrackUsageError } from '../../errors.ts';
import {
  checkUsable,
  emptyJournal,
  listJournals,
  listSegments,
  removeSegment,
} from '../../journal/directory.ts';
import { ADOPTION_TIMEOUT_MS, claim, type Heartbeat, lastBeat, readEnd } from '../../journal/heartbeat.ts';
import { DirectoryLock } from '../../journal/lock.ts';
import { checkJournal } from '../../journal/owner.ts';
import { type MemoryPiece, releasePieces } from '../../journal/pieces.ts';
import type { Position } from '../../journal/position.ts';
import type { SharedState } from '../../journal/shared.ts';
import { monotonicClock } from '../../platform/clock.ts';
import { ifPresent, isAbsence, isFileProblem, removing, unreadable } from '../../platform/files.ts';
import { Adoption } from './adoption.ts';
import { Ownership } from './ownership.ts';

/**
 * Maximum number of dead processes' journals held at the same time. Each takes a file descriptor for its lock
 * and another for each storage, and little memory, because they are read one after the other.
 */
export const MAX_JOURNALS = 4;
/** Maximum number of lock attempts per check, so that many locked journals cost little. */
const MAX_ATTEMPTS = 16;

/** Observed state of another process's journal. */
interface Sighting {
  /** Value that changes while its process is alive; `undefined` for a closed journal. */
  beat: string | undefined;
  /** `undefined` for a journal without one. */
  heartbeat: Heartbeat | undefined;
  /** Time of the last change, ms since 1970. */
  time: number;
  /** Time since which `beat` has not changed, from this process's monotonic clock. */
  since: number;
  /** Number of attempts to take its lock. */
  tries: number;
}

/** A journal that this process may read and delete: its own or an adopted one. */
export interface OpenJournal {
  readonly id: string;
  readonly directory: string;
  /** Shared state of the own journal; `undefined` for a dead process's journal. */
  readonly live: SharedState | undefined;
  /** Pieces of the own journal that are not in a file. */
  readonly memory: MemoryPiece[];
  /** Committed position of each storage, by the storage's number. */
  readonly committed: number[];
  /** `undefined` for the own journal. */
  readonly adoption: Adoption | undefined;
  /** Position up to which a dead process certainly wrote it: the one in its last heartbeat, or one that a storage has. */
  readonly known: Position;
  /** Losses that were already reported. */
  readonly reported: Set<string>;
}

/** Journals of a directory that this process may read. */
export class Journals {
  readonly own: OpenJournal;
  readonly #directory: string;
  readonly #ephemeral: readonly boolean[];
  readonly #onProblem: (problem: TrackUsageError) => void;
  readonly #adopted: OpenJournal[] = [];
  readonly ownership: Ownership;
  /** Observed journals by ID. */
  #seen = new Map<string, Sighting>();
  /** IDs of journals that were dead at the last check, oldest last. */
  #dead: string[] = [];

  /**
   * Opens a directory.
   * @param ephemeral For each storage, whether its data ends with the process. It then gets no records of
   * dead processes.
   * @param onProblem Called with files that cannot be read or deleted, and are retried.
   */
  constructor(
    directory: string,
    id: string,
    live: SharedState,
    ephemeral: readonly boolean[],
    onProblem: (problem: TrackUsageError) => void,
  ) {
    this.#directory = directory;
    this.#ephemeral = ephemeral;
    this.#onProblem = onProblem;
    this.own = this.#open(id, live);
    this.ownership = new Ownership(this.own.directory, live);
  }

  /** All held journals. The own one comes first, because callers may wait for it. */
  get all(): readonly OpenJournal[] {
    return [this.own, ...this.#adopted];
  }

  /**
   * Shows that this process is alive, and looks for journals of dead processes. Call every `BEAT_INTERVAL_MS`.
   */
  beat(): ReturnType<Ownership['beat']> {
    const found = this.ownership.beat();
    for (const { adoption } of this.#adopted) adoption!.beat();
    this.adopt();
    return found;
  }

  /** Adopts journals of dead processes, oldest first. See `heartbeat.ts` for how death is detected. */
  adopt(): void {
    if (this.#adopted.length >= MAX_JOURNALS || this.#ephemeral.every((is) => is)) return;
    if (this.#dead.length === 0) this.#dead = this.#findDead();
    for (let attempts = 0; attempts < MAX_ATTEMPTS && this.#adopted.length < MAX_JOURNALS; attempts++) {
      const id = this.#dead.pop();
      if (id === undefined) return;
      const directory = join(this.#directory, id);
      const seen = this.#seen.get(id)!;
      try {
        this.#tryAdopt(id, directory, seen);
      } catch (error) {
        // Another process may just have adopted and deleted it.
        if (!isGone(directory)) this.#report(directory, error);
      }
    }
  }

  /** Returns the journals that may be adopted, oldest last. */
  #findDead(): string[] {
    const now = monotonicClock.now();
    const seen = new Map<string, Sighting>();
    const dead: string[] = [];
    const ids = this.#attempt(this.#directory, () => {
      const listed = listJournals(this.#directory);
      if (listed.length > 0) checkUsable(this.#directory);
      return listed;
    });
    if (!ids) return [];
    for (const id of ids) {
      if (this.all.some((journal) => journal.id === id)) continue;
      const directory = join(this.#directory, id);
      const current = this.#attempt(directory, () => observe(directory));
      if (!current) continue;
      const before = this.#seen.get(id);
      const since = before && before.beat === current.beat ? before.since : now;
      seen.set(id, { ...current, since, tries: before?.tries ?? 0 });
      if (current.beat === undefined || now - since >= ADOPTION_TIMEOUT_MS) dead.push(id);
    }
    this.#seen = seen;
    // Journals with failed attempts are tried last, so that locked ones do not delay the others: `adopt` pops.
    const order = (a: Sighting, b: Sighting) => b.tries - a.tries || b.time - a.time;
    return dead.sort((a, b) => order(seen.get(a)!, seen.get(b)!));
  }

  #tryAdopt(id: string, directory: string, seen: Sighting): void {
    seen.tries += 1;
    if (observe(directory)?.beat !== seen.beat) return;
    checkJournal(directory);
    const lock = DirectoryLock.take(directory);
    if (!lock) return;
    let name: string | undefined;
    let known: Position | undefined;
    try {
      // Its owner may have resumed, or another process may have adopted and deleted it.
      const current = observe(directory);
      // Without a heartbeat, `beat` is the time of the directory, which the lock's file has just changed.
      const isSame = seen.heartbeat ? current?.beat === seen.beat : current && !current.heartbeat;
      // A journal without segments was stored and is being deleted. Its positions may already be removed.
      if (listSegments(directory).length > 0) known = readEnd(directory, current?.heartbeat);
      if (isSame) name = claim(directory, current!.heartbeat);
    } finally {
      if (name === undefined) lock.release();
      else this.#adopted.push(this.#open(id, undefined, new Adoption(directory, name, lock), known));
    }
  }

  #report(path: string, error: unknown): void {
    this.#onProblem(error instanceof TrackUsageError ? error : unreadable(path, error));
  }

  /** Calls `work` and reports its error. Retried at the next check. */
  #attempt<T>(path: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#report(path, error);
      return undefined;
    }
  }

  /**
   * Stores the position of a storage, and deletes segments that no storage needs. A failure to delete is
   * reported and retried at the next commit; it only costs disk space.
   */
  commit(journal: OpenJournal, storage: number, { position, ordinal }: Position): void {
    if (!journal.live && position > journal.known.position)
      Object.assign(journal.known, { position, ordinal });
    journal.committed[storage] = position;
    const all = Math.min(...journal.committed);
    if (!Number.isFinite(all)) return;
    releasePieces(journal.memory, all);
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
   * Deletes a dead process's journal after every storage has all of it. Returns false if new records arrived.
   * If its records cannot be deleted, the journal stays held. Otherwise its positions would be removed and
   * the next adopter would store it again. Throws the reason, and the caller retries.
   */
  discard(journal: OpenJournal): boolean {
    if (!this.holds(journal)) return false;
    // The lock is held until the records are deleted, so that no other process stores them again.
    if (!emptyJournal(journal.directory)) return false;
    this.#adopted.splice(this.#adopted.indexOf(journal), 1);
    // On Windows, a directory with open files cannot be deleted.
    journal.adoption?.unlock();
    try {
      removing(journal.directory, () => rmSync(journal.directory, { recursive: true }));
    } catch (error) {
      // It has no records left. Another process may just have created its lock file in it, and will delete
      // it.
      if (isFileProblem(error) && (error.cause as NodeJS.ErrnoException).code !== 'ENOTEMPTY')
        this.#onProblem(error);
    }
    this.adopt();
    return true;
  }

  /**
   * Returns false if another process may have adopted the journal. The adopter then stores it. Call before anything
   * is stored or deleted. Throws `JOURNAL_UNREADABLE` if that cannot be known now.
   */
  holds(journal: OpenJournal): boolean {
    if (!journal.adoption) return this.ownership.holds();
    if (journal.adoption.holds()) return true;
    const index = this.#adopted.indexOf(journal);
    if (index >= 0) {
      this.#adopted.splice(index, 1);
      journal.adoption.unlock();
    }
    return false;
  }

  /** Releases all journals, so that others can adopt them. */
  release(): void {
    for (const { adoption } of this.#adopted.splice(0)) adoption?.release();
    this.ownership.release();
  }

  #open(
    id: string,
    live: SharedState | undefined,
    adoption?: Adoption,
    known: Position = { position: 0, ordinal: 0 },
  ): OpenJournal {
    const committed = this.#ephemeral.map((is) =>
      is && !live ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY,
    );
    return {
      id,
      directory: join(this.#directory, id),
      live,
      memory: [],
      committed,
      adoption,
      known,
      reported: new Set(),
    };
  }
}

/** Returns the current state of a journal, or `undefined` if the journal is gone. */
function observe(directory: string): Omit<Sighting, 'since' | 'tries'> | undefined {
  const heartbeat = lastBeat(directory);
  if (heartbeat) {
    const { name, beat, time } = heartbeat;
    return { beat: beat === undefined ? undefined : `${name} ${beat}`, heartbeat, time };
  }
  const stats = ifPresent(directory, () => statSync(directory));
  if (!stats) return undefined;
  // A new journal gets a heartbeat before its first segment.
  const isNew = listSegments(directory).length === 0;
  return { beat: isNew ? `${stats.mtimeMs}` : undefined, heartbeat: undefined, time: stats.mtimeMs };
}

function isGone(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return isAbsence(error);
  }
}
