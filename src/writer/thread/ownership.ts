import { beat, LEASE } from '../../journal/heartbeat.ts';
import { DirectoryLock } from '../../journal/lock.ts';
import type { SharedState } from '../../journal/shared.ts';
import { processTime } from '../../platform/clock.ts';

/** Keeps the own journal from being adopted: beats its heart and holds its lock. `heartbeat.ts` says how. */
export class Ownership {
  readonly #directory: string;
  readonly #shared: SharedState;
  #lock: DirectoryLock | undefined;

  constructor(directory: string, shared: SharedState) {
    this.#directory = directory;
    this.#shared = shared;
  }

  /** Call every `BEAT_INTERVAL`; returns the result of the beat. */
  beat(): ReturnType<typeof beat> {
    try {
      const found = beat(this.#directory, this.#shared);
      if (found === 'kept' && this.#shared.beat > 0) this.#renewLock();
      return found;
    } catch {
      // The next append needs the same file system: the app's thread reports it.
      return 'kept';
    }
  }

  /** Returns false if another process may have adopted the journal. Call before anything is stored. */
  holds(): boolean {
    const { beat: last } = this.#shared;
    return last === 0 || processTime() - last <= LEASE || this.beat() !== 'taken';
  }

  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  /** Where another process has the lock, it is about to find the heart beating. */
  #renewLock(): void {
    if (this.#lock?.renew()) return;
    this.release();
    this.#lock = DirectoryLock.take(this.#directory);
  }
}
