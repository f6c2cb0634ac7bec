import { beat, writeEnd } from '../../journal/heartbeat.ts';
import { DirectoryLock } from '../../journal/lock.ts';
import type { SharedState } from '../../journal/shared.ts';
import { processTime } from '../../platform/clock.ts';

/**
 * Time for which a beat proves the ownership before records are stored. Storing may block the thread, and thus
 * the beats, for 2 s, because SQLite waits that long for other processes.
 */
export const STORE_LEASE_MS = 500;

/** Keeps the own journal from being adopted, with its heartbeat and its lock: see `heartbeat.ts`. */
export class Ownership {
  readonly #directory: string;
  readonly #shared: SharedState;
  #lock: DirectoryLock | undefined;

  constructor(directory: string, shared: SharedState) {
    this.#directory = directory;
    this.#shared = shared;
  }

  /** Call every `BEAT_INTERVAL_MS`; returns the result of the beat. */
  beat(): ReturnType<typeof beat> {
    try {
      if (this.#shared.beat > 0) writeEnd(this.#directory, this.#shared);
    } catch {
      // Only the count of what a damaged disk may lose later is less exact. The beat does not depend on it.
    }
    try {
      const found = beat(this.#directory, this.#shared);
      if (found === 'kept' && this.#shared.beat > 0) this.#renewLock();
      return found;
    } catch {
      // The next append uses the same file system, so the app's thread reports the error.
      return 'kept';
    }
  }

  /** Returns false if another process may have adopted the journal. Call before anything is stored. */
  holds(): boolean {
    const { beat: last } = this.#shared;
    return last === 0 || processTime() - last <= STORE_LEASE_MS || this.beat() !== 'taken';
  }

  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  /** Renews the lock. If another process has it, that process will detect the heartbeat and release it. */
  #renewLock(): void {
    if (this.#lock?.renew()) return;
    this.release();
    this.#lock = DirectoryLock.take(this.#directory);
  }
}
