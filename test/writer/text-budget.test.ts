import { expect, test } from 'vitest';
import { wallClock } from '../../src/platform/clock.ts';
import { TextBudget } from '../../src/writer/thread/text-budget.ts';

const texts = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `/${from + i}`);

test('new texts are admitted until the budget is reached, and known ones always', () => {
  const budget = new TextBudget(1_000);
  budget.begin();
  expect(texts(0, 1_000).every((text) => budget.admits(text))).toBe(true);
  expect(budget.rejected).toBe(0);
  expect(texts(1_000, 2_000).some((text) => budget.admits(text))).toBe(false);
  expect(texts(0, 1_000).every((text) => budget.admits(text))).toBe(true);
  expect(budget.rejected).toBe(1_000);
});

test('each hour has a budget of its own', ({ onTestFinished }) => {
  const { now } = wallClock;
  onTestFinished(() => {
    wallClock.now = now;
  });
  wallClock.now = () => 10 * 3_600_000 - 1;
  const budget = new TextBudget(1);
  budget.begin();
  expect([budget.admits('/a'), budget.admits('/b')]).toEqual([true, false]);
  budget.begin();
  expect(budget.admits('/b')).toBe(false);
  wallClock.now = () => 10 * 3_600_000;
  budget.begin();
  expect([budget.admits('/b'), budget.admits('/a')]).toEqual([true, false]);
});

test('different texts are counted as different', () => {
  // Texts that differ in one character at any place, and permutations.
  const near = [...texts(0, 100_000), ...texts(0, 100_000).map((text) => `${text}${text}`)];
  const budget = new TextBudget(Number.POSITIVE_INFINITY);
  budget.begin();
  for (const text of near) budget.admits(text);
  const limited = new TextBudget(near.length - 1);
  limited.begin();
  for (const text of near) limited.admits(text);
  // The last one is beyond the budget only if no two texts had the same hash.
  expect(limited.rejected).toBe(1);
});
