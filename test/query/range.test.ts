import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Comparison, comparedRange, previousOf } from '../../src/query/comparison.ts';
import {
  bucketsOf,
  type HourRange,
  periodOf,
  RANGES,
  type RangeOptions,
  rangeOf,
  spansOf,
} from '../../src/query/range.ts';
import type { Span } from '../../src/storage/contract.ts';
import { calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Apia',
  'America/Havana',
  'America/Sao_Paulo',
  'Australia/Lord_Howe',
];

/** Returns the formatted start and exclusive end of a range. */
async function range(zone: string, now: string, options: RangeOptions, first?: string) {
  const here = calendar(zone);
  const stored = first === undefined ? undefined : Date.parse(first);
  return show(zone, await rangeOf(options, here, Date.parse(now), async () => stored));
}

function show(zone: string, { start, end }: HourRange): [from: string, until: string] {
  const here = calendar(zone);
  return [here.format(start), here.format(end)];
}

describe('named ranges end with the current hour', () => {
  const rows: [zone: string, now: string, range: RangeOptions['range'], from: string, until: string][] = [
    ['UTC', '2026-11-25T20:36:00Z', 'today', '2026-11-25T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '7d', '2026-11-19T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '30d', '2026-10-27T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '90d', '2026-08-28T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', 'month', '2026-11-01T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '12mo', '2025-12-01T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '1h', '2026-11-25T19:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', '24h', '2026-11-24T21:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    ['UTC', '2026-11-25T20:36:00Z', 'year', '2026-01-01T00:00:00+00:00', '2026-11-25T21:00:00+00:00'],
    // The first instant of an hour.
    ['UTC', '2026-11-25T21:00:00Z', 'today', '2026-11-25T00:00:00+00:00', '2026-11-25T22:00:00+00:00'],
    ['UTC', '2026-12-31T23:59:59.999Z', 'month', '2026-12-01T00:00:00+00:00', '2027-01-01T00:00:00+00:00'],
    // Days with a clock change.
    [
      'Europe/Berlin',
      '2026-03-29T20:00:00Z',
      'today',
      '2026-03-29T00:00:00+01:00',
      '2026-03-29T23:00:00+02:00',
    ],
    ['Europe/Berlin', '2026-03-31T20:00:00Z', '7d', '2026-03-25T00:00:00+01:00', '2026-03-31T23:00:00+02:00'],
    // In the repeated hour.
    [
      'Europe/Berlin',
      '2026-10-25T00:30:00Z',
      'today',
      '2026-10-25T00:00:00+02:00',
      '2026-10-25T02:00:00+01:00',
    ],
    [
      'Europe/Berlin',
      '2026-10-25T01:30:00Z',
      'today',
      '2026-10-25T00:00:00+02:00',
      '2026-10-25T03:00:00+01:00',
    ],
    [
      'Europe/Berlin',
      '2026-10-31T23:30:00Z',
      'month',
      '2026-11-01T00:00:00+01:00',
      '2026-11-01T01:00:00+01:00',
    ],
    [
      'Europe/Berlin',
      '2026-11-25T20:00:00Z',
      '12mo',
      '2025-12-01T00:00:00+01:00',
      '2026-11-25T22:00:00+01:00',
    ],
    [
      'Asia/Kathmandu',
      '2026-11-25T18:20:00Z',
      'today',
      '2026-11-26T00:00:00+05:45',
      '2026-11-26T01:00:00+05:45',
    ],
    [
      'America/St_Johns',
      '2026-03-08T12:10:00Z',
      '7d',
      '2026-03-02T00:00:00-03:30',
      '2026-03-08T10:00:00-02:30',
    ],
    // Friday, December 30, 2011 was skipped, so the range starts on the 24th.
    ['Pacific/Apia', '2011-12-31T05:00:00Z', '7d', '2011-12-24T00:00:00-10:00', '2011-12-31T20:00:00+14:00'],
  ];
  test.each(rows)('%s at %s: %s', async (zone, now, name, from, until) => {
    expect(await range(zone, now, { range: name! })).toEqual([from, until]);
  });

  test.each([
    ['yesterday', '2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00'],
    ['last-month', '2026-09-01T00:00:00+02:00', '2026-10-01T00:00:00+02:00'],
    // Hours are elapsed hours: the night had 25 of them.
    ['24h', '2026-10-25T11:00:00+01:00', '2026-10-26T11:00:00+01:00'],
  ] as const)('%s is over, or has 24 hours', async (name, from, until) => {
    expect(await range('Europe/Berlin', '2026-10-26T09:30:00Z', { range: name })).toEqual([from, until]);
  });

  test('all: starts with the month of the first record, or the current month', async () => {
    const now = '2026-11-25T20:36:00Z';
    expect(await range('UTC', now, { range: 'all' }, '2024-02-29T12:00:00Z')).toEqual([
      '2024-02-01T00:00:00+00:00',
      '2026-11-25T21:00:00+00:00',
    ]);
    expect(await range('UTC', now, { range: 'all' })).toEqual([
      '2026-11-01T00:00:00+00:00',
      '2026-11-25T21:00:00+00:00',
    ]);
  });

  test('defaults to 30d, without reading the first record', async () => {
    const here = calendar('UTC');
    const now = Date.parse('2026-11-25T20:36:00Z');
    const never = async () => {
      throw new Error('the first record was read');
    };
    expect(await rangeOf({}, here, now, never)).toEqual(await rangeOf({ range: '30d' }, here, now, never));
  });
});

describe('from and to, both inclusive', () => {
  const rows: [what: string, zone: string, options: RangeOptions, from: string, until: string][] = [
    [
      'a day',
      'Europe/Berlin',
      { from: '2026-10-25', to: '2026-10-25' },
      '2026-10-25T00:00:00+02:00',
      '2026-10-26T00:00:00+01:00',
    ],
    [
      'a month',
      'Europe/Berlin',
      { from: '2026-10', to: '2026-10' },
      '2026-10-01T00:00:00+02:00',
      '2026-11-01T00:00:00+01:00',
    ],
    [
      'an hour',
      'UTC',
      { from: '2026-10-25T10:59', to: '2026-10-25T10:00' },
      '2026-10-25T10:00:00+00:00',
      '2026-10-25T11:00:00+00:00',
    ],
    [
      'a repeated hour: the first one, unless an offset is given',
      'Europe/Berlin',
      { from: '2026-10-25T02:30', to: '2026-10-25T02:30:00+01:00' },
      '2026-10-25T02:00:00+02:00',
      '2026-10-25T03:00:00+01:00',
    ],
    [
      'a skipped hour: the next one',
      'Europe/Berlin',
      { from: '2026-03-29T02:30', to: '2026-03-29T02:30' },
      '2026-03-29T03:00:00+02:00',
      '2026-03-29T04:00:00+02:00',
    ],
    [
      'dates and numbers',
      'Asia/Kathmandu',
      { from: new Date('2026-11-01T00:00:00Z'), to: Date.parse('2026-11-01T00:20:00Z') },
      '2026-11-01T05:00:00+05:45',
      '2026-11-01T07:00:00+05:45',
    ],
    [
      'without an end: up to now',
      'UTC',
      { from: '2026-11-20' },
      '2026-11-20T00:00:00+00:00',
      '2026-11-25T21:00:00+00:00',
    ],
    [
      'not beyond now',
      'UTC',
      { from: '2026-11', to: '2026-12' },
      '2026-11-01T00:00:00+00:00',
      '2026-11-25T21:00:00+00:00',
    ],
    [
      'without a start: from the first record',
      'UTC',
      { to: '2026-03-10' },
      '2026-02-01T00:00:00+00:00',
      '2026-03-11T00:00:00+00:00',
    ],
    [
      'an end before the first record: nothing',
      'UTC',
      { to: '2026-01-10' },
      '2026-02-01T00:00:00+00:00',
      '2026-02-01T00:00:00+00:00',
    ],
    [
      'in the future: nothing',
      'UTC',
      { from: '2027-01-15', to: '2027-02-01' },
      '2027-01-15T00:00:00+00:00',
      '2027-01-15T00:00:00+00:00',
    ],
    [
      'until a skipped day: without the next one',
      'Pacific/Apia',
      { from: '2011-12-29', to: '2011-12-30' },
      '2011-12-29T00:00:00-10:00',
      '2011-12-31T00:00:00+14:00',
    ],
    [
      'a day without midnight',
      'America/Sao_Paulo',
      { from: '2018-11-04', to: '2018-11-04' },
      '2018-11-04T01:00:00-02:00',
      '2018-11-05T00:00:00-02:00',
    ],
  ];
  test.each(rows)('%s', async (_, zone, options, from, until) => {
    expect(await range(zone, '2026-11-25T20:36:00Z', options, '2026-02-03T00:00:00Z')).toEqual([from, until]);
  });

  test.each<[now: string, options: RangeOptions, open: boolean, unit: HourRange['unit']]>([
    ['2026-11-25T20:36:00Z', { from: '2026-10', to: '2026-10' }, false, 'month'],
    ['2026-11-25T20:36:00Z', { from: '2026-10-02', to: '2026-10' }, false, 'day'],
    ['2026-11-25T20:36:00Z', { from: '2026-10', to: '2026-10-30' }, false, 'day'],
    // A range that ends now is shifted by months if it is longer than 27 days.
    ['2026-11-27T23:59:00Z', { from: '2026-11' }, true, 'day'],
    ['2026-11-28T00:00:00Z', { from: '2026-11' }, true, 'month'],
    ['2026-11-28T00:00:00Z', { from: '2026-11-01', to: '2026-11-28' }, true, 'month'],
    ['2026-11-28T00:00:00Z', { from: '2026-10-30' }, true, 'day'],
    ['2026-11-28T20:36:00Z', { from: '2026-11-20', to: '2026-11-28T19:00' }, false, 'day'],
    ['2026-11-28T20:36:00Z', { from: '2026-11-20', to: '2026-11-28T20:00' }, true, 'day'],
    ['2026-11-28T20:36:00Z', { from: '2026-11-20', to: '2026-11-28T21:00' }, true, 'day'],
  ])('at %s, %o: open is %s, unit is %s', async (now, options, open, unit) => {
    const found = await rangeOf(options, calendar('UTC'), Date.parse(now), async () => undefined);
    expect({ open: found.open, unit: found.unit }).toEqual({ open, unit });
  });

  test('refuses invalid ranges', async () => {
    const refused = async (options: object) => {
      const result = rangeOf(options, calendar('UTC'), Date.UTC(2026, 10, 25), async () => undefined);
      await expect(result).rejects.toMatchObject({ code: 'QUERY_INVALID' });
      return result.catch(({ message }) => message as string);
    };
    expect(await refused({ range: '8d' })).toBe(
      `range is "8d"; expected ${RANGES.map((name) => `"${name}"`).join(', ')}.`,
    );
    expect(await refused({ range: null })).toMatch(/^range is null/);
    expect(await refused({ range: '7d', from: '2026-11-01' })).toMatch(
      /^range is "7d"; expected either range or from and to/,
    );
    expect(await refused({ range: '7d', to: 5 })).toMatch(/either range or from and to/);
    expect(await refused({ from: '2026-02-30' })).toMatch(/^from is "2026-02-30"/);
    expect(await refused({ from: null })).toMatch(/^from is null/);
    expect(await refused({ to: 'tomorrow' })).toMatch(/^to is "tomorrow"/);
    expect(await refused({ to: Number.NaN })).toMatch(/^to is NaN/);
    expect(await refused({ from: '2026-11-02', to: '2026-11-01' })).toMatch(
      /^from is "2026-11-02"; expected a time that is not after "to"/,
    );
    expect(await refused({ from: '2026-12-01' })).toMatch(
      /^from is "2026-12-01"; expected a time in the past/,
    );
  });
});

/** Generates full hours of a year in which each zone changes its clock. */
const ranges = fc
  .record({
    zone: fc.constantFrom(...ZONES),
    start: fc.integer({ min: Date.UTC(2011, 9, 1), max: Date.UTC(2012, 10, 30) }),
    length: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 * DAY }) },
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 * DAY }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 100 * DAY }) },
    ),
    alignStart: fc.constantFrom<Period>(...PERIODS),
    alignEnd: fc.constantFrom<Period>(...PERIODS),
  })
  .map(({ zone, start, length, alignStart, alignEnd }) => {
    const here = calendar(zone);
    const begin = here.bucketOf(alignStart, start);
    const end = Math.max(begin, here.bucketOf(alignEnd, begin + length));
    return { zone, range: { start: begin, end, open: false, unit: 'day' } satisfies HourRange };
  });

describe('spans', () => {
  /** The hours of the buckets that a span names. */
  function hoursOf({ period, from, to }: Span, zone: string): number[] {
    const here = calendar(zone);
    const hours: number[] = [];
    // Like a storage, takes the buckets that start in the span.
    let bucket = here.bucketOf(period, from);
    if (bucket < from) bucket = here.next(period, bucket);
    for (; bucket <= to; bucket = here.next(period, bucket)) {
      const end = here.next(period, bucket);
      for (let hour = bucket; hour < end; hour = here.next('hour', hour)) hours.push(hour);
    }
    return hours;
  }

  test('cover exactly the hours of the range, each once', () => {
    fc.assert(
      fc.property(ranges, ({ zone, range }) => {
        const hours = spansOf(range, calendar(zone)).flatMap((span) => hoursOf(span, zone));
        expect(hours.sort((a, b) => a - b)).toEqual(bucketsOf(range, 'hour', calendar(zone)));
      }),
      { numRuns: 100 },
    );
  });

  test('use the fewest buckets: each month and day in the range is one', () => {
    fc.assert(
      fc.property(ranges, ({ zone, range }) => {
        const here = calendar(zone);
        const lies = (period: Period) => (bucket: number) =>
          bucket >= range.start && here.next(period, bucket) <= range.end;
        const buckets = (period: Period) => bucketsOf(range, period, here);
        const months = buckets('month').filter(lies('month'));
        const days = buckets('day').filter((day) => lies('day')(day) && !months.includes(here.monthOf(day)));
        const hours = buckets('hour').filter(
          (hour) => !months.includes(here.monthOf(hour)) && !days.includes(here.dayOf(hour)),
        );
        const spans = spansOf(range, here);
        const named = (period: Period) =>
          spans
            .filter((span) => span.period === period)
            .flatMap(({ from, to }) =>
              bucketsOf({ start: from, end: to + 1, open: false, unit: 'day' }, period, here),
            );
        expect({ month: named('month'), day: named('day'), hour: named('hour') }).toEqual({
          month: months,
          day: days,
          hour: hours,
        });
        // Consecutive buckets are one query.
        expect(spans.length).toBeLessThanOrEqual(5);
      }),
      { numRuns: 100 },
    );
  });

  test('the current month is one bucket', async () => {
    const here = calendar('Europe/Berlin');
    const now = Date.parse('2026-11-25T20:36:00Z');
    const spans = async (options: RangeOptions) =>
      spansOf(await rangeOf(options, here, now, async () => undefined), here).map(({ period, from, to }) => [
        period,
        here.format(from),
        here.format(to + 1),
      ]);
    expect(await spans({ range: '12mo' })).toEqual([
      ['month', '2025-12-01T00:00:00+01:00', '2026-12-01T00:00:00+01:00'],
    ]);
    expect(await spans({ range: 'today' })).toEqual([
      ['day', '2026-11-25T00:00:00+01:00', '2026-12-01T00:00:00+01:00'],
    ]);
    expect(await spans({ range: '30d' })).toEqual([
      ['day', '2026-10-27T00:00:00+01:00', '2026-11-01T00:00:00+01:00'],
      ['month', '2026-11-01T00:00:00+01:00', '2026-12-01T00:00:00+01:00'],
    ]);
    expect(await spans({ from: '2027-01-15', to: '2027-02-01' })).toEqual([]);
  });

  test('a month in its last hour is one bucket, and the next month is not read', async () => {
    const here = calendar('UTC');
    const now = Date.parse('2026-11-30T23:59:00Z');
    const range = await rangeOf({ range: 'month' }, here, now, async () => undefined);
    expect(spansOf(range, here)).toEqual([
      { period: 'month', from: Date.UTC(2026, 10), to: Date.UTC(2026, 11) - 1 },
    ]);
  });
});

describe('the previous period', () => {
  async function previous(zone: string, now: string, options: RangeOptions) {
    const here = calendar(zone);
    const parsed = await rangeOf(options, here, Date.parse(now), async () => undefined);
    return show(zone, previousOf(parsed, here));
  }
  const NOW = '2026-11-25T20:36:00Z';
  const rows: [
    what: string,
    zone: string,
    now: string,
    options: RangeOptions,
    from: string,
    until: string,
  ][] = [
    [
      'of today: yesterday, until the same hour',
      'UTC',
      NOW,
      { range: 'today' },
      '2026-11-24T00:00:00+00:00',
      '2026-11-24T21:00:00+00:00',
    ],
    [
      'of seven days: the seven before, until the same hour of the last',
      'UTC',
      NOW,
      { range: '7d' },
      '2026-11-12T00:00:00+00:00',
      '2026-11-18T21:00:00+00:00',
    ],
    [
      'of this month: the one before, until the same hour of the same day',
      'UTC',
      NOW,
      { range: 'month' },
      '2026-10-01T00:00:00+00:00',
      '2026-10-25T21:00:00+00:00',
    ],
    [
      'of this month by its name: the same',
      'UTC',
      NOW,
      { from: '2026-11', to: '2026-11' },
      '2026-10-01T00:00:00+00:00',
      '2026-10-25T21:00:00+00:00',
    ],
    [
      'of the 30th of March: a February that is over',
      'UTC',
      '2026-03-30T12:00:00Z',
      { range: 'month' },
      '2026-02-01T00:00:00+00:00',
      '2026-03-01T00:00:00+00:00',
    ],
    [
      'of twelve months: the twelve before',
      'UTC',
      NOW,
      { range: '12mo' },
      '2024-12-01T00:00:00+00:00',
      '2025-11-25T21:00:00+00:00',
    ],
    [
      'of a month: the one before, however long',
      'Europe/Berlin',
      NOW,
      { from: '2026-03', to: '2026-03' },
      '2026-02-01T00:00:00+01:00',
      '2026-03-01T00:00:00+01:00',
    ],
    [
      'of a February in days: still January',
      'Europe/Berlin',
      NOW,
      { from: '2026-02-01', to: '2026-02-28' },
      '2026-01-01T00:00:00+01:00',
      '2026-02-01T00:00:00+01:00',
    ],
    [
      'of two months: the two before',
      'UTC',
      NOW,
      { from: '2026-07', to: '2026-08' },
      '2026-05-01T00:00:00+00:00',
      '2026-07-01T00:00:00+00:00',
    ],
    [
      'of days across a clock put forward: as many days',
      'Europe/Berlin',
      NOW,
      { from: '2026-03-27', to: '2026-03-30' },
      '2026-03-23T00:00:00+01:00',
      '2026-03-27T00:00:00+01:00',
    ],
    [
      'of a day that is 25 hours long',
      'Europe/Berlin',
      NOW,
      { from: '2026-10-25', to: '2026-10-25' },
      '2026-10-24T00:00:00+02:00',
      '2026-10-25T00:00:00+02:00',
    ],
    [
      'of a day after one of 25 hours',
      'Europe/Berlin',
      NOW,
      { from: '2026-10-26', to: '2026-10-26' },
      '2026-10-25T00:00:00+02:00',
      '2026-10-26T00:00:00+01:00',
    ],
    [
      'of a day after one that was skipped',
      'Pacific/Apia',
      NOW,
      { from: '2011-12-31', to: '2012-01-01' },
      '2011-12-28T00:00:00-10:00',
      '2011-12-31T00:00:00+14:00',
    ],
    [
      'of today after a day of 25 hours: until the same time of day',
      'Europe/Berlin',
      '2026-10-26T09:30:00Z',
      { range: 'today' },
      '2026-10-25T00:00:00+02:00',
      '2026-10-25T11:00:00+01:00',
    ],
    [
      'of a month after one with a clock change: until the same time of day',
      'Europe/Berlin',
      '2026-11-25T19:36:00Z',
      { range: 'month' },
      '2026-10-01T00:00:00+02:00',
      '2026-10-25T21:00:00+01:00',
    ],
    [
      'of this year: the same dates of the last one',
      'Europe/Berlin',
      '2026-03-30T09:30:00Z',
      { range: 'year' },
      '2025-01-01T00:00:00+01:00',
      '2025-03-30T12:00:00+02:00',
    ],
    [
      'of 24 hours: the 24 before',
      'UTC',
      NOW,
      { range: '24h' },
      '2026-11-23T21:00:00+00:00',
      '2026-11-24T21:00:00+00:00',
    ],
    [
      'of hours: the same hours the day before',
      'America/St_Johns',
      NOW,
      { from: '2026-11-10T08:00', to: '2026-11-10T11:00' },
      '2026-11-09T08:00:00-03:30',
      '2026-11-09T12:00:00-03:30',
    ],
    [
      'of a night: the one before',
      'Europe/Berlin',
      NOW,
      { from: '2026-11-10T22:00', to: '2026-11-11T03:00' },
      '2026-11-09T22:00:00+01:00',
      '2026-11-10T04:00:00+01:00',
    ],
  ];
  test.each(rows)('%s', async (_, zone, now, options, from, until) => {
    expect(await previous(zone, now, options)).toEqual([from, until]);
  });

  test('does not overlap a range that starts in the 25th hour of a day of 26 hours', () => {
    const here = calendar('Antarctica/Troll');
    const start = Date.parse('2008-10-26T22:00:00Z');
    const end = Date.parse('2008-11-08T00:00:00Z');
    expect(previousOf({ start, end, open: false, unit: 'day' }, here).end).toBe(start);
  });

  test('has the same number of days, ends where the range starts, and never overlaps it', () => {
    fc.assert(
      fc.property(ranges, ({ zone, range }) => {
        const here = calendar(zone);
        const before = previousOf(range, here);
        expect(before.open).toBe(false);
        expect(before.end).toBeLessThanOrEqual(range.start);
        expect(before.start).toBeLessThanOrEqual(before.end);
        expect([here.hourOf(before.start), here.hourOf(before.end)]).toEqual([before.start, before.end]);
        if (here.dayOf(range.start) !== range.start || here.dayOf(range.end) !== range.end) return;
        expect(before.end).toBe(range.start);
        expect(bucketsOf(before, 'day', here).length).toBe(bucketsOf(range, 'day', here).length);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a comparison', () => {
  const NOW = Date.parse('2026-11-25T20:36:00Z');
  test.each<[options: RangeOptions, compare: Comparison, from: string, until: string]>([
    [{ range: 'today' }, 'weekdays', '2026-11-18T00:00:00+01:00', '2026-11-18T22:00:00+01:00'],
    [{ range: '30d' }, 'weekdays', '2026-09-22T00:00:00+02:00', '2026-10-21T22:00:00+02:00'],
    [
      { from: '2026-11-02', to: '2026-11-08' },
      'weekdays',
      '2026-10-26T00:00:00+01:00',
      '2026-11-02T00:00:00+01:00',
    ],
    [{ range: '7d' }, 'year', '2025-11-19T00:00:00+01:00', '2025-11-25T22:00:00+01:00'],
    [
      { from: '2024-02-29', to: '2024-02-29' },
      'year',
      '2023-03-01T00:00:00+01:00',
      '2023-03-01T00:00:00+01:00',
    ],
    [{ from: '2026-03', to: '2026-03' }, 'year', '2025-03-01T00:00:00+01:00', '2025-04-01T00:00:00+02:00'],
    [
      { range: '7d' },
      { from: '2026-01', to: '2026-01' },
      '2026-01-01T00:00:00+01:00',
      '2026-02-01T00:00:00+01:00',
    ],
    [{ range: '7d' }, { from: '2026-11-24' }, '2026-11-24T00:00:00+01:00', '2026-11-25T22:00:00+01:00'],
  ])('of %o with %o', async (options, compare, from, until) => {
    const here = calendar('Europe/Berlin');
    const given = await rangeOf(options, here, NOW, async () => undefined);
    const compared = await comparedRange(given, compare, here, NOW);
    expect(show('Europe/Berlin', compared!)).toEqual([from, until]);
  });

  test('of everything has nothing to compare with, except given dates', async () => {
    const here = calendar('UTC');
    const first = async () => Date.parse('2025-02-01T00:00:00Z');
    for (const options of [{ range: 'all' }, { to: '2026-05-01' }] as const) {
      const all = await rangeOf(options, here, NOW, first);
      for (const compare of [true, 'weekdays', 'year'] as const) {
        expect(await comparedRange(all, compare, here, NOW)).toBeUndefined();
      }
      expect(await comparedRange(all, { from: '2026-01', to: '2026-01' }, here, NOW)).toBeDefined();
    }
  });
});

describe('the period of a chart', () => {
  test.each<[RangeOptions, Period, number]>([
    [{ range: 'today' }, 'hour', 21],
    [{ from: '2026-10-24', to: '2026-10-25' }, 'hour', 49],
    [{ from: '2026-11-01', to: '2026-11-03' }, 'hour', 72],
    [{ from: '2026-11-01', to: '2026-11-04' }, 'day', 4],
    [{ from: '2026-06-01', to: '2026-09-08' }, 'day', 100],
    [{ from: '2026-06-01', to: '2026-09-09' }, 'month', 4],
    [{ range: '7d' }, 'day', 7],
    [{ range: '30d' }, 'day', 30],
    [{ range: '90d' }, 'day', 90],
    [{ range: 'month' }, 'day', 25],
    [{ range: '12mo' }, 'month', 12],
  ])('%o', async (options, period, count) => {
    const here = calendar('Europe/Berlin');
    const parsed = await rangeOf(options, here, Date.parse('2026-11-25T19:36:00Z'), async () => undefined);
    expect([periodOf(parsed), bucketsOf(parsed, periodOf(parsed), here).length]).toEqual([period, count]);
  });
});
