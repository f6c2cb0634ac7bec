import { beatAdopted, endHeartbeat } from '../../journal/heartbeat.ts';
import type { DirectoryLock } from '../../journal/lock.ts';
import { processTime } from '../../platform/clock.ts';
import { unreadable } from '../../platform/files.ts';
import { STORE_LEASE } from './ownership.ts';

/** Keeps an adopted journal from being adopted by another process, as `Ownership` does for the own journal. */
export class Adoption {
  readonly #directory: string;
  readonly #name: string;
  readonly #lock: DirectoryLock;
  /** Time of the last beat, by `processTime`. */
  #beaten = Number.NEGATIVE_INFINITY;
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

  /** Call every `BEAT_INTERVAL`. Errors are ignored here, because `holds` finds them again. */
  beat(): void {
    try {
      // Another process that has the lock is about to find that the heartbeat changes.
      if (this.#beat()) this.#lock.renew();
    } catch {
      // As described above.
    }
  }

  /**
   * Returns false if another process has adopted the journal. Call before anything is stored or deleted. Throws
   * `JOURNAL_UNREADABLE` if that cannot be known now.
   */
  holds(): boolean {
    if (this.#isLost || processTime() - this.#beaten <= STORE_LEASE) return !this.#isLost;
    try {
      return this.#beat();
    } catch (error) {
      throw unreadable(this.#directory, error);
    }
  }

  #beat(): boolean {
    if (this.#isLost) return false;
    this.#isLost = !beatAdopted(this.#directory, this.#name);
    this.#beaten = processTime();
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
