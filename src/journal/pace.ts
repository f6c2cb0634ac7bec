import { monotonicClock } from '../platform/clock.ts';
import { blockedDuring, sampleThreadTime } from '../platform/thread-time.ts';
import { SLOW_MS } from './disk.ts';

/** Time within which a second wait of half the maximum is also too long. */
const REPEAT_WINDOW_MS = 1_000;
/** Time within which another stall counts as a relapse, and doubles the backoff. */
const RELAPSE_WINDOW_MS = 10_000;
/** Bounds of the backoff. */
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;

/** Measures how long the disk blocks the app's thread, and decides when to avoid the disk. */
export class Pace {
  /** Number of operations that blocked the app's thread for longer than `SLOW_MS`. */
  slow = 0;
  readonly #maxBlockedMs: number;
  #slowAt = Number.NEGATIVE_INFINITY;
  /** Time to avoid the disk after the last stall. In ms. */
  #backoff = 0;
  #retryAt = 0;
  #returnedAt = Number.NEGATIVE_INFINITY;

  /** @param maxBlockedMs Maximum time that the disk may block the app's thread. */
  constructor(maxBlockedMs: number) {
    this.#maxBlockedMs = maxBlockedMs;
  }

  /** Call before the app's thread uses the disk. `isLate` returns true once that has taken too long. */
  begin(): { started: number; isLate: () => boolean } {
    const started = monotonicClock.now();
    sampleThreadTime(started);
    return { started, isLate: () => blockedSince(started) > this.#maxBlockedMs };
  }

  /**
   * Call after the app's thread has used the disk.
   * @returns Time that the thread was blocked, in ms, if it was too long. The disk should then be avoided.
   */
  end(started: number): number | undefined {
    const blocked = blockedSince(started);
    if (blocked <= SLOW_MS) return undefined;
    const now = monotonicClock.now();
    this.slow += 1;
    const isFirst = now - this.#slowAt > REPEAT_WINDOW_MS;
    this.#slowAt = now;
    if (blocked <= (isFirst ? this.#maxBlockedMs : this.#maxBlockedMs / 2)) return undefined;
    const isRelapse = now - this.#returnedAt < RELAPSE_WINDOW_MS;
    this.#backoff = isRelapse ? Math.min(MAX_BACKOFF_MS, Math.max(MIN_BACKOFF_MS, 2 * this.#backoff)) : 0;
    this.#retryAt = now + this.#backoff;
    return blocked;
  }

  /** True if the app's thread may try the disk again. */
  get mayReturn(): boolean {
    return monotonicClock.now() >= this.#retryAt;
  }

  /** Call when the app's thread uses the disk again. */
  returned(): void {
    this.#returnedAt = monotonicClock.now();
  }
}

/** Returns how long the disk has blocked this thread since `started`; 0 if no longer than `SLOW_MS`. In ms. */
function blockedSince(started: number): number {
  const took = monotonicClock.now() - started;
  return took > SLOW_MS ? blockedDuring(took) : 0;
}
