import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BoundedCache } from '../src/platform/cache.ts';

describe('BoundedCache', () => {
  test('evicts the older generation when the newer one is full', () => {
    const cache = new BoundedCache<string, number>(2);
    for (const [value, key] of ['a', 'b', 'c', 'd', 'e'].entries()) cache.set(key, value);
    const found = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((key) => [key, cache.get(key) ?? null]));
    expect(found).toEqual({ a: null, b: null, c: 2, d: 3, e: 4 });
  });

  test('keeps entries that are read', () => {
    const cache = new BoundedCache<string, number>(2);
    cache.set('kept', 1);
    for (let i = 0; i < 100; i++) {
      expect(cache.get('kept')).toBe(1);
      cache.set(`other ${i}`, i);
    }
  });

  test('returns the newest value', () => {
    const cache = new BoundedCache<string, number>(2);
    for (const [key, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['a', 4],
      ['d', 5],
    ] as const)
      cache.set(key, value);
    expect(cache.get('a')).toBe(4);
    cache.clear();
    expect([cache.get('a'), cache.size]).toEqual([undefined, 0]);
  });

  test('never returns a wrong value, keeps the newest entry, and holds at most twice its limit', () => {
    const operations = fc.array(fc.tuple(fc.constantFrom('get', 'set'), fc.nat(12), fc.nat()));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), operations, (limit, steps) => {
        const cache = new BoundedCache<number, number>(limit);
        const model = new Map<number, number>();
        for (const [operation, key, value] of steps) {
          if (operation === 'set') {
            cache.set(key, value);
            model.delete(key);
            model.set(key, value);
          } else {
            expect([undefined, model.get(key)]).toContain(cache.get(key));
          }
          expect(cache.size).toBeLessThanOrEqual(2 * limit);
        }
        const last = [...model].at(-1);
        if (last) expect(cache.get(last[0])).toBe(last[1]);
      }),
    );
  });
});
