import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  binOf,
  companionBase,
  companionName,
  durationOf,
  LatencyBins,
  latencyKey,
  MAX_BINS,
  PERCENTILES,
  partsOfLatencyKey,
} from '../../src/summaries/latency.ts';

/** Relative error of a percentile that the documentation states. */
const ACCURACY = 0.025;

/** Durations of all magnitudes, and those around the bounds of bins. */
const duration = fc.oneof(
  fc.constantFrom(0, 0.5, 1, 2, 3, 999, 1_000, 86_400_000_000, Number.MAX_SAFE_INTEGER),
  fc.nat({ max: 10_000_000 }),
  fc
    .tuple(fc.nat({ max: 53 * 16 }), fc.constantFrom(-1, 0, 1))
    .map(([step, off]) => Math.max(0, Math.round(2 ** (step / 16)) + off)),
  fc.double({ min: 0, max: 1e12, noNaN: true }),
);

/** Returns the percentile by nearest rank. */
function exact(durations: readonly number[], percent: number): number {
  return durations.toSorted((a, b) => a - b)[Math.ceil((percent * durations.length) / 100) - 1]!;
}

function binsOf(durations: readonly number[]): LatencyBins {
  const bins = new LatencyBins();
  for (const each of durations) bins.add(binOf(each), 1);
  return bins;
}

/** Asserts that a percentile is within 2.5 % of the exact value, or 0 for a duration below 1 µs. */
function expectClose(found: number, wanted: number): void {
  if (wanted < 1) expect(found).toBe(0);
  else expect(Math.abs(found - wanted)).toBeLessThanOrEqual(ACCURACY * wanted);
}

describe('bins', () => {
  test('the value of a bin is within 2.2 % of each duration in it', () => {
    fc.assert(
      fc.property(duration, (each) => {
        const bin = binOf(each);
        expect(bin).toBeGreaterThanOrEqual(0);
        expect(bin).toBeLessThan(MAX_BINS);
        if (each < 1) expect(bin).toBe(0);
        else expect(Math.abs(durationOf(bin) - each) / each).toBeLessThan(0.022);
      }),
      { numRuns: 2_000 },
    );
  });

  test('are those of a Prometheus native histogram with schema 4', () => {
    for (const k of [0, 1, 10, 30, 52]) {
      // The upper bound belongs to a bucket, the lower one does not.
      expect(binOf(2 ** k)).toBe(1 + 16 * k);
      expect(binOf(2 ** k * (1 + 1e-9))).toBe(2 + 16 * k);
    }
  });

  test('durations that cannot occur are counted in the first or last bin', () => {
    expect([-5, Number.NaN].map(binOf)).toEqual([0, 0]);
    expect([1e300, Number.POSITIVE_INFINITY].map(binOf)).toEqual([MAX_BINS - 1, MAX_BINS - 1]);
  });
});

describe('percentiles', () => {
  test('are within 2.5 % of the exact ones, for any durations and split', () => {
    fc.assert(
      fc.property(
        fc.array(duration, { minLength: 1, maxLength: 300 }),
        fc.array(fc.nat({ max: 4 }), { minLength: 300, maxLength: 300 }),
        (durations, parts) => {
          const bins = binsOf(durations);
          const found = bins.percentiles();
          for (const name of PERCENTILES) {
            expectClose(found[name], exact(durations, Number(name.slice(1))));
          }
          // Parts that are counted separately add up to the same.
          const counts = new Map<string, number>();
          durations.forEach((each, i) => {
            const key = `${parts[i]} ${binOf(each)}`;
            counts.set(key, (counts.get(key) ?? 0) + 1);
          });
          const added = new LatencyBins();
          for (const [key, hits] of counts) added.add(Number(key.split(' ')[1]), hits);
          expect(added.percentiles()).toEqual(found);
          expect(added.hits).toBe(durations.length);
        },
      ),
    );
  });

  test('of adversarial distributions', () => {
    const series = (length: number, of: (i: number) => number) => Array.from({ length }, (_, i) => of(i));
    const distributions = {
      one: [7_777],
      equal: series(1_000, () => 123_456),
      zeros: series(10, () => 0),
      // The 99th percentile is the last fast request.
      cliff: [...series(99, () => 1_000), 60_000_000],
      past: [...series(98, () => 1_000), ...series(2, () => 60_000_000)],
      halves: [...series(50, () => 10), ...series(50, () => 10_000_000)],
      powers: series(50, (i) => 2 ** i),
      linear: series(10_000, (i) => i),
      heavy: series(1_000, (i) => Math.floor(1_000 / (1 - i / 1_000) ** 2)),
    };
    for (const durations of Object.values(distributions)) {
      const found = binsOf(durations).percentiles();
      for (const name of PERCENTILES) expectClose(found[name], exact(durations, Number(name.slice(1))));
    }
  });

  test('the share above a threshold is exact for a threshold within 2.2 % of it', () => {
    fc.assert(
      fc.property(
        fc.array(duration, { minLength: 1, maxLength: 100 }),
        fc.integer({ min: 1, max: 10_000_000 }),
        (durations, threshold) => {
          const share = binsOf(durations).above(threshold);
          const above = (limit: number) => durations.filter((each) => each > limit).length / durations.length;
          expect(share).toBeLessThanOrEqual(above(threshold * 0.978));
          expect(share).toBeGreaterThanOrEqual(above(threshold * 1.022));
        },
      ),
    );
  });
});

test('keys and names of companions', () => {
  for (const key of [null, '', 'a', 'a|b', '|', '12|']) {
    expect(partsOfLatencyKey(latencyKey(12, key))).toEqual({ bin: '12', key });
  }
  expect([latencyKey(3, null), latencyKey(3, ''), latencyKey(3, '/a')]).toEqual(['3', '3|', '3|/a']);
  expect(companionName('routes')).toBe('routes|latency');
  expect([companionBase('routes|latency'), companionBase('routes')]).toEqual(['routes', undefined]);
});
