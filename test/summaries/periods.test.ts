import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { show } from '../../src/errors.ts';
import { Calendar, calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'America/Havana',
  'Pacific/Apia',
  'Africa/Casablanca',
  'America/St_Johns',
  'Asia/Beirut',
  'Africa/Cairo',
  'Africa/Monrovia',
];

/** Returns formatted buckets, starting with the one that contains `from`. */
function buckets(zone: string, period: Period, from: string, count: number): string[] {
  const here = calendar(zone);
  const found: string[] = [];
  for (let at = here.bucketOf(period, Date.parse(from)); found.length < count; at = here.next(period, at)) {
    found.push(here.format(at));
  }
  return found;
}

describe('buckets', () => {
  const rows: [what: string, zone: string, period: Period, from: string, starts: string[]][] = [
    [
      'hours of UTC',
      'UTC',
      'hour',
      '2017-03-01T00:59:59.999Z',
      ['2017-03-01T00:00:00+00:00', '2017-03-01T01:00:00+00:00'],
    ],
    [
      'months of UTC, through a leap year',
      'UTC',
      'month',
      '2024-01-31T23:59:59.999Z',
      ['2024-01-01T00:00:00+00:00', '2024-02-01T00:00:00+00:00', '2024-03-01T00:00:00+00:00'],
    ],
    [
      'days of UTC before 1970',
      'UTC',
      'day',
      '1969-12-31T23:59:59.999Z',
      ['1969-12-31T00:00:00+00:00', '1970-01-01T00:00:00+00:00'],
    ],
    [
      'months that begin at another offset than they end',
      'Europe/Berlin',
      'month',
      '2017-03-31T21:59:59Z',
      ['2017-03-01T00:00:00+01:00', '2017-04-01T00:00:00+02:00'],
    ],
    [
      'a day of 23 hours, then one of 24',
      'Europe/Berlin',
      'day',
      '2026-03-29T12:00:00Z',
      ['2026-03-29T00:00:00+01:00', '2026-03-30T00:00:00+02:00', '2026-03-31T00:00:00+02:00'],
    ],
    [
      'an hour that is skipped',
      'Europe/Berlin',
      'hour',
      '2026-03-29T00:30:00Z',
      ['2026-03-29T01:00:00+01:00', '2026-03-29T03:00:00+02:00', '2026-03-29T04:00:00+02:00'],
    ],
    [
      'an hour that comes twice',
      'Europe/Berlin',
      'hour',
      '2026-10-25T00:30:00Z',
      ['2026-10-25T02:00:00+02:00', '2026-10-25T02:00:00+01:00', '2026-10-25T03:00:00+01:00'],
    ],
    [
      'hours that begin a quarter past those of UTC',
      'Asia/Kathmandu',
      'hour',
      '2026-11-01T00:14:59.999Z',
      ['2026-11-01T05:00:00+05:45', '2026-11-01T06:00:00+05:45'],
    ],
    [
      'half an hour that comes twice',
      'Australia/Lord_Howe',
      'hour',
      '2026-04-04T14:30:00Z',
      ['2026-04-05T01:00:00+11:00', '2026-04-05T01:30:00+10:30', '2026-04-05T02:00:00+10:30'],
    ],
    [
      'half an hour that is skipped',
      'Australia/Lord_Howe',
      'hour',
      '2026-10-03T15:00:00Z',
      ['2026-10-04T01:00:00+10:30', '2026-10-04T02:30:00+11:00', '2026-10-04T03:00:00+11:00'],
    ],
    [
      'a day without midnight in Brazil',
      'America/Sao_Paulo',
      'day',
      '2018-11-04T02:59:59.999Z',
      ['2018-11-03T00:00:00-03:00', '2018-11-04T01:00:00-02:00', '2018-11-05T00:00:00-02:00'],
    ],
    [
      'a last hour of the day that comes twice',
      'America/Sao_Paulo',
      'hour',
      '2018-02-18T01:00:00Z',
      ['2018-02-17T23:00:00-02:00', '2018-02-17T23:00:00-03:00', '2018-02-18T00:00:00-03:00'],
    ],
    [
      'a day without midnight in Lebanon',
      'Asia/Beirut',
      'day',
      '2022-03-27T12:00:00Z',
      ['2022-03-27T01:00:00+03:00', '2022-03-28T00:00:00+03:00'],
    ],
    [
      'a day without midnight in Egypt',
      'Africa/Cairo',
      'day',
      '2024-04-26T12:00:00Z',
      ['2024-04-26T01:00:00+03:00', '2024-04-27T00:00:00+03:00'],
    ],
    [
      'a month without midnight',
      'Asia/Amman',
      'month',
      '2022-02-25T12:00:00Z',
      ['2022-02-01T00:00:00+02:00', '2022-03-01T00:00:00+03:00'],
    ],
    [
      'a midnight that comes twice',
      'America/Havana',
      'day',
      '2026-11-01T05:30:00Z',
      ['2026-11-01T00:00:00-04:00', '2026-11-02T00:00:00-05:00'],
    ],
    [
      'the hours of a midnight that comes twice',
      'America/Havana',
      'hour',
      '2026-11-01T04:00:00Z',
      ['2026-11-01T00:00:00-04:00', '2026-11-01T00:00:00-05:00', '2026-11-01T01:00:00-05:00'],
    ],
    [
      'a clock that goes back over midnight: the day has begun',
      'America/St_Johns',
      'day',
      '2010-11-07T03:00:00Z',
      ['2010-11-07T00:00:00-02:30', '2010-11-08T00:00:00-03:30'],
    ],
    [
      'the hours of a clock that goes back over midnight',
      'America/St_Johns',
      'hour',
      '2010-11-07T02:30:30Z',
      [
        '2010-11-07T00:00:00-02:30',
        '2010-11-06T23:01:00-03:30',
        '2010-11-07T00:00:00-03:30',
        '2010-11-07T01:00:00-03:30',
      ],
    ],
    [
      'a day that was skipped',
      'Pacific/Apia',
      'day',
      '2011-12-30T09:59:59.999Z',
      ['2011-12-29T00:00:00-10:00', '2011-12-31T00:00:00+14:00', '2012-01-01T00:00:00+14:00'],
    ],
    [
      'hours over a day that was skipped',
      'Pacific/Apia',
      'hour',
      '2011-12-30T09:00:00Z',
      ['2011-12-29T23:00:00-10:00', '2011-12-31T00:00:00+14:00'],
    ],
    [
      'a first of the month that lost its last hour to Ramadan',
      'Africa/Casablanca',
      'hour',
      '2025-02-23T01:30:00Z',
      ['2025-02-23T02:00:00+01:00', '2025-02-23T02:00:00+00:00', '2025-02-23T03:00:00+00:00'],
    ],
  ];
  test.each(rows)('%s', (_what, zone, period, from, starts) => {
    expect(buckets(zone, period, from, starts.length)).toEqual(starts);
  });

  test('splits days of 23 to 26 hours into hours', () => {
    const hoursOf = (zone: string, day: string) => {
      const here = calendar(zone);
      let count = 0;
      const start = here.parse(day, 'day');
      for (let at = start; at < here.next('day', start); at = here.next('hour', at)) count++;
      return count;
    };
    expect({
      usual: hoursOf('Europe/Berlin', '2026-03-28'),
      spring: hoursOf('Europe/Berlin', '2026-03-29'),
      autumn: hoursOf('Europe/Berlin', '2026-10-25'),
      lordHoweSpring: hoursOf('Australia/Lord_Howe', '2026-10-04'),
      lordHoweAutumn: hoursOf('Australia/Lord_Howe', '2026-04-05'),
      withoutMidnight: hoursOf('America/Sao_Paulo', '2018-11-04'),
      overMidnight: hoursOf('America/St_Johns', '2010-11-07'),
    }).toEqual({
      usual: 24,
      spring: 23,
      autumn: 25,
      lordHoweSpring: 24,
      lordHoweAutumn: 25,
      withoutMidnight: 23,
      overMidnight: 26,
    });
  });

  test('handles numbers beyond the range of dates', () => {
    for (const zone of ['UTC', 'Europe/Berlin', 'America/St_Johns']) {
      for (const ms of [1e300, -1e300, 8.64e15, -8.64e15, Number.MAX_SAFE_INTEGER, -5e13, 0.5, -0.5]) {
        const here = new Calendar(zone);
        for (const period of PERIODS) {
          const bucket = here.bucketOf(period, ms);
          expect([zone, ms, Number.isFinite(bucket), here.next(period, ms) > ms]).toEqual([
            zone,
            ms,
            true,
            true,
          ]);
          expect(here.bucketOf(period, bucket)).toBe(bucket);
          expect(here.format(bucket)).toMatch(/T\d\d:\d\d:\d\d[+-]\d\d:\d\d$/);
        }
        expect(here.format(ms)).toMatch(/^[+-]?\d+-/);
      }
    }
  });
});

describe('calendar', () => {
  test('returns one instance per zone', () => {
    expect(calendar('Europe/Berlin')).toBe(calendar('Europe/Berlin'));
    expect(calendar('Europe/Berlin').timeZone).toBe('Europe/Berlin');
    expect(calendar('europe/berlin').format(0)).toBe('1970-01-01T01:00:00+01:00');
    expect(calendar('Etc/UTC').format(0)).toBe('1970-01-01T00:00:00+00:00');
    expect(calendar('+05:30').format(0)).toBe('1970-01-01T05:30:00+05:30');
  });

  test.each(['Europe/Atlantis', '', ' ', 'null', undefined, null, 7, {}, []])('refuses %j', (zone) => {
    expect(() => new Calendar(zone as string)).toThrow(
      expect.objectContaining({ code: 'TIME_ZONE_UNKNOWN' }),
    );
    expect(() => calendar(zone as string)).toThrow(`unknown time zone ${show(zone)}`);
  });

  test('caches up to 100 calendars', () => {
    const first = calendar('Europe/Berlin');
    for (const zone of Intl.supportedValuesOf('timeZone').slice(0, 99)) calendar(zone);
    for (const zone of ['UTC', 'Asia/Tokyo']) calendar(zone);
    expect(calendar('Europe/Berlin')).not.toBe(first);
  });

  test('formats two instants per quarter-hour, and caches up to 10,000 of them', () => {
    const { prototype } = Intl.DateTimeFormat;
    const original = Object.getOwnPropertyDescriptor(prototype, 'format')!;
    let count = 0;
    const get = function (this: Intl.DateTimeFormat) {
      count += 1;
      return original.get!.call(this);
    };
    Object.defineProperty(prototype, 'format', { ...original, get });
    onTestFinished(() => {
      Object.defineProperty(prototype, 'format', original);
    });
    const here = new Calendar('Asia/Tokyo');
    const formatted = (ms: number) => {
      count = 0;
      here.format(ms);
      return count;
    };
    const quarter = 900_000;
    expect([formatted(0), formatted(0), formatted(1), formatted(quarter - 1)]).toEqual([2, 0, 0, 0]);
    for (let n = 1; n < 10_000; n++) here.format(n * quarter);
    expect(formatted(0)).toBe(0);
    expect(formatted(10_000 * quarter)).toBe(2);
    expect(formatted(0)).toBe(2);
  });
});

describe('format', () => {
  test.each([
    ['UTC', '2017-03-01T00:00:00Z', '2017-03-01T00:00:00+00:00'],
    ['UTC', '2017-03-01T00:00:00.120Z', '2017-03-01T00:00:00.120+00:00'],
    ['Europe/Berlin', '2017-02-28T23:00:00Z', '2017-03-01T00:00:00+01:00'],
    ['Europe/London', '2017-01-01T00:00:00Z', '2017-01-01T00:00:00+00:00'],
    ['America/St_Johns', '2017-01-01T00:00:00.007Z', '2016-12-31T20:30:00.007-03:30'],
    ['Asia/Kathmandu', '2017-01-01T00:00:00Z', '2017-01-01T05:45:00+05:45'],
    ['Pacific/Kiritimati', '2017-01-01T00:00:00Z', '2017-01-01T14:00:00+14:00'],
    // The clock showed 23:15:30; an offset of -00:44:30 cannot be formatted.
    ['Africa/Monrovia', '1960-01-01T00:00:00Z', '1959-12-31T23:16:00-00:44'],
  ])('%s %s', (zone, ms, text) => {
    expect(calendar(zone).format(Date.parse(ms))).toBe(text);
  });
});

describe('parse', () => {
  test.each<[zone: string, value: Date | number | string, instant: string]>([
    ['UTC', '2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['UTC', '0050-01-01', '0050-01-01T00:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01', '2026-10-31T23:00:00.000Z'],
    ['Europe/Berlin', '2026-11', '2026-10-31T23:00:00.000Z'],
    ['Europe/Berlin', '2024-02-29', '2024-02-28T23:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00', '2026-11-01T09:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01 10:00', '2026-11-01T09:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01t10:00:30', '2026-11-01T09:00:30.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:30.5', '2026-11-01T09:00:30.500Z'],
    ['Europe/Berlin', '2026-11-01T10:00:30.1239999', '2026-11-01T09:00:30.123Z'],
    ['Europe/Berlin', '2026-11-01T10:00Z', '2026-11-01T10:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:30.25z', '2026-11-01T10:00:30.250Z'],
    ['Europe/Berlin', '2026-11-01T10:00+05:45', '2026-11-01T04:15:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:00-0330', '2026-11-01T13:30:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:00+01', '2026-11-01T09:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:00-00:00', '2026-11-01T10:00:00.000Z'],
    ['Europe/Berlin', '2026-11-01T10:00:00+23:59', '2026-10-31T10:01:00.000Z'],
    ['Europe/Berlin', new Date('2026-11-01T10:00:00Z'), '2026-11-01T10:00:00.000Z'],
    ['Europe/Berlin', Date.parse('2026-11-01T10:00:00Z') + 0.7, '2026-11-01T10:00:00.000Z'],
    ['Europe/Berlin', 8.64e15, '+275760-09-13T00:00:00.000Z'],
    // Skipped: the moment at which the clock did so.
    ['Europe/Berlin', '2026-03-29T02:30', '2026-03-29T01:00:00.000Z'],
    ['America/Sao_Paulo', '2018-11-04', '2018-11-04T03:00:00.000Z'],
    ['Pacific/Apia', '2011-12-30', '2011-12-30T10:00:00.000Z'],
    ['Pacific/Apia', '2011-12-30T18:00', '2011-12-30T10:00:00.000Z'],
    ['Pacific/Apia', '2011-12-31', '2011-12-30T10:00:00.000Z'],
    // Shown twice: the earlier.
    ['Europe/Berlin', '2026-10-25T02:30', '2026-10-25T00:30:00.000Z'],
    ['America/Havana', '2026-11-01', '2026-11-01T04:00:00.000Z'],
    ['America/St_Johns', '2010-11-06T23:30', '2010-11-07T02:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-04-05T01:45', '2026-04-04T14:45:00.000Z'],
  ])('%s %s', (zone, value, instant) => {
    expect(new Date(calendar(zone).parse(value, 'from')).toISOString()).toBe(instant);
  });

  test.each<[value: unknown, shown: string]>([
    [new Date(Number.NaN), 'Invalid Date'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [8.64e15 + 1, '8640000000000001'],
    ...[
      '',
      ' ',
      'yesterday',
      '2026',
      '2026-13',
      '2026-00',
      '2026-1-1',
      '2026-02-31',
      '2026-02-29',
      '2026-04-00',
      '2026-11T10:00',
      '2026-11-01Z',
      '2026-11-01T10',
      '2026-11-01T24:00',
      '2026-11-01T25:00',
      '2026-11-01T10:60',
      '2026-11-01T10:00:60',
      '2026-11-01T10:00:00.',
      '2026-11-01T10:00+24:00',
      '2026-11-01T10:00+01:60',
      // A plus sign that was not escaped in a URL.
      '2026-11-01T10:00:00 01:00',
      ' 2026-11-01',
      '2026-11-01\n',
      '01/11/2026',
      '1793491200000',
    ].map((text): [string, string] => [text, JSON.stringify(text)]),
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, '{}'],
    [true, 'true'],
  ])('refuses %j', (value, shown) => {
    expect(() => calendar('Europe/Berlin').parse(value as string, 'from')).toThrow(
      expect.objectContaining({
        code: 'QUERY_INVALID',
        message: expect.stringContaining(`from is ${shown}; expected a date such as "2026-11-01"`),
      }),
    );
    // Only text comes from where there are no Dates.
    const isText = typeof value === 'string';
    expect(() => calendar('Europe/Berlin').parse(value as string, 'from')).toThrow(
      isText ? /"2026-11-01T10:00:00\+01:00"\.?$/ : /"2026-11-01T10:00:00\+01:00", a Date, or ms since 1970/,
    );
  });
});

/** Returns a function that computes the local time as ms in UTC. Its method differs from the tested code's. */
function wallClock(zone: string): (ms: number) => number {
  const fields = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' } as const;
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, ...fields, ...time });
  return (ms) => {
    const [month, day, year, hour, minute, second] = format.format(ms).match(/\d+/g)!.map(Number);
    return Date.UTC(year!, month! - 1, day!, hour, minute, second);
  };
}

/** Returns the instants of all clock changes of the zone between 1900 and 2100, to the second. */
function changesOf(zone: string): number[] {
  const clock = wallClock(zone);
  const offset = (ms: number) => clock(ms) - ms;
  const found: number[] = [];
  for (let from = Date.UTC(1900, 0, 1); from < Date.UTC(2100, 0, 1); from += 10 * DAY) {
    let [low, high] = [from / 1000, (from + 10 * DAY) / 1000];
    if (offset(low * 1000) === offset(high * 1000)) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offset(middle * 1000) === offset(high * 1000)) high = middle;
      else low = middle;
    }
    found.push(high * 1000);
  }
  return found;
}

describe.each(ZONES)('properties in %s', (zone) => {
  const clock = wallClock(zone);
  const changes = changesOf(zone);
  const anywhere = fc.integer({ min: Date.UTC(1900, 0, 2), max: Date.UTC(2099, 11, 30) });
  const aroundChange = fc
    .tuple(fc.constantFrom(0, ...changes), fc.integer({ min: -26 * HOUR, max: 26 * HOUR }))
    .map(([change, away]) => change + away);
  const closeToChange = fc
    .tuple(fc.constantFrom(0, ...changes), fc.integer({ min: -3, max: 3 }), fc.integer({ min: -1, max: 1 }))
    .map(([change, quarters, away]) => change + quarters * 900_000 + away);
  const instants = fc
    .oneof(anywhere, aroundChange, closeToChange)
    .filter((ms) => ms > Date.UTC(1900, 0, 2) && ms < Date.UTC(2099, 11, 30));
  const periods = fc.constantFrom(...PERIODS);

  test('an instant is in its bucket, and buckets are contiguous', () => {
    fc.assert(
      fc.property(periods, instants, (period, ms) => {
        const here = calendar(zone);
        const bucket = here.bucketOf(period, ms);
        const next = here.next(period, bucket);
        expect(bucket <= ms && ms < next).toBe(true);
        expect(here.bucketOf(period, bucket)).toBe(bucket);
        expect(here.bucketOf(period, next - 1)).toBe(bucket);
        expect(here.bucketOf(period, next)).toBe(next);
        expect(here.next(period, ms)).toBe(next);
        const starts = [here.hourOf(ms), here.dayOf(ms), here.monthOf(ms)];
        expect(starts).toEqual(PERIODS.map((each) => here.bucketOf(each, ms)));
      }),
    );
  });

  test('a result does not depend on previous calls', () => {
    fc.assert(
      fc.property(periods, fc.array(instants, { minLength: 2, maxLength: 5 }), (period, many) => {
        const warm = new Calendar(zone);
        const results = many.map((ms) => warm.bucketOf(period, ms));
        expect(results).toEqual(many.map((ms) => new Calendar(zone).bucketOf(period, ms)));
      }),
      { numRuns: 30 },
    );
  });

  test('buckets are monotonic', () => {
    fc.assert(
      fc.property(periods, instants, fc.integer({ min: 0, max: 3 * DAY }), (period, ms, more) => {
        const here = calendar(zone);
        expect(here.bucketOf(period, ms + more)).toBeGreaterThanOrEqual(here.bucketOf(period, ms));
      }),
    );
  });

  test('an hour contains no clock change, and is as long as possible', () => {
    fc.assert(
      fc.property(instants, (ms) => {
        const here = calendar(zone);
        const start = here.hourOf(ms);
        const end = here.next('hour', start);
        const second = Math.floor(ms / 1000) * 1000;
        const hour = (at: number) => [Math.floor(clock(at) / HOUR), clock(at) - at];
        expect(hour(start)).toEqual(hour(second));
        expect(hour(end - 1000)).toEqual(hour(second));
        expect(hour(start - 1000)).not.toEqual(hour(second));
        expect(hour(end)).not.toEqual(hour(second));
      }),
    );
  });

  test('days and months start when the clock first shows their date', () => {
    const date = (ms: number) => Math.floor(clock(ms) / DAY);
    const month = (ms: number) =>
      Math.floor(new Date(clock(ms)).getUTCFullYear() * 12) + new Date(clock(ms)).getUTCMonth();
    fc.assert(
      fc.property(instants, (ms) => {
        const here = calendar(zone);
        for (const [period, shown] of [
          ['day', date],
          ['month', month],
        ] as const) {
          const start = here.bucketOf(period, ms);
          const end = here.next(period, start);
          // The start may show a later date: the clock may have been set back over midnight since.
          expect(shown(start)).toBeGreaterThanOrEqual(shown(ms));
          expect(shown(start - 1000)).toBeLessThan(shown(start));
          expect(shown(end)).toBeGreaterThan(shown(start));
          for (let at = start; at < end; at += (end - start) / 16) {
            expect(shown(Math.floor(at))).toBeLessThanOrEqual(shown(start));
          }
        }
      }),
    );
  });

  test.each([
    ['day', 'hour'],
    ['month', 'day'],
  ] as const)('a %s consists of complete %ss', (outer, inner) => {
    fc.assert(
      fc.property(instants, (ms) => {
        const here = calendar(zone);
        const start = here.bucketOf(outer, ms);
        const end = here.next(outer, start);
        let at = start;
        for (; at < end; at = here.next(inner, at)) {
          expect(here.bucketOf(inner, at)).toBe(at);
          expect(here.bucketOf(outer, at)).toBe(start);
        }
        expect(at).toBe(end);
      }),
      { numRuns: 50 },
    );
  });

  test('parses what it formats', () => {
    fc.assert(
      fc.property(instants, (ms) => {
        const here = calendar(zone);
        expect(here.parse(here.format(ms), 'from')).toBe(ms);
        expect(Date.parse(here.format(ms))).toBe(ms);
      }),
    );
  });

  test('parses a local time as the first instant at which the clock shows it or a later time', () => {
    fc.assert(
      fc.property(instants, (ms) => {
        const local = Math.floor(ms / 1000) * 1000;
        const found = calendar(zone).parse(new Date(local).toISOString().slice(0, 19), 'from');
        expect(clock(found)).toBeGreaterThanOrEqual(local);
        for (let at = found - 26 * HOUR; at < found; at += 15 * 60_000) expect(clock(at)).toBeLessThan(local);
        expect(clock(found - 1000)).toBeLessThan(local);
        expect(clock(found) === local || changes.includes(found)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
