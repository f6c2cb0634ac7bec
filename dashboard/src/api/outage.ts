import type { ApiError } from './client.ts';

/** Pause before the first retry, and the longest one. In ms. */
const FIRST_PAUSE = 2_000;
const MAX_PAUSE = 30_000;

/**
 * Queries that failed because the server or the storage is not available. Their data stays on the page, and they are
 * repeated, with growing pauses, until all of them succeed.
 */
export class Outage {
  readonly #failures = new Map<object, ApiError>();
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = FIRST_PAUSE;
  #retries = 0;
  #succeededAt: number | null = null;
  #signedOut: ApiError | undefined;

  /** Error of the first failed query, or `undefined` without an outage. */
  get error(): ApiError | undefined {
    return this.#failures.values().next().value;
  }

  /** Number of retries so far. Failed queries are sent again when it changes. */
  get retries(): number {
    return this.#retries;
  }

  /** Time of the last successful query, in ms since 1970. */
  get succeededAt(): number | null {
    return this.#succeededAt;
  }

  /** Error of a query that was refused because the session is over. */
  get signedOut(): ApiError | undefined {
    return this.#signedOut;
  }

  /** Takes note of a failed query. Returns whether it will be repeated. */
  failed(query: object, error: ApiError): boolean {
    if (error.needsToken) this.#signedOut = error;
    if (!error.isTemporary) {
      this.settled(query);
      if (error.needsToken) this.#notify();
      return false;
    }
    this.#failures.set(query, error);
    this.#schedule();
    this.#notify();
    return true;
  }

  succeeded(query: object): void {
    this.#succeededAt = Date.now();
    this.settled(query);
  }

  /** Forgets a query, which succeeded or is no longer of interest. */
  settled(query: object): void {
    if (!this.#failures.delete(query)) return;
    if (this.#failures.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#pause = FIRST_PAUSE;
    }
    this.#notify();
  }

  /** Repeats the failed queries now. */
  readonly retry = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#failures.size === 0) return;
    this.#retries += 1;
    this.#schedule();
    this.#notify();
  };

  /** Calls a function with each change. Returns a function that ends this. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#pause = Math.min(MAX_PAUSE, this.#pause * 2);
      this.retry();
    }, this.#pause);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The outage of the page. */
export const outage = new Outage();
