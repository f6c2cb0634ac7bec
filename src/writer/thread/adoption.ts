import { beatAdopted, endHeartbeat } from '../../journal/heartbeat.ts';
import type { DirectoryLock } from '../../journal/lock.ts';
import { processTime } from '../../platform/clock.ts';
import { unreadable } from '../../platform/files.ts';
import { STORE_LEASE_MS } from './ownership.ts';

/** Keeps an adopted journal from being adopted by another process, as `Ownership` does for the own journal. */
export class Adoption {
  readonly #directory: string;
  readonly #name: string;
  readonly #lock: DirectoryLock;
  /** Time of the last beat, from `processTime`. */
  #lastBeat = Number.NEGATIVE_INFINITY;
  #isLost = false;

  /** @param name Name of the heartbeat that `claim` returned. */
  constructor(directory: string, name: string, lock: DirectoryLock) {
    this.#directory = directory;
    this.#name = name;
    this.#lock = lock;
  }

  /** True once another process is known to have adopted the journal. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Call every `BEAT_INTERVAL_MS`. Errors are ignored: `holds` reports them. */
  beat(): void {
    try {
      // If another process has the lock, it will detect the heartbeat and release it.
      if (this.#beat()) this.#lock.renew();
    } catch {
      // See above.
    }
  }

  /**
   * Returns false if another process has adopted the journal. Call before anything is stored or deleted. Throws
   * `JOURNAL_UNREADABLE` if that cannot be known now.
   */
  holds(): boolean {
    if (this.#isLost || processTime() - this.#lastBeat <= STORE_LEASE_MS) return !this.#isLost;
    try {
      return this.#beat();
    } catch (error) {
      throw unreadable(this.#directory, error);
    }
  }

  #beat(): boolean {
    if (this.#isLost) return false;
    this.#isLost = !beatAdopted(this.#directory, this.#name);
    this.#lastBeat = processTime();
    return !this.#isLost;
  }

  /** Leaves the journal to others, which can adopt it immediately. */
  release(): void {
    try {
      endHeartbeat(this.#directory, this.#name);
    } catch {
      // They adopt it when the heartbeat has not changed for a while.
    }
    this.unlock();
  }

  /** Releases only the lock, of a journal that is about to be deleted or that another process has. */
  unlock(): void {
    this.#lock.release();
  }
}
