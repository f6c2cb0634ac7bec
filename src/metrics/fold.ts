import { type RecordBatch, unpinned } from '../batch.ts';

/** Maximum number of distinct routes. Requests to any further route are counted under `other`. */
export const MAX_ROUTES = 200;
/**
 * Maximum number of combinations of route, method and class. Limited because clients choose the method;
 * beyond it, the route is `other` too.
 */
export const MAX_SERIES = 2_000;
const OTHER = 'other';
/** Distinct methods. The last stands for all others, which a client may make up. */
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
/** Upper bounds of the duration buckets. In µs. */
export const BOUNDS = [
  1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
  10_000_000,
];

const OTHER_METHOD = METHODS.length - 1;
const OTHER_CLASS = CLASSES.length - 1;
const OTHER_ROUTE = MAX_ROUTES + 1;
/**
 * Values of a series: a count for each bucket, a count of longer durations, and the sums of duration and
 * transfer.
 */
const DURATION = BOUNDS.length + 1;
const BYTES = DURATION + 1;
const WIDTH = BYTES + 1;

/** Counts for one route, method and status class. */
export interface TrafficSeries {
  route: string;
  method: string;
  status: string;
  /** Number of requests per duration bucket. The last bucket is for durations above all bounds. */
  buckets: Float64Array;
  /** Total duration in µs. */
  duration: number;
  bytes: number;
}

/** All counts, in the form sent to another thread and passed to the next fold. */
export interface TrafficState {
  /** Routes, numbered by position from 1. */
  routes: readonly string[];
  /** Combination that each series counts. */
  combinations: readonly number[];
  values: Float64Array;
}

const METHOD_NUMBERS = new Map(METHODS.map((method, number) => [method, number]));

/** Counts requests, their transfer and durations by route, method and status class. */
export class TrafficFold {
  /** Number of each route; unknown is 0. */
  readonly #routes = new Map<string, number>([['', 0]]);
  /** Number of the series for each combination of route, method and class, from 1. */
  readonly #series = new Int32Array((MAX_ROUTES + 2) * METHODS.length * CLASSES.length);
  readonly #combinations: number[];
  #values: Float64Array;
  /** For each text ID of a batch, the number of the route and of the method, plus 1. */
  #routeOfId = new Int32Array(0);
  #methodOfId = new Int32Array(0);

  /**
   * Creates a fold.
   * @param before Counts of a previous fold.
   */
  constructor(before: TrafficState = { routes: [], combinations: [], values: new Float64Array(0) }) {
    for (const route of before.routes) this.#routes.set(route, this.#routes.size);
    this.#combinations = [...before.combinations];
    this.#combinations.forEach((combination, index) => {
      this.#series[combination] = index + 1;
    });
    this.#values = before.values.slice();
  }

  /** Counts one request. `duration` is in µs. */
  add(route: string, method: string, status: number, duration: number, bytes: number): void {
    this.#count(this.#routeNumber(route), methodNumber(method), status, duration, bytes);
  }

  /** Counts the records of a batch, from index `first` on. */
  addBatch({ length, strings, text, status, duration, contentLength }: RecordBatch, first = 0): void {
    if (first >= length) return;
    if (this.#routeOfId.length < strings.length) {
      this.#routeOfId = new Int32Array(strings.length * 2);
      this.#methodOfId = new Int32Array(strings.length * 2);
    }
    const routeOfId = this.#routeOfId.fill(0, 0, strings.length);
    const methodOfId = this.#methodOfId.fill(0, 0, strings.length);
    const { route, method } = text;
    for (let i = first; i < length; i++) {
      const routeId = route[i]!;
      const methodId = method[i]!;
      routeOfId[routeId] ||= this.#routeNumber(strings[routeId] ?? '') + 1;
      methodOfId[methodId] ||= methodNumber(strings[methodId] ?? '') + 1;
      this.#count(
        routeOfId[routeId]! - 1,
        methodOfId[methodId]! - 1,
        status[i]!,
        duration[i]!,
        contentLength[i]!,
      );
    }
  }

  /** Returns all counts. The buckets are a live view. */
  *series(): Generator<TrafficSeries> {
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

  state(): TrafficState {
    return {
      routes: [...this.#routes.keys()].slice(1),
      combinations: this.#combinations,
      values: this.#values.slice(0, this.#combinations.length * WIDTH),
    };
  }

  #count(route: number, method: number, status: number, duration: number, bytes: number): void {
    const hundreds = (status / 100) | 0;
    const group = hundreds >= 1 && hundreds <= 5 ? hundreds - 1 : OTHER_CLASS;
    const number =
      this.#series[combinationOf(route, method, group)] || this.#numberOfNew(route, method, group);
    const at = (number - 1) * WIDTH;
    let bucket = 0;
    while (bucket < BOUNDS.length && duration > BOUNDS[bucket]!) bucket += 1;
    const values = this.#values;
    values[at + bucket]! += 1;
    values[at + DURATION]! += duration;
    values[at + BYTES]! += bytes;
  }

  /** Allocates a series, if the limit allows it. */
  #numberOfNew(route: number, method: number, group: number): number {
    const isFull = this.#combinations.length >= MAX_SERIES;
    const combination = combinationOf(isFull ? OTHER_ROUTE : route, method, group);
    if (isFull && this.#series[combination]) return this.#series[combination];
    const number = this.#combinations.push(combination);
    this.#series[combination] = number;
    if (number * WIDTH > this.#values.length) {
      const wider = new Float64Array(Math.max(16, number * 2) * WIDTH);
      wider.set(this.#values);
      this.#values = wider;
    }
    return number;
  }

  #routeNumber(route: string): number {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    if (route === OTHER || this.#routes.size > MAX_ROUTES) return OTHER_ROUTE;
    this.#routes.set(unpinned(route), this.#routes.size);
    return this.#routes.size - 1;
  }
}

function combinationOf(route: number, method: number, group: number): number {
  return (route * METHODS.length + method) * CLASSES.length + group;
}

function methodNumber(method: string): number {
  return METHOD_NUMBERS.get(method) ?? OTHER_METHOD;
}
