import { beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../../src/journal/pace.ts';
import { monotonicClock } from '../../src/platform/clock.ts';

/** Time that passes, and how much of it the thread was busy or waited for a processor. In ms. */
const time = vi.hoisted(() => ({ now: 0, busy: 0 }));

vi.mock('../../src/platform/thread-time.ts', () => ({
  sampleThreadTime: () => {},
  blockedDuring: (took: number) => Math.max(0, took - time.busy),
}));

beforeEach(() => {
  Object.assign(time, { now: 1_000_000, busy: 0 });
  vi.spyOn(monotonicClock, 'now').mockImplementation(() => time.now);
  return () => vi.restoreAllMocks();
});

/** Uses the disk for `ms`. Returns the time that the thread was blocked if the disk is to be avoided. */
function use(pace: Pace, ms: number): number | undefined {
  const { started } = pace.begin();
  time.now += ms;
  return pace.end(started);
}

test('a caller is late when the disk has blocked it for longer than permitted', () => {
  const { isLate } = new Pace(100).begin();
  time.now += 100;
  expect(isLate()).toBe(false);
  time.now += 1;
  expect(isLate()).toBe(true);
  // Time that the thread computed, or waited for a processor, does not count.
  time.busy = 1;
  expect(isLate()).toBe(false);
});

test('up to 50 ms are not slow, whatever the maximum', () => {
  const pace = new Pace(10);
  expect(use(pace, 50)).toBe(undefined);
  expect(pace.slow).toBe(0);
  const { isLate } = pace.begin();
  time.now += 50;
  expect(isLate()).toBe(false);
  time.now += 1;
  expect(isLate()).toBe(true);
  expect(use(pace, 51)).toBe(51);
  expect(pace.slow).toBe(1);
});

test('a wait of half the maximum is tolerated once per second', () => {
  const pace = new Pace(200);
  expect(use(pace, 101)).toBe(undefined);
  time.now += 1_000;
  expect(use(pace, 101)).toBe(undefined);
  time.now += 800;
  expect(use(pace, 100)).toBe(undefined);
  expect(use(pace, 101)).toBe(101);
  expect(pace.slow).toBe(4);
  time.now += 1_000;
  expect(use(pace, 200)).toBe(undefined);
  time.now += 1_000;
  expect(use(pace, 201)).toBe(201);
});

test('a disk that stalls again soon is avoided for longer each time, up to 30 s', () => {
  const pace = new Pace(100);
  /** Returns the backoff after another stall. */
  const stall = () => {
    time.now += 2_000;
    expect(use(pace, 101)).toBe(101);
    const from = time.now;
    while (!pace.mayReturn) time.now += 50;
    pace.returned();
    return time.now - from;
  };
  expect(stall()).toBe(0);
  expect(Array.from({ length: 9 }, stall)).toEqual([
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  time.now += 7_898;
  expect(stall()).toBe(30_000);
  time.now += 7_899;
  expect(stall()).toBe(0);
});
