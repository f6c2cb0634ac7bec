import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RecordBatch } from '../../src/batch.ts';
import { BOUNDS, MAX_ROUTES, MAX_SERIES, METHODS, TrafficFold } from '../../src/metrics/fold.ts';

interface Fact {
  route: string;
  method: string;
  status: number;
  duration: number;
  bytes: number;
}

const HOSTILE = ['', '/', '/users/:id', 'other', '__proto__', 'constructor', 'GET', '"}\n', 'ä🜁'];
const fact: fc.Arbitrary<Fact> = fc.record({
  route: fc.constantFrom(...HOSTILE),
  method: fc.constantFrom('GET', 'HEAD', 'TRACE', 'get', 'PROPFIND', 'other', '/', '__proto__', ''),
  status: fc.constantFrom(0, 99, 100, 200, 204, 304, 404, 499, 500, 599, 600, 999),
  // On the bounds and beside them.
  duration: fc.oneof(fc.nat({ max: 2e7 }), fc.constantFrom(...BOUNDS.flatMap((limit) => [limit, limit + 1]))),
  bytes: fc.nat({ max: 1e12 }),
});

function batchOf(facts: readonly Fact[]): RecordBatch {
  const batch = new RecordBatch(1);
  for (const { route, method, status, duration, bytes } of facts) {
    if (batch.length === batch.capacity) batch.grow();
    const i = batch.length++;
    batch.text.route[i] = batch.intern(route);
    batch.text.method[i] = batch.intern(method);
    batch.status[i] = status;
    batch.duration[i] = duration;
    batch.contentLength[i] = bytes;
  }
  return batch;
}

/** By route, method and class: the buckets, the sum of durations, and of bytes. */
type Counts = Map<string, number[]>;

/** What a reader of the documentation would count, record by record. */
function straightCount(facts: readonly Fact[]): Counts {
  const counts: Counts = new Map();
  const limits = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, Number.POSITIVE_INFINITY];
  for (const { route, method, status, duration, bytes } of facts) {
    const known = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)$/.test(method);
    const group = status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : 'other';
    const key = JSON.stringify([route, known ? method : 'other', group]);
    const values = counts.get(key) ?? new Array<number>(limits.length + 2).fill(0);
    counts.set(key, values);
    values[limits.findIndex((limit) => duration <= limit * 1_000)]! += 1;
    values[limits.length]! += duration;
    values[limits.length + 1]! += bytes;
  }
  return counts;
}

function countsOf(fold: TrafficFold): Counts {
  const all = [...fold.series()];
  const counts = new Map(
    all.map(({ route, method, status, buckets, duration, bytes }) => [
      JSON.stringify([route, method, status]),
      [...buckets, duration, bytes],
    ]),
  );
  // No series twice: Prometheus would refuse the whole answer.
  expect(counts.size).toBe(all.length);
  return counts;
}

describe('what is counted of requests', () => {
  test('is the same however the records are split, and what a straight count gives', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fact, { maxLength: 30 }), { maxLength: 8 }), (batches) => {
        const facts = batches.flat();
        const split = new TrafficFold();
        for (const batch of batches) split.addBatch(batchOf(batch));
        const whole = new TrafficFold();
        whole.addBatch(batchOf(facts));
        const single = new TrafficFold();
        for (const { route, method, status, duration, bytes } of facts) {
          single.add(route, method, status, duration, bytes);
        }
        const straight = straightCount(facts);
        expect(countsOf(split)).toEqual(straight);
        expect(countsOf(whole)).toEqual(straight);
        expect(countsOf(single)).toEqual(straight);
      }),
    );
  });

  test('leaves out the records of a batch that were counted before', () => {
    fc.assert(
      fc.property(fc.array(fact, { maxLength: 30 }), fc.nat({ max: 40 }), (facts, first) => {
        const fold = new TrafficFold();
        fold.addBatch(batchOf(facts), first);
        expect(countsOf(fold)).toEqual(straightCount(facts.slice(first)));
      }),
    );
  });

  test('goes on where another thread stopped', () => {
    fc.assert(
      fc.property(fc.array(fact), fc.array(fact), (before, after) => {
        const first = new TrafficFold();
        first.addBatch(batchOf(before));
        const second = new TrafficFold(structuredClone(first.state()));
        second.addBatch(batchOf(after));
        expect(countsOf(second)).toEqual(straightCount([...before, ...after]));
        expect(countsOf(first)).toEqual(straightCount(before));
      }),
    );
  });
});

describe('the limits', () => {
  const requests = (fold: TrafficFold) =>
    [...fold.series()].reduce((sum, { buckets }) => sum + buckets.reduce((a, b) => a + b), 0);
  const routes = (fold: TrafficFold) => new Set([...fold.series()].map(({ route }) => route));

  test('further routes count as other, in this thread and the next', () => {
    const fold = new TrafficFold();
    const add = (to: TrafficFold, count: number) => {
      for (let i = 0; i < count; i++) to.add(`/${i}`, 'GET', 200, 1, 1);
    };
    add(fold, MAX_ROUTES);
    fold.add('', 'GET', 200, 1, 1);
    expect(routes(fold).has('other')).toBe(false);
    expect(routes(fold).size).toBe(MAX_ROUTES + 1);
    add(fold, MAX_ROUTES + 50);
    const next = new TrafficFold(structuredClone(fold.state()));
    next.add('/249', 'GET', 200, 1, 1);
    next.add('/0', 'GET', 200, 1, 1);
    for (const [counted, other, known] of [
      [fold, 50, 2],
      [next, 51, 3],
    ] as const) {
      expect(routes(counted).size).toBe(MAX_ROUTES + 2);
      const find = (name: string) => [...counted.series()].find(({ route }) => route === name)!.buckets[0];
      expect([find('other'), find('/0')]).toEqual([other, known]);
    }
  });

  test('further combinations count as those of the route other, and no request is left out', () => {
    const fold = new TrafficFold();
    let added = 0;
    for (const method of METHODS) {
      for (const status of [100, 200, 300, 400, 500, 600]) {
        for (let route = 0; route < MAX_ROUTES + 20; route++) {
          fold.add(`/${route}`, method, status, 1, 1);
          added += 1;
        }
      }
    }
    expect(requests(fold)).toBe(added);
    const series = [...fold.series()];
    expect(series.filter(({ route }) => route !== 'other').length).toBeLessThanOrEqual(MAX_SERIES);
    expect(series.length).toBeLessThanOrEqual(MAX_SERIES + METHODS.length * 6);
    countsOf(fold);
  });
});
