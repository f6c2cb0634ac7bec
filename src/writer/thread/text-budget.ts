import { randomInt } from 'node:crypto';
import { wallClock } from '../../platform/clock.ts';

const HOUR_MS = 3_600_000;

/**
 * Limits the number of distinct texts that clients can add to a storage per hour. Otherwise a scanner that requests a
 * million URLs would fill the disk with them, whatever the budgets of the summaries.
 */
export class TextBudget {
  readonly #max: number;
  /** Hashes of the texts of this hour. */
  readonly #seen = new Set<number>();
  /** Hashes of texts of this hour that were derived from others, which limit their number. */
  readonly #derived = new Set<number>();
  /** Random, so that a client cannot choose texts with equal hashes. */
  readonly #seed = randomInt(2 ** 32);
  #hour = Number.NaN;
  /** Number of values that were not stored. */
  rejected = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Starts a new hour, if one has begun. Called once per batch. */
  begin(): void {
    const hour = Math.floor(wallClock.now() / HOUR_MS);
    if (hour === this.#hour) return;
    this.#hour = hour;
    this.#seen.clear();
    this.#derived.clear();
  }

  /** Returns whether a text may be stored: it is not new in this hour, or the budget is not reached. */
  admits(text: string): boolean {
    const hash = hashOf(text, this.#seed);
    if (this.#seen.has(hash)) return true;
    if (this.#seen.size >= this.#max) {
      this.rejected += 1;
      return false;
    }
    this.#seen.add(hash);
    return true;
  }

  /** Admits a text that was derived from an admitted one. It takes no room. */
  include(text: string): void {
    this.#derived.add(hashOf(text, this.#seed));
  }

  /** Returns whether a text was admitted or included in this hour. */
  has(text: string): boolean {
    const hash = hashOf(text, this.#seed);
    return this.#derived.has(hash) || this.#seen.has(hash);
  }
}

/** Returns a hash of 53 bits: two multiplicative hashes of 32 bits, of which one loses its upper part. */
function hashOf(text: string, seed: number): number {
  let [a, b] = [seed, ~seed];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x85ebca77);
    a ^= b >>> 15;
    b ^= a >>> 13;
  }
  return ((b >>> 0) & 0x1fffff) * 2 ** 32 + (a >>> 0);
}
