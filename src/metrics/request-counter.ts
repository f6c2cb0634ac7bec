import type { CapturedFields, RecordCounter } from '../capture/record-sink.ts';

/** Maximum number of distinct routes; requests of any further route are counted under the route `other`. */
export const MAX_ROUTES = 200;
/** Maximum number of combinations of route, method and status class; beyond it, the route is `other` too. */
export const MAX_SERIES = 2_000;
const OTHER = 'other';
/** Methods with a separate label. The last one represents all others, because clients may invent methods. */
export const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  OTHER,
];
export const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', OTHER];
/** Upper bounds of the duration buckets, in µs. */
export const BOUNDS = [
  1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
  10_000_000,
];

const OTHER_METHOD = METHODS.length - 1;
const OTHER_CLASS = CLASSES.length - 1;
const OTHER_ROUTE = MAX_ROUTES + 1;
/** Values of a series: a count per bucket, a count above all bounds, the sum of durations, the sum of bytes. */
const DURATION = BOUNDS.length + 1;
const BYTES = DURATION + 1;
const WIDTH = BYTES + 1;

/** Counts of one combination of route, method and status class. */
export interface RequestSeries {
  route: string;
  method: string;
  status: string;
  /** Number of requests per duration bucket; the last one holds those above all bounds. */
  buckets: Float64Array;
  /** Sum of durations, in µs. */
  duration: number;
  bytes: number;
}

const METHOD_NUMBERS = new Map(METHODS.map((method, number) => [method, number]));

/**
 * Counts requests, their bytes and their durations by route, method and status class. It runs in the app's thread, once
 * per record, so `add` allocates nothing for a combination that it has seen before.
 */
export class RequestCounter implements RecordCounter {
  /** Route numbers; the unknown route is 0. */
  readonly #routes = new Map<string, number>([['', 0]]);
  /**
   * Number of the series of each combination, from 1; 0 means none. Uses 16 bits, so that it fits in the CPU's
   * cache.
   */
  readonly #series = new Uint16Array((MAX_ROUTES + 2) * METHODS.length * CLASSES.length);
  readonly #combinations: number[] = [];
  #values = new Float64Array(0);

  /** Counts one request. */
  add({
    route,
    method,
    status,
    duration,
    contentLength,
  }: Pick<CapturedFields, 'route' | 'method' | 'status' | 'duration' | 'contentLength'>): void {
    const hundreds = (status / 100) | 0;
    const statusClass = hundreds >= 1 && hundreds <= 5 ? hundreds - 1 : OTHER_CLASS;
    const combination = combinationOf(
      this.#routes.get(route) ?? this.#addRoute(route),
      METHOD_NUMBERS.get(method) ?? OTHER_METHOD,
      statusClass,
    );
    const at = ((this.#series[combination] || this.#addSeries(combination)) - 1) * WIDTH;
    let bucket = 0;
    while (bucket < BOUNDS.length && duration > BOUNDS[bucket]!) bucket += 1;
    const values = this.#values;
    values[at + bucket]! += 1;
    values[at + DURATION]! += duration;
    values[at + BYTES]! += contentLength;
  }

  /** Returns the counts. The buckets are views whose values change with further requests. */
  *series(): Generator<RequestSeries> {
    const routes = [...this.#routes.keys()];
    routes[OTHER_ROUTE] = OTHER;
    for (const [index, combination] of this.#combinations.entries()) {
      const values = this.#values.subarray(index * WIDTH, (index + 1) * WIDTH);
      const pair = Math.floor(combination / CLASSES.length);
      yield {
        route: routes[Math.floor(pair / METHODS.length)]!,
        method: METHODS[pair % METHODS.length]!,
        status: CLASSES[combination % CLASSES.length]!,
        buckets: values.subarray(0, DURATION),
        duration: values[DURATION]!,
        bytes: values[BYTES]!,
      };
    }
  }

  /** Returns the number of the series for a combination that has none, within the limit. */
  #addSeries(wanted: number): number {
    const isFull = this.#combinations.length >= MAX_SERIES;
    const combination = isFull ? withOtherRoute(wanted) : wanted;
    if (this.#series[combination]) return this.#series[combination];
    const number = this.#combinations.push(combination);
    this.#series[combination] = number;
    if (number * WIDTH > this.#values.length) {
      const wider = new Float64Array(Math.max(16, number * 2) * WIDTH);
      wider.set(this.#values);
      this.#values = wider;
    }
    return number;
  }

  /** Returns the number of a route that has none, within the limit. */
  #addRoute(given: string): number {
    // Normalized as in the journal, so that the output has no lone surrogates.
    const route = given.toWellFormed();
    const known = route === given ? undefined : this.#routes.get(route);
    if (known !== undefined) return known;
    if (route === OTHER || this.#routes.size > MAX_ROUTES) return OTHER_ROUTE;
    const number = this.#routes.size;
    // A copy, because a slice keeps the whole text that it was cut from in memory.
    this.#routes.set(Buffer.from(route).toString(), number);
    return number;
  }
}

function combinationOf(route: number, method: number, statusClass: number): number {
  return (route * METHODS.length + method) * CLASSES.length + statusClass;
}

function withOtherRoute(combination: number): number {
  return combinationOf(OTHER_ROUTE, 0, 0) + (combination % (METHODS.length * CLASSES.length));
}
