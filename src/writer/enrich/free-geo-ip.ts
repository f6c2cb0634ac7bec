import { reasonOf, TrackUsageError } from '../../errors.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { clearTimeout, monotonicClock, setTimeout } from '../../platform/clock.ts';
import type { FreeGeoIpStatus } from '../protocol.ts';
import { type FreeGeoIpData, urlFor } from './free-geo-ip-settings.ts';
import { NOWHERE, type Place, publicAddress } from './geo.ts';
import { placeInAnswer } from './geo-response.ts';
import { get } from './http-get.ts';

/** What a service may cost. Times in ms. */
export const SERVICE_LIMITS = {
  /** The longest that a batch waits for its places. */
  budget: 2_000,
  /** The longest that a request takes. Its answer is kept for the next batch where this one did not wait. */
  timeout: 2_000,
  /** Requests under way. */
  atOnce: 8,
  /** The longest answer, in bytes. */
  maxBytes: 64 * 1024,
  /** After so many failures in a row the service is asked no more */
  failures: 5,
  /** for so long; then a single request decides whether it is back. */
  pause: 30_000,
  /** The longest that it may ask for with Retry-After. */
  maxPause: 3_600_000,
  /** How long an answer holds, */
  keep: 24 * 3_600_000,
  /** and how long an address is left alone after a request for it failed. */
  keepFailure: 300_000,
  /** Addresses of a generation of the cache; at the worst some 3 kB each. */
  cached: 5_000,
};

interface Known {
  place: Place;
  /** When it is to be asked again. */
  until: number;
}

/** A batch that waits for its places. */
interface Waiting {
  /** The addresses without an answer yet. */
  readonly open: Set<string>;
  end(): void;
}

/** The service asks to be left alone. */
class Refusal extends Error {
  readonly pause: number;

  constructor(status: number, retryAfter: string | undefined) {
    super(`it answers with status ${status}`);
    this.pause = Number(retryAfter) * 1000 || 0;
  }
}

/**
 * A geography service, asked over HTTP: one request for an address, its answer remembered. Whatever it does, no batch
 * waits longer than its budget, nor at all while the service is left alone.
 */
export class FreeGeoIp {
  readonly status: FreeGeoIpStatus = { asked: 0, failed: 0, missed: 0, paused: false };
  readonly #data: FreeGeoIpData;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #limits: typeof SERVICE_LIMITS;
  readonly #now: () => number;
  readonly #cache: BoundedCache<string, Known>;
  /** Addresses that will be asked for, in order, and those that are. */
  readonly #queue = new Set<string>();
  readonly #underWay = new Set<string>();
  readonly #waiting = new Set<Waiting>();
  /** In a row. */
  #failures = 0;
  #pausedUntil = 0;

  /** @param now A clock that only goes forward, for what is remembered and for the pause. In ms. */
  constructor(
    data: FreeGeoIpData,
    onProblem: (error: TrackUsageError) => void,
    limits: Partial<typeof SERVICE_LIMITS> = {},
    now = () => monotonicClock.now(),
  ) {
    this.#data = data;
    this.#onProblem = onProblem;
    this.#limits = { ...SERVICE_LIMITS, ...limits };
    this.#now = now;
    this.#cache = new BoundedCache(this.#limits.cached);
  }

  /** What is known of an address at this moment. Older than its time, where asking again failed. */
  find(address: string): Place {
    const plain = publicAddress(address);
    return (plain === null ? undefined : this.#cache.get(plain)?.place) ?? NOWHERE;
  }

  /**
   * Asks for the addresses of a batch: for each public one that is not known, once. Resolves when all are answered
   * for, when the budget is used up, or when the service turns out to be at fault. Never rejects.
   * @param patient Whether to wait; else as many are asked for as may be at once, for the batches to come.
   */
  async locate(addresses: Iterable<string>, patient = true): Promise<void> {
    const open = this.#unknown(addresses);
    if (open.size === 0) return;
    if (!this.#isPaused()) await this.#answersFor(open, patient ? this.#limits.budget : 0);
    this.status.missed += open.size;
  }

  #unknown(addresses: Iterable<string>): Set<string> {
    const now = this.#now();
    const unknown = new Set<string>();
    for (const address of addresses) {
      const plain = publicAddress(address);
      if (plain !== null && (this.#cache.get(plain)?.until ?? now) <= now) unknown.add(plain);
    }
    return unknown;
  }

  #isPaused(): boolean {
    return this.status.paused && this.#now() < this.#pausedUntil;
  }

  #answersFor(open: Set<string>, budget: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        open,
        end: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          // What was not begun is not asked for, unless another storage's batch waits for it too.
          for (const address of open) {
            if (![...this.#waiting].some((other) => other.open.has(address))) this.#queue.delete(address);
          }
          resolve();
        },
      };
      const timer = setTimeout(waiting.end, budget);
      this.#waiting.add(waiting);
      for (const address of open) if (!this.#underWay.has(address)) this.#queue.add(address);
      this.#askNext();
      if (budget === 0) waiting.end();
    });
  }

  #askNext(): void {
    const atOnce = this.status.paused ? 1 : this.#limits.atOnce;
    for (const address of this.#queue) {
      if (this.#underWay.size >= atOnce) return;
      this.#queue.delete(address);
      this.#underWay.add(address);
      void this.#ask(address);
    }
  }

  async #ask(address: string): Promise<void> {
    this.status.asked += 1;
    let known: Known;
    try {
      known = { place: await this.#placeOf(address), until: this.#now() + this.#limits.keep };
      this.#failures = 0;
      this.status.paused = false;
    } catch (error) {
      // An old answer is better than none.
      const place = this.#cache.get(address)?.place ?? NOWHERE;
      known = { place, until: this.#now() + this.#limits.keepFailure };
      this.#fail(error);
    }
    this.#cache.set(address, known);
    this.#underWay.delete(address);
    for (const waiting of this.#waiting) {
      waiting.open.delete(address);
      if (waiting.open.size === 0 || this.#isPaused()) waiting.end();
    }
    this.#askNext();
  }

  async #placeOf(address: string): Promise<Place> {
    const { status, headers, body } = await get(new URL(urlFor(this.#data.endpoint, address)), this.#limits);
    if (status === 429 || status === 503) throw new Refusal(status, headers['retry-after']);
    if (status !== 200) throw new Error(`it answers with status ${status}`);
    return placeInAnswer(body, this.#data.countryPaths);
  }

  #fail(error: unknown): void {
    this.status.failed += 1;
    this.#failures += 1;
    const { failures, pause, maxPause } = this.#limits;
    if (!this.status.paused && this.#failures < failures && !(error instanceof Refusal)) return;
    const wanted = error instanceof Refusal ? Math.min(error.pause, maxPause) : 0;
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#now() + Math.max(pause, wanted));
    if (this.status.paused) return;
    this.status.paused = true;
    // Of several addresses of one host that cannot be reached, Node's error has a code and no message.
    const reason = reasonOf(error) || String((error as { code?: unknown }).code);
    // Not the whole endpoint: it may hold a key.
    const value = new URL(urlFor(this.#data.endpoint, '')).origin;
    const seconds = Math.round((this.#pausedUntil - this.#now()) / 1000);
    this.#onProblem(new TrackUsageError('GEO_SERVICE', { value, reason, seconds }, { cause: error }));
  }
}
