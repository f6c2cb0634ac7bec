import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SeriesResult } from '../../dashboard/src/api/types.ts';
import { pointsOf, ticksOf } from '../../dashboard/src/charts/data.ts';
import { axisOf, barsPath, splitAtNow, stepsPath } from '../../dashboard/src/charts/scale.ts';
import { upcomingOf } from '../../dashboard/src/charts/upcoming.ts';
import { measureOf } from '../../dashboard/src/format/measures.ts';
import { bucketsOf } from '../../src/query/range.ts';
import { calendar, type Period } from '../../src/summaries/periods.ts';

const HITS = measureOf('hits');
const none = { transfer: 0, errors: 0, duration: 0, visitors: null, bots: null };

/** Versions of ICU differ in the comma after the day of the week. */
const plain = (date: string | undefined) => date?.replace(/^(\w{3}),/, '$1');

/** Returns a series whose buckets have 1, 2, … hits. */
function seriesOf(
  timeZone: string,
  period: Period,
  [from, end]: [string, string],
  before?: [string, string],
): SeriesResult {
  const zone = calendar(timeZone);
  const bucketsIn = ([first, last]: [string, string]) => {
    const range = { start: Date.parse(first), end: Date.parse(last), open: false, unit: 'day' } as const;
    return bucketsOf(range, period, zone).map((start, n) => ({
      ...none,
      hits: n + 1,
      date: zone.format(start),
    }));
  };
  const buckets = bucketsIn([from, end]);
  const range = { from: buckets[0]!.date, to: zone.format(Date.parse(end) - 3_600_000) };
  return {
    site: 'shop',
    timeZone,
    range,
    expired: [],
    period,
    buckets,
    coverage: { complete: true, gaps: [] },
    budget: { reached: false },
    previous: before ? { range, buckets: bucketsIn(before) } : null,
  };
}

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-10-26T09:30:00Z') }));
afterEach(() => void vi.useRealTimers());

describe('points', () => {
  const AUTUMN: [string, string] = ['2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00'];
  const DAY_BEFORE: [string, string] = ['2026-10-24T00:00:00+02:00', '2026-10-25T00:00:00+02:00'];

  test('hours correspond by the time of day, and a repeated hour has its offset', () => {
    const points = pointsOf(seriesOf('Europe/Berlin', 'hour', AUTUMN, DAY_BEFORE), HITS);
    expect(points.length).toBe(25);
    expect(
      points.slice(1, 5).map(({ date, before }) => [plain(date), plain(before?.date), before?.value]),
    ).toEqual([
      ['Sun 25 Oct, 01:00', 'Sat 24 Oct, 01:00', 2],
      ['Sun 25 Oct, 02:00 UTC+2', 'Sat 24 Oct, 02:00', 3],
      ['Sun 25 Oct, 02:00 UTC+1', undefined, undefined],
      ['Sun 25 Oct, 03:00', 'Sat 24 Oct, 03:00', 4],
    ]);
    expect(plain(points.at(-1)!.before?.date)).toBe('Sat 24 Oct, 23:00');
    expect(new Set(points.map(({ date }) => date)).size).toBe(25);
  });

  test('a day after one of 25 hours, and a day of 23 hours', () => {
    const after = pointsOf(
      seriesOf('Europe/Berlin', 'hour', ['2026-10-26T00:00:00+01:00', '2026-10-26T09:00:00+01:00'], AUTUMN),
      HITS,
    );
    expect(after.slice(1, 4).map(({ before }) => plain(before?.date))).toEqual([
      'Sun 25 Oct, 01:00',
      'Sun 25 Oct, 02:00 UTC+2',
      'Sun 25 Oct, 03:00',
    ]);
    const spring = seriesOf(
      'Europe/Berlin',
      'hour',
      ['2026-03-29T00:00:00+01:00', '2026-03-30T00:00:00+02:00'],
      ['2026-03-28T00:00:00+01:00', '2026-03-29T00:00:00+01:00'],
    );
    expect(
      pointsOf(spring, HITS).map(({ date, before }) => [date.slice(-5), before?.date.slice(-5)]),
    ).toEqual(
      [0, 1, ...Array.from({ length: 21 }, (_, n) => n + 3)].map((hour) => {
        const text = `${String(hour).padStart(2, '0')}:00`;
        return [text, text];
      }),
    );
  });

  test('a previous period without hits is no comparison', () => {
    const result = seriesOf('UTC', 'day', ['2026-10-01T00:00:00Z', '2026-10-03T00:00:00Z']);
    const zeros = result.buckets.map((bucket) => ({ ...bucket, hits: 0 }));
    const points = pointsOf({ ...result, previous: { range: result.range, buckets: zeros } }, HITS);
    expect(points.map(({ before }) => before)).toEqual([null, null]);
  });

  test('today has all hours of the day, the current one under way from the first on', () => {
    const today = seriesOf('Europe/Berlin', 'hour', [
      '2026-10-26T00:00:00+01:00',
      '2026-10-26T11:00:00+01:00',
    ]);
    const points = pointsOf(today, HITS, 'today');
    expect(points.map(({ start }) => Number(start.slice(11, 13)))).toEqual(
      Array.from({ length: 24 }, (_, hour) => hour),
    );
    expect(points.map(({ isUpcoming }) => isUpcoming).lastIndexOf(false)).toBe(10);
    const { over, underWay } = splitAtNow(points);
    expect([over[10], underWay[10], over[11], underWay[11]]).toEqual([null, 11, null, null]);
    expect(plain(points[10]!.date)).toBe('Mon 26 Oct, 10:00, so far');
    const first = seriesOf('Europe/Berlin', 'hour', [
      '2026-10-26T10:00:00+01:00',
      '2026-10-26T11:00:00+01:00',
    ]);
    expect(splitAtNow(pointsOf(first, HITS, 'today')).underWay[0]).toBe(1);
  });
});

describe('upcoming buckets', () => {
  const at = (date: string, period: Period, timeZone = 'UTC') => ({ buckets: [{ date }], period, timeZone });
  test.each([
    ['today', at('2026-10-25T01:00:00+02:00', 'hour', 'Europe/Berlin'), 23, '2026-10-25T23:00:00+01:00'],
    ['24h', at('2026-10-25T01:00:00+02:00', 'hour', 'Europe/Berlin'), 0, undefined],
    ['7d', at('2026-10-25T00:00:00+00:00', 'day'), 0, undefined],
    ['month', at('2026-02-25T00:00:00+00:00', 'day'), 3, '2026-02-28T00:00:00'],
    ['12mo', at('2026-02-01T00:00:00+00:00', 'month'), 0, undefined],
    ['year', at('2026-10-01T00:00:00+00:00', 'month'), 2, '2026-12-01T00:00:00'],
    ['all', at('2026-10-01T00:00:00+00:00', 'day'), 0, undefined],
    [
      { from: '2026-10-01', to: '2026-11-02' },
      at('2026-10-26T00:00:00+00:00', 'day'),
      7,
      '2026-11-02T00:00:00',
    ],
  ] as const)('%o', (range, result, count, last) => {
    const starts = upcomingOf({ ...result, buckets: [...result.buckets] }, range);
    expect([starts.length, starts.at(-1)]).toEqual([count, last]);
  });
});

describe('labels', () => {
  test('are at most twelve, at round hours or including the last bucket', () => {
    const hours = pointsOf(seriesOf('UTC', 'hour', ['2026-10-25T00:00:00Z', '2026-10-26T00:00:00Z']), HITS);
    expect(ticksOf(hours, 'hour')).toEqual(Array.from({ length: 12 }, (_, n) => 2 * n));
    const week = pointsOf(seriesOf('UTC', 'hour', ['2026-09-01T00:00:00Z', '2026-09-21T00:00:00Z']), HITS);
    expect(ticksOf(week, 'hour')).toEqual(Array.from({ length: 10 }, (_, n) => 48 * n));
    const days = pointsOf(seriesOf('UTC', 'day', ['2026-09-01T00:00:00Z', '2026-10-01T00:00:00Z']), HITS);
    expect(ticksOf(days, 'day')).toEqual([2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
    expect(ticksOf([], 'day')).toEqual([]);
  });
});

describe('the axis', () => {
  test.each([
    [0, 'count', [0, 1, 2, 3, 4]],
    [3, 'count', [0, 1, 2, 3]],
    [11, 'count', [0, 5, 10, 15]],
    [4_000, 'bytes', [0, 1_000, 2_000, 3_000, 4_000]],
    [0.001_3, 'share', [0, 0.000_5, 0.001, 0.001_5]],
    [100_000_000, 'time', [0, 30_000_000, 60_000_000, 90_000_000, 120_000_000]],
  ] as const)('up to %d %s', (most, unit, expected) => {
    const axis = axisOf(most, unit);
    expect(axis.length).toBe(expected.length);
    for (const [index, value] of axis.entries()) expect(value).toBeCloseTo(expected[index]!, 9);
  });
});

describe('shapes', () => {
  test('never exceed the values, and have gaps where there are none', () => {
    expect(stepsPath([1, null, 2, 4], 4)).toBe('M0 0.75H1M2 0.5H3V0H4');
    expect(barsPath([0, null, 4], 4)).toBe('M2.425 1V0h0.15V1z');
  });
});
