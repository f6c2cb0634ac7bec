import { reasonOf, TrackUsageError } from '../../errors.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { clearTimeout, monotonicClock, setTimeout } from '../../platform/clock.ts';
import { type FreeGeoIpData, type FreeGeoIpStatus, urlFor } from './free-geo-ip-settings.ts';
import { type GeoLocation, NO_LOCATION, publicAddress } from './geo.ts';
import { locationInResponse } from './geo-response.ts';
import { get } from './http-get.ts';

/** Limits of the service. Times in ms. */
export const SERVICE_LIMITS = {
  /** Maximum time that a batch waits for its locations. */
  budget: 2_000,
  /** Request timeout. If the batch did not wait, the response is kept for the next one. */
  timeout: 2_000,
  /** Maximum number of concurrent requests. */
  concurrency: 8,
  /** Maximum size of a response, in bytes. */
  maxBytes: 64 * 1024,
  /** Number of consecutive failures after which the service is paused. */
  failures: 5,
  /** Duration of the pause. A single request then tests the service. */
  pause: 30_000,
  /** Maximum pause that the service may request with Retry-After. */
  maxPause: 3_600_000,
  /** Time for which a response is cached. */
  keep: 24 * 3_600_000,
  /** Time after a failed request before its address is requested again. */
  keepFailure: 300_000,
  /** Number of addresses per generation of the cache, at most about 3 kB each. */
  cached: 5_000,
};

interface CachedLocation {
  location: GeoLocation;
  /** Time until which the entry is valid. */
  until: number;
}

/** A batch that waits for its locations. */
interface Waiting {
  /** Addresses without a response yet. */
  readonly open: Set<string>;
  end(): void;
}

/** Thrown if the service asks for a pause. */
class Refusal extends Error {
  readonly pause: number;

  constructor(status: number, retryAfter: string | undefined) {
    super(`it responded with status ${status}`);
    this.pause = Number(retryAfter) * 1000 || 0;
  }
}

/**
 * Client of a geolocation service. Sends one request per address and caches the response. No batch waits
 * longer than its budget, or at all while the service is paused.
 */
export class FreeGeoIp {
  readonly status: FreeGeoIpStatus = { requests: 0, failed: 0, missed: 0, paused: false };
  readonly #data: FreeGeoIpData;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #limits: typeof SERVICE_LIMITS;
  readonly #now: () => number;
  readonly #cache: BoundedCache<string, CachedLocation>;
  /** Addresses to be requested, in order, and those being requested. */
  readonly #queue = new Set<string>();
  readonly #inFlight = new Set<string>();
  readonly #waiting = new Set<Waiting>();
  /** Number of consecutive failures. */
  #failures = 0;
  #pausedUntil = 0;

  /**
   * Creates a client.
   * @param now Monotonic clock for the cache and the pause. In ms.
   */
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

  /** Returns the cached location of an address. An expired entry is returned if renewing it failed. */
  find(address: string): GeoLocation {
    const plain = publicAddress(address);
    return (plain === null ? undefined : this.#cache.get(plain)?.location) ?? NO_LOCATION;
  }

  /**
   * Requests the unknown public addresses of a batch, each once. Resolves when all have a response, when the
   * budget is used up, or when the service fails. Never rejects.
   * @param waits True to wait. Otherwise only as many requests are started as may run concurrently, for
   * later batches.
   */
  async locate(addresses: Iterable<string>, waits = true): Promise<void> {
    const open = this.#unknown(addresses);
    if (open.size === 0) return;
    if (!this.#isPaused()) await this.#waitFor(open, waits ? this.#limits.budget : 0);
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

  #waitFor(open: Set<string>, budget: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        open,
        end: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          // Requests that were not started are canceled, unless another storage's batch waits for them too.
          for (const address of open) {
            if (![...this.#waiting].some((other) => other.open.has(address))) this.#queue.delete(address);
          }
          resolve();
        },
      };
      const timer = setTimeout(waiting.end, budget);
      this.#waiting.add(waiting);
      for (const address of open) if (!this.#inFlight.has(address)) this.#queue.add(address);
      this.#requestNext();
      if (budget === 0) waiting.end();
    });
  }

  #requestNext(): void {
    const concurrency = this.status.paused ? 1 : this.#limits.concurrency;
    for (const address of this.#queue) {
      if (this.#inFlight.size >= concurrency) return;
      this.#queue.delete(address);
      this.#inFlight.add(address);
      void this.#request(address);
    }
  }

  async #request(address: string): Promise<void> {
    this.status.requests += 1;
    let known: CachedLocation;
    try {
      known = { location: await this.#locate(address), until: this.#now() + this.#limits.keep };
      this.#failures = 0;
      this.status.paused = false;
    } catch (error) {
      // An expired response is better than none.
      const location = this.#cache.get(address)?.location ?? NO_LOCATION;
      known = { location, until: this.#now() + this.#limits.keepFailure };
      this.#fail(error);
    }
    this.#cache.set(address, known);
    this.#inFlight.delete(address);
    for (const waiting of this.#waiting) {
      waiting.open.delete(address);
      if (waiting.open.size === 0 || this.#isPaused()) waiting.end();
    }
    this.#requestNext();
  }

  async #locate(address: string): Promise<GeoLocation> {
    const { status, headers, body } = await get(new URL(urlFor(this.#data.endpoint, address)), this.#limits);
    if (status === 429 || status === 503) throw new Refusal(status, headers['retry-after']);
    if (status !== 200) throw new Error(`it responded with status ${status}`);
    return locationInResponse(body, this.#data.countryPaths);
  }

  #fail(error: unknown): void {
    this.status.failed += 1;
    this.#failures += 1;
    const { failures, pause, maxPause } = this.#limits;
    if (!this.status.paused && this.#failures < failures && !(error instanceof Refusal)) return;
    const requested = error instanceof Refusal ? Math.min(error.pause, maxPause) : 0;
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#now() + Math.max(pause, requested));
    if (this.status.paused) return;
    this.status.paused = true;
    // If all addresses of a host fail to connect, Node's error has a code and no message.
    const reason = reasonOf(error) || String((error as { code?: unknown }).code);
    // The message shows only the origin, because the endpoint may contain a key.
    const value = new URL(urlFor(this.#data.endpoint, '')).origin;
    const seconds = Math.round((this.#pausedUntil - this.#now()) / 1000);
    this.#onProblem(new TrackUsageError('GEO_SERVICE', { value, reason, seconds }, { cause: error }));
  }
}
