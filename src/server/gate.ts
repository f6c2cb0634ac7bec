import { clearTimeout, setTimeout } from '../platform/clock.ts';
import { Refusal } from './problem.ts';
import type { Queries } from './queries.ts';

/** Maximum number of waiting queries, per query that may run concurrently. */
const MAX_WAITING_PER_SLOT = 12;
/** Number of timeouts after which an unfinished query no longer occupies a slot. */
const TIMEOUTS_UNTIL_LOST = 10;

/**
 * Limits concurrent queries to a storage. Others wait, up to a number and a time, so that clients cannot
 * overload the database.
 */
export class Gate {
  readonly #limit: number;
  readonly #timeout: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  /**
   * Creates the limit.
   * @param timeout Maximum time for a result, including waiting. In ms.
   */
  constructor(limit: number, timeout: number) {
    this.#limit = limit;
    this.#timeout = timeout;
  }

  run<T>(query: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit && this.#waiting.size >= this.#limit * MAX_WAITING_PER_SLOT) {
      return Promise.reject(
        new Refusal({
          status: 503,
          title: 'Too many concurrent queries',
          detail: 'Try again in a few seconds.',
          code: 'QUERY_BUSY',
          headers: { 'retry-after': '5' },
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const start = () => {
        this.#waiting.delete(start);
        this.#occupy(query).then(resolve, reject);
      };
      const limit = setTimeout(() => {
        this.#waiting.delete(start);
        reject(slow(this.#timeout));
      }, this.#timeout);
      limit.unref();
      // A settled promise ignores the second call.
      const settle =
        <V>(how: (value: V) => void) =>
        (value: V) => {
          clearTimeout(limit);
          how(value);
        };
      [resolve, reject] = [settle(resolve), settle(reject)];
      if (this.#running < this.#limit) start();
      else this.#waiting.add(start);
    });
  }

  /** Runs a query. It occupies its slot until the storage finishes, even if its client is gone. */
  async #occupy<T>(query: () => Promise<T>): Promise<T> {
    this.#running += 1;
    let isTaken = true;
    const free = () => {
      if (!isTaken) return;
      isTaken = false;
      clearTimeout(lost);
      this.#running -= 1;
      const [next] = this.#waiting;
      next?.();
    };
    const lost = setTimeout(free, this.#timeout * TIMEOUTS_UNTIL_LOST);
    lost.unref();
    try {
      return await query();
    } finally {
      free();
    }
  }
}

/** Returns the queries, each subject to the gate. */
export function gated(query: Queries, gate: Gate): Queries {
  return {
    site: (...given) => gate.run(() => query.site(...given)),
    totals: (...given) => gate.run(() => query.totals(...given)),
    series: (...given) => gate.run(() => query.series(...given)),
    top: (...given) => gate.run(() => query.top(...given)),
    minutes: (...given) => gate.run(() => query.minutes(...given)),
    records: (...given) => gate.run(() => query.records(...given)),
  };
}

/** Returns the result, or `undefined` if it takes longer than `timeout` ms. */
export async function within<T>(promise: Promise<T>, timeout: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, timeout, undefined);
    timer.unref();
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function slow(timeout: number): Refusal {
  return new Refusal({
    status: 503,
    title: 'The storage timed out',
    detail: `There was no response within ${timeout} ms. Query a shorter range, or without a filter.`,
    code: 'QUERY_SLOW',
  });
}
