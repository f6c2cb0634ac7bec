import { describe, expect, test } from 'vitest';
import type { StorageTimes } from '../../src/storage/contract.ts';
import { planPruning, prunePlan } from '../../src/storage/prune-plan.ts';
import { KEEP_ALL, type Retention, type StoredRetention } from '../../src/storage/retention.ts';
import { calendar } from '../../src/summaries/periods.ts';

const DAY = 24 * 3_600_000;
const NOW = Date.UTC(2026, 10, 24, 12);
const UTC = calendar('UTC');
const DEFAULT: Retention = { ...KEEP_ALL, records: '90d', hour: '90d' };
const LONG: Retention = { records: '30d', hour: '60d', day: '1y', month: '3y' };
const NOTHING: StorageTimes = { now: undefined, newest: undefined, retention: {} };

interface Given {
  /** Retention of the storage. Defaults to `DEFAULT`. */
  keep?: Retention;
  /** Retention of the last pruning. Defaults to the same. */
  before?: Retention;
  /** Number of days since the last pruning. Defaults to 0. */
  days?: number;
  clock?: number;
  times?: Partial<StorageTimes>;
}

/** Plans a pruning after another one. */
function planned({ keep = DEFAULT, before = keep, days = 0, clock = NOW, times }: Given) {
  const retention = prunePlan(before, UTC, NOW - days * DAY);
  return planPruning(keep, UTC, clock, { ...NOTHING, retention, ...times });
}

describe('a clock is far ahead', () => {
  test.each([
    ['DEFAULT', DEFAULT],
    ['LONG', LONG],
  ])('of the last pruning: %s', (_, keep) => {
    for (let days = 0; days <= 7; days++) expect(planned({ keep, days }).jump, `${days}`).toBeUndefined();
    for (const days of [9, 30, 365, 3_650]) {
      const { jump } = planned({ keep, days });
      expect(jump!.now).toBe(NOW);
      expect(Math.abs(jump!.last - (NOW - days * DAY))).toBeLessThan(32 * DAY);
    }
  });

  test('of the newest record, if nothing was pruned yet', () => {
    const newest = NOW - 20 * DAY;
    expect(planned({ times: { ...NOTHING, newest } }).jump).toEqual({
      now: NOW,
      last: newest,
      next: newest + DAY,
    });
    expect(planned({ times: { ...NOTHING, newest: NOW - 2 * DAY } }).jump).toBeUndefined();
    // A new storage has nothing to lose.
    expect(planned({ times: NOTHING }).jump).toBeUndefined();
    // Nobody has sent a request for long.
    expect(planned({ days: 1, times: { newest } }).jump).toBeUndefined();
    // Of a storage that was pruned, records may be from the wrong clock.
    expect(planned({ days: 365, times: { newest: NOW } }).jump).toBeDefined();
  });

  test.each([
    ['DEFAULT', DEFAULT, 1],
    ['LONG', LONG, 1],
    ['only months', { ...KEEP_ALL, day: '1y', month: '3y' } as Retention, 31],
  ])('and small steps reach it: %s', (_, keep, days) => {
    let retention = prunePlan(keep, UTC, NOW - 365 * DAY);
    let jump = planned({ keep, times: { retention } }).jump!;
    for (let steps = 0; steps < 400; steps++) {
      expect(jump.next - jump.last).toBeLessThanOrEqual(days * DAY);
      retention = prunePlan(keep, UTC, jump.next);
      const found = planned({ keep, times: { retention } });
      if (found.jump === undefined) return;
      expect(found.jump.last).toBeGreaterThan(jump.last);
      jump = found.jump;
    }
    expect.unreachable();
  });

  test('not because the retention was shortened, lengthened or begun', () => {
    for (const before of [
      { ...DEFAULT, records: '2y' },
      { ...DEFAULT, records: '1d' },
      LONG,
    ] as Retention[]) {
      expect(planned({ before, days: 1 }).jump).toBeUndefined();
    }
    const { plan, jump } = planned({ before: KEEP_ALL, keep: LONG, times: { newest: NOW } });
    expect(jump).toBeUndefined();
    expect(plan.day!.before).toBe(Date.UTC(2025, 10, 1));
    // Deleted by hand, to a later date than the retention.
    const manual: StoredRetention = { records: { keep: '90d', before: NOW - DAY } };
    expect(planned({ times: { retention: manual } }).jump).toBeUndefined();
  });
});

describe('two clocks', () => {
  test('data is deleted by the earlier one', () => {
    const right = prunePlan(DEFAULT, UTC, NOW);
    for (const [clock, now] of [
      [NOW + 3_650 * DAY, NOW],
      [NOW, NOW + 3_650 * DAY],
      [NOW, undefined],
    ] as const) {
      const { plan, jump, corrected } = planned({ clock, times: { now } });
      expect({ plan, jump, corrected }).toEqual({ plan: right, jump: undefined, corrected: {} });
    }
    // A clock that was never set deletes nothing.
    expect(planned({ clock: 0, times: { now: NOW } }).plan).toEqual(prunePlan(DEFAULT, UTC, 0));
  });

  test('a process is told by how much it is ahead', () => {
    expect(planned({ clock: NOW + 2 * DAY, times: { now: NOW } }).ahead).toBe(2 * DAY);
    expect(planned({ clock: NOW + 3_600_000, times: { now: NOW } }).ahead).toBeUndefined();
    expect(planned({ clock: NOW - 2 * DAY, times: { now: NOW } }).ahead).toBeUndefined();
  });
});

describe('a start of the kept data in the future', () => {
  const wrong = prunePlan(LONG, UTC, NOW + 3_650 * DAY);
  const corrected = {
    records: { keep: '30d', before: NOW },
    hour: { keep: '60d', before: Date.UTC(2026, 10, 25) },
    day: { keep: '1y', before: Date.UTC(2026, 11, 1) },
    month: { keep: '3y', before: Date.UTC(2026, 11, 1) },
  };

  test('is moved back to the first complete bucket', () => {
    expect(planned({ keep: LONG }).corrected).toEqual({});
    const times = { ...NOTHING, retention: wrong };
    expect(planPruning(LONG, UTC, NOW, times).corrected).toEqual(corrected);
    // Only once.
    const later = { ...NOTHING, retention: corrected as StoredRetention };
    for (const days of [0, 1, 20, 100]) {
      expect(planPruning(LONG, UTC, NOW + days * DAY, later).corrected).toEqual({});
    }
  });

  test('is not moved back if one of two clocks has reached it, or by a clock that was never set', () => {
    const times = { ...NOTHING, retention: wrong };
    expect(planPruning(LONG, UTC, NOW, { ...times, now: NOW + 3_650 * DAY }).corrected).toEqual({});
    expect(planPruning(LONG, UTC, 1_000, times).corrected).toEqual({});
    expect(planPruning(LONG, UTC, 1_000, { ...times, now: NOW }).corrected).toEqual(corrected);
  });
});
