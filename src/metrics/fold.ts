import { type RecordBatch, unpinned } from '../batch.ts';

/** So many different routes are told apart; requests of any further one count as those of the route `other`. */
export const MAX_ROUTES = 200;
/** And so many combinations of route, method and class, for clients choose methods; beyond them it is `other` too. */
export const MAX_SERIES = 2_000;
const OTHER = 'other';
/** The methods that are told apart; the last stands for all others, which a client may make up. */
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
/** The upper bounds of the buckets of durations. In µs. */
export const BOUNDS = [
  1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
  10_000_000,
];

const OTHER_METHOD = METHODS.length - 1;
const OTHER_CLASS = CLASSES.length - 1;
const OTHER_ROUTE = MAX_ROUTES + 1;
/** The values of a series: a count for each bucket, one for what is longer, the sum of durations, and of bytes. */
const DURATION = BOUNDS.length + 1;
const BYTES = DURATION + 1;
const WIDTH = BYTES + 1;

/** What was counted for one route, method and class of statuses. */
export interface TrafficSeries {
  route: string;
  method: string;
  status: string;
  /** Requests by the bucket that their duration belongs to; the last holds those above all bounds. */
  buckets: Float64Array;
  /** µs */
  duration: number;
  bytes: number;
}

/** All that was counted, as it crosses to another thread, and from there to the next fold. */
export interface TrafficState {
  /** Each has the number of its place, the first 1. */
  routes: readonly string[];
  /** For each series, what it counts. */
  combinations: readonly number[];
  values: Float64Array;
}

const METHOD_NUMBERS = new Map(METHODS.map((method, number) => [method, number]));

/** Counts requests, their bytes and durations by route, method and class of statuses. */
export class TrafficFold {
  /** Unknown is 0. */
  readonly #routes = new Map<string, number>([['', 0]]);
  /** By combination of route, method and class, the number of its series; the first is 1. */
  readonly #series = new Int32Array((MAX_ROUTES + 2) * METHODS.length * CLASSES.length);
  readonly #combinations: number[];
  #values: Float64Array;
  /** For the ids of a batch, the number of the route and of the method, and 1. */
  #routeOfId = new Int32Array(0);
  #methodOfId = new Int32Array(0);

  /** @param before What another fold had counted already. */
  constructor(before: TrafficState = { routes: [], combinations: [], values: new Float64Array(0) }) {
    for (const route of before.routes) this.#routes.set(route, this.#routes.size);
    this.#combinations = [...before.combinations];
    this.#combinations.forEach((combination, index) => {
      this.#series[combination] = index + 1;
    });
    this.#values = before.values.slice();
  }

  /** Counts one request. `duration` in µs. */
  add(route: string, method: string, status: number, duration: number, bytes: number): void {
    this.#count(this.#routeNumber(route), methodNumber(method), status, duration, bytes);
  }

  /** Counts the records of a batch, from the one at `first` on. */
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

  /** What was counted. The buckets are a view that goes on changing. */
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

  /** Makes room for a series, where there may be one more. */
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
