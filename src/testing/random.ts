import { NOON, type TestRecord } from './batches.ts';

/** Pseudorandom numbers, the same in every run (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Returns a number from 0 to 1, exclusive. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns a whole number from 0 to `limit`, exclusive. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Returns one of the values, mostly one of the first. */
  of<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() ** 3 * values.length)]!;
  }

  /** Returns a record of the 90 days around `NOON`. */
  record(): TestRecord {
    const page = Math.floor(this.next() ** 3 * 2_000);
    return {
      date: NOON + Math.floor((this.next() - 0.5) * 90 * 24 * 3_600_000),
      duration: this.below(1_000_000),
      contentLength: this.below(100_000),
      status: this.of([200, 304, 404, 500, 503]),
      url: `https://example.com/page/${page}?q=${this.below(3)}`,
      route: this.of(['/page/:id', null]),
      remoteAddr: `198.51.100.${this.below(256)}`,
      agent: this.of(['Mozilla/5.0 (X11)', 'curl/8.5.0', 'Ünïcödé', null]),
      browser: this.of(['Firefox', 'Chrome', 'curl', null]),
      language: this.of(['en', 'de', 'de-AT', null]),
      referrer: this.of([null, 'https://example.org/', 'https://example.org/ ']),
      visitor: this.of([null, 'v1', 'V1', 'v2']),
      country: this.of(['DE', 'AT', null]),
      path: `/page/${page}`,
      referrerHost: this.of([null, 'example.org', '(internal)']),
      campaign: this.of([null, 'newsletter / email']),
      device: this.of(['desktop', 'mobile', null]),
      class: this.of(['page', 'api', 'asset', null]),
    };
  }
}
