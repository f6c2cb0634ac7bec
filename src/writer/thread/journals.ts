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
import { ifPresent, isAbsence, isFileProblem, removing, unreadable } from '../../journal/files.ts';
import { claim, lastBeat, STILL } from '../../journal/heartbeat.ts';
import { DirectoryLock } from '../../journal/lock.ts';
import { checkJournal } from '../../journal/owner.ts';
import { type MemoryPiece, releasePieces } from '../../journal/pieces.ts';
import type { SharedState } from '../../journal/shared.ts';
import { monotonicClock } from '../../platform/clock.ts';
import { Ownership } from './ownership.ts';

/**
 * Maximum number of dead processes' journals that are held at the same time. Each costs a file descriptor for its lock
 * and one more for each storage, and no memory worth mentioning: they are read one after the other.
 */
export const MAX_HELD = 4;
/** Maximum number of locks that are tried at a time, so that many journals that are locked cost little. */
const MAX_ATTEMPTS = 16;

/** A journal of another process, as it was seen. */
interface Sighting {
  /** What changes while its process lives; `undefined` for a journal that was closed. */
  beat: number | undefined;
  hasHeartbeat: boolean;
  /** When it changed last, ms since 1970. */
  time: number;
  /** Since when `beat` has been the same, on this process's monotonic clock. */
  since: number;
  /** How often its lock was tried. */
  tries: number;
}

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
  readonly #ephemeral: readonly boolean[];
  readonly #onProblem: (problem: TrackUsageError) => void;
  readonly #adopted: HeldJournal[] = [];
  readonly ownership: Ownership;
  /** By id. */
  #seen = new Map<string, Sighting>();
  /** Ids of journals that were dead when they were looked at last, the oldest last. */
  #dead: string[] = [];

  /**
   * @param ephemeral For each storage whether it is forgotten with its process: then it gets no dead process's records.
   * @param onProblem Called with what cannot be read or deleted, and is tried again.
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
    this.own = this.#hold(id, live, undefined);
    this.ownership = new Ownership(this.own.directory, live);
  }

  /** The own one first: somebody may wait for it. */
  get all(): readonly HeldJournal[] {
    return [this.own, ...this.#adopted];
  }

  /** Call every `BEAT_INTERVAL`: proves that this process is alive, and looks for journals of dead ones. */
  beat(): ReturnType<Ownership['beat']> {
    const found = this.ownership.beat();
    this.adopt();
    return found;
  }

  /** Takes over journals whose processes have died, oldest first. `heartbeat.ts` says how that is known. */
  adopt(): void {
    if (this.#adopted.length >= MAX_HELD || this.#ephemeral.every((is) => is)) return;
    if (this.#dead.length === 0) this.#dead = this.#findDead();
    for (let attempts = 0; attempts < MAX_ATTEMPTS && this.#adopted.length < MAX_HELD; attempts++) {
      const id = this.#dead.pop();
      if (id === undefined) return;
      const directory = join(this.#directory, id);
      const seen = this.#seen.get(id)!;
      try {
        this.#tryAdopt(id, directory, seen);
      } catch (error) {
        // Somebody else may have adopted and deleted it just now.
        if (!isGone(directory)) this.#report(directory, error);
      }
    }
  }

  /** The journals that may be adopted, the oldest last. */
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
      const sign = this.#attempt(directory, () => signOfLife(directory));
      if (!sign) continue;
      const before = this.#seen.get(id);
      const since = before && before.beat === sign.beat ? before.since : now;
      seen.set(id, { ...sign, since, tries: before?.tries ?? 0 });
      if (sign.beat === undefined || now - since >= STILL) dead.push(id);
    }
    this.#seen = seen;
    // Those that are locked do not keep the others waiting.
    const order = (a: Sighting, b: Sighting) => b.tries - a.tries || b.time - a.time;
    return dead.sort((a, b) => order(seen.get(a)!, seen.get(b)!));
  }

  #tryAdopt(id: string, directory: string, seen: Sighting): void {
    seen.tries += 1;
    if (signOfLife(directory)?.beat !== seen.beat) return;
    checkJournal(directory);
    const lock = DirectoryLock.take(directory);
    if (!lock) return;
    let isOurs = false;
    try {
      // Its owner may have come back just now, and somebody else may have adopted and deleted it.
      const sign = signOfLife(directory);
      isOurs = seen.hasHeartbeat ? claim(directory, seen.beat!) : sign !== undefined && !sign.hasHeartbeat;
    } finally {
      if (isOurs) this.#adopted.push(this.#hold(id, undefined, lock));
      else lock.release();
    }
  }

  #report(path: string, error: unknown): void {
    this.#onProblem(error instanceof TrackUsageError ? error : unreadable(path, error));
  }

  /** Calls `work`; reports why it fails. It is called again at the next look. */
  #attempt<T>(path: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#report(path, error);
      return undefined;
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
   * Deletes a dead process's journal, which every storage has to its end; returns false where new records came to it.
   * One whose records cannot be deleted stays held: if it were let go, its positions would be forgotten, and whoever
   * adopts it next would store it again. Throws the reason; the caller tries again.
   */
  discard(journal: HeldJournal): boolean {
    // The lock is held until the records are gone: nobody may find and store them again.
    if (!emptyJournal(journal.directory)) return false;
    this.#adopted.splice(this.#adopted.indexOf(journal), 1);
    // On Windows no file of a directory may be open that is deleted.
    journal.lock?.release();
    try {
      removing(journal.directory, () => rmSync(journal.directory, { recursive: true }));
    } catch (error) {
      // It holds no record any more. A rival may just have made its lock file in it; somebody deletes it later.
      if (isFileProblem(error) && (error.cause as NodeJS.ErrnoException).code !== 'ENOTEMPTY')
        this.#onProblem(error);
    }
    this.adopt();
    return true;
  }

  /** Releases all journals, for others to adopt. */
  release(): void {
    for (const { lock } of this.#adopted.splice(0)) lock?.release();
    this.ownership.release();
  }

  #hold(id: string, live: SharedState | undefined, lock: DirectoryLock | undefined): HeldJournal {
    const committed = this.#ephemeral.map((is) =>
      is && !live ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY,
    );
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

/** What shows that a journal's process lives; `undefined` for a journal that is gone. */
function signOfLife(directory: string): Omit<Sighting, 'since' | 'tries'> | undefined {
  const heartbeat = lastBeat(directory);
  if (heartbeat) return { ...heartbeat, hasHeartbeat: true };
  const stats = ifPresent(directory, () => statSync(directory));
  if (!stats) return undefined;
  // A new journal gets a heartbeat before its first segment.
  const isNew = listSegments(directory).length === 0;
  return { beat: isNew ? stats.mtimeMs : undefined, hasHeartbeat: false, time: stats.mtimeMs };
}

function isGone(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return isAbsence(error);
  }
}
