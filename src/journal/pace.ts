import { monotonicClock } from '../clock.ts';
import { blockedOf, noteThreadTime } from '../thread-time.ts';
import { SLOW } from './disk.ts';

/** After one wait that is half as long as the disk may take, another one within this time is too much. In ms. */
const AGAIN = 1_000;
/** A disk that stalls again so soon after it was fast is left alone for longer. In ms. */
const RELAPSE = 10_000;
/** For how long, the first time and at most. In ms. */
const FIRST_STAY = 250;
const LAST_STAY = 30_000;

/** How long the disk keeps the app's thread, and when it should be left alone for that. */
export class Pace {
  /** Operations that blocked the app's thread for longer than `SLOW`. */
  slow = 0;
  readonly #patience: number;
  #slowAt = Number.NEGATIVE_INFINITY;
  #stay = 0;
  #stayUntil = 0;
  #backSince = Number.NEGATIVE_INFINITY;

  /** @param patience How long the disk may block the app's thread, in ms. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** To be called before the app's thread works on the disk. Returns a check of whether that takes too long. */
  begin(): { started: number; isLate: () => boolean } {
    const started = monotonicClock.now();
    noteThreadTime(started);
    return { started, isLate: () => blockedSince(started) > this.#patience };
  }

  /**
   * To be called after it.
   * @returns For how long the thread was blocked, where the disk is to be left alone for that. In ms.
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

  /** Whether the app's thread may try the disk again. */
  get mayReturn(): boolean {
    return monotonicClock.now() >= this.#stayUntil;
  }

  /** The app's thread works on the disk again. */
  returned(): void {
    this.#backSince = monotonicClock.now();
  }
}

/** How long the disk has blocked this thread since then; 0 where it was no longer than `SLOW`. In ms. */
function blockedSince(started: number): number {
  const took = monotonicClock.now() - started;
  return took > SLOW ? blockedOf(took) : 0;
}
