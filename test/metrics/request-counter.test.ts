import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BOUNDS,
  MAX_ROUTES,
  MAX_SERIES,
  METHODS,
  RequestCounter,
} from '../../src/metrics/request-counter.ts';

interface RequestFields {
  route: string;
  method: string;
  status: number;
  duration: number;
  contentLength: number;
}

const HOSTILE = ['', '/', '/users/:id', 'other', '__proto__', 'constructor', 'GET', '"}\n', 'ä🜁'];
const requestFields: fc.Arbitrary<RequestFields> = fc.record({
  route: fc.oneof(
    fc.constantFrom(...HOSTILE),
    fc.constantFrom('\ud800', 'a\udfffb', '\ufffd', 'a\ufffdb'),
    fc.string({ unit: 'binary' }),
  ),
  method: fc.constantFrom('GET', 'HEAD', 'TRACE', 'get', 'PROPFIND', 'other', '/', '__proto__', ''),
  status: fc.constantFrom(0, 99, 100, 200, 204, 304, 404, 499, 500, 599, 600, 999),
  // At the bounds and next to them.
  duration: fc.oneof(fc.nat({ max: 2e7 }), fc.constantFrom(...BOUNDS.flatMap((limit) => [limit, limit + 1]))),
  contentLength: fc.nat({ max: 1e12 }),
});

/** Buckets, total duration and total bytes by route, method and status class. */
type Counts = Map<string, number[]>;

/** Counts as documented, one record after the other. */
function expectedCounts(fields: readonly RequestFields[]): Counts {
  const counts: Counts = new Map();
  const limits = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, Number.POSITIVE_INFINITY];
  for (const { route, method, status, duration, contentLength } of fields) {
    const known = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)$/.test(method);
    const group = status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : 'other';
    const key = JSON.stringify([route.toWellFormed(), known ? method : 'other', group]);
    const values = counts.get(key) ?? new Array<number>(limits.length + 2).fill(0);
    counts.set(key, values);
    values[limits.findIndex((limit) => duration <= limit * 1_000)]! += 1;
    values[limits.length]! += duration;
    values[limits.length + 1]! += contentLength;
  }
  return counts;
}

function countsOf(counter: RequestCounter): Counts {
  const all = [...counter.series()];
  const counts = new Map(
    all.map(({ route, method, status, buckets, duration, bytes }) => [
      JSON.stringify([route, method, status]),
      [...buckets, duration, bytes],
    ]),
  );
  // Prometheus would reject the whole response if a series were duplicated.
  expect(counts.size).toBe(all.length);
  return counts;
}

function countOf(fields: readonly RequestFields[], counter = new RequestCounter()): RequestCounter {
  for (const each of fields) counter.add(each);
  return counter;
}

const getRequest = (route: string): RequestFields => ({
  route,
  method: 'GET',
  status: 200,
  duration: 1,
  contentLength: 1,
});

test('counts requests by route, method and status class', () => {
  fc.assert(
    fc.property(
      fc.array(requestFields, { maxLength: 150 }),
      fc.array(requestFields, { maxLength: 30 }),
      (first, then) => {
        const counter = countOf(first);
        expect(countsOf(counter)).toEqual(expectedCounts(first));
        expect(countsOf(countOf(then, counter))).toEqual(expectedCounts([...first, ...then]));
      },
    ),
  );
});

describe('limits', () => {
  const requests = (counter: RequestCounter) =>
    [...counter.series()].reduce((sum, { buckets }) => sum + buckets.reduce((a, b) => a + b), 0);
  const routes = (counter: RequestCounter) => new Set([...counter.series()].map(({ route }) => route));

  test('count routes beyond the limit as other', () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, i) => getRequest(`/${i}`));
    const counter = countOf([...numbered(MAX_ROUTES), getRequest('')]);
    expect(routes(counter).has('other')).toBe(false);
    expect(routes(counter).size).toBe(MAX_ROUTES + 1);
    countOf(numbered(MAX_ROUTES + 50), counter);
    expect(routes(counter).size).toBe(MAX_ROUTES + 2);
    const find = (name: string) => [...counter.series()].find(({ route }) => route === name)!.buckets[0];
    expect([find('other'), find('/0')]).toEqual([50, 2]);
    expect(requests(counter)).toBe(2 * MAX_ROUTES + 51);
  });

  test('count a route with a lone surrogate once', () => {
    const counter = countOf(Array.from({ length: MAX_ROUTES + 5 }, () => getRequest('/\ud800')));
    countOf([getRequest('/\ufffd'), getRequest('/next')], counter);
    expect([...counter.series()].map(({ route, buckets }) => [route, buckets[0]])).toEqual([
      ['/\ufffd', MAX_ROUTES + 6],
      ['/next', 1],
    ]);
  });

  test('count combinations beyond the limit under the route other, without losing requests', () => {
    const counter = new RequestCounter();
    let added = 0;
    for (const method of METHODS) {
      for (const status of [100, 200, 300, 400, 500, 600]) {
        for (let route = 0; route < MAX_ROUTES + 20; route++) {
          counter.add({ ...getRequest(`/${route}`), method, status });
          added += 1;
        }
      }
    }
    expect(requests(counter)).toBe(added);
    const series = [...counter.series()];
    expect(series.filter(({ route }) => route !== 'other').length).toBeLessThanOrEqual(MAX_SERIES);
    expect(series.length).toBeLessThanOrEqual(MAX_SERIES + METHODS.length * 6);
    // The other combinations keep their method and class.
    const other = series.filter(({ route }) => route === 'other');
    expect(other).toHaveLength(METHODS.length * 6);
    const overflow = (method: string, status: string) =>
      other.find((each) => each.method === method && each.status === status)?.buckets[0];
    expect([overflow('GET', '1xx'), overflow('TRACE', '5xx')]).toEqual([20, MAX_ROUTES + 20]);
    countsOf(counter);
  });
});
