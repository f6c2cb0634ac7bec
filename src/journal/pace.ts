import { monotonicClock } from '../platform/clock.ts';
import { blockedOf, noteThreadTime } from '../platform/thread-time.ts';
import { SLOW } from './disk.ts';

/** Time within which a second wait of half the permitted length is too much. In ms. */
const AGAIN = 1_000;
/** Time within which another stall counts as a relapse, and increases the backoff. In ms. */
const RELAPSE = 10_000;
/** First and longest backoff. In ms. */
const FIRST_STAY = 250;
const LAST_STAY = 30_000;

/** Measures how long the disk blocks the app's thread, and decides when to avoid the disk. */
export class Pace {
  /** Operations that blocked the app's thread for longer than `SLOW`. */
  slow = 0;
  readonly #patience: number;
  #slowAt = Number.NEGATIVE_INFINITY;
  #stay = 0;
  #stayUntil = 0;
  #backSince = Number.NEGATIVE_INFINITY;

  /** @param patience Maximum time that the disk may block the app's thread, in ms. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** Call before the app's thread uses the disk. `isLate` returns true when that takes too long. */
  begin(): { started: number; isLate: () => boolean } {
    const started = monotonicClock.now();
    noteThreadTime(started);
    return { started, isLate: () => blockedSince(started) > this.#patience };
  }

  /**
   * Call after the app's thread has used the disk.
   * @returns Time that the thread was blocked, if the disk is to be avoided because of it. In ms.
   */
  end(started: number): number | undefined {
    const blocked = blockedSince(started);
    if (blocked <= SLOW) return undefined;
    const now = monotonicClock.now();
    this.slow += 1;
    const isFirst = now - this.#slowAt > AGAIN;
    this.#slowAt = now;
    if (blocked <= (isFirst ? this.#patience : this.#patience / 2)) return undefined;
    const isRelapse = now - this.#backSince < RELAPSE;
    this.#stay = isRelapse ? Math.min(LAST_STAY, Math.max(FIRST_STAY, 2 * this.#stay)) : 0;
    this.#stayUntil = now + this.#stay;
    return blocked;
  }

  /** True if the app's thread may try the disk again. */
  get mayReturn(): boolean {
    return monotonicClock.now() >= this.#stayUntil;
  }

  /** Call when the app's thread uses the disk again. */
  returned(): void {
    this.#backSince = monotonicClock.now();
  }
}

/** Returns how long the disk has blocked this thread since `started`; 0 if no longer than `SLOW`. In ms. */
function blockedSince(started: number): number {
  const took = monotonicClock.now() - started;
  return took > SLOW ? blockedOf(took) : 0;
}
