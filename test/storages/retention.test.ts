import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  horizonsOf,
  KEEP_ALL,
  type KeepTime,
  keptUntil,
  PARTS,
  type Part,
  type RetentionOptions,
  retentionOf,
} from '../../src/storage/retention.ts';
import { calendar } from '../../src/summaries/periods.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Apia',
  'America/Havana',
  'Australia/Lord_Howe',
];
const aZone = fc.constantFrom(...ZONES).map((zone) => calendar(zone));
/** Some of them at the end of a month, or at a change of the clock. */
const anInstant = fc.oneof(
  fc.integer({ min: Date.UTC(1999, 0), max: Date.UTC(2040, 0) }),
  fc
    .record({
      month: fc.integer({ min: 0, max: 400 }),
      day: fc.integer({ min: -2, max: 1 }),
      ms: fc.integer({ min: 0, max: DAY - 1 }),
    })
    .map(({ month, day, ms }) => Date.UTC(2000, month, day) + ms),
  fc
    .tuple(
      fc.constantFrom(
        '2026-03-29T01:00:00Z',
        '2026-10-25T01:00:00Z',
        '2011-12-30T10:00:00Z',
        '2026-11-01T05:00:00Z',
      ),
      fc.integer({ min: -2 * DAY, max: 2 * DAY }),
    )
    .map(([change, ms]) => Date.parse(change) + ms),
);
const aTime = fc.oneof(
  fc.constant<KeepTime>('forever'),
  fc.integer({ min: 1, max: 4_000 }).map((count): KeepTime => `${count}h`),
  fc.integer({ min: 1, max: 1_500 }).map((count): KeepTime => `${count}d`),
  fc.integer({ min: 1, max: 50 }).map((count): KeepTime => `${count}mo`),
  fc.integer({ min: 1, max: 12 }).map((count): KeepTime => `${count}y`),
);
const aPart = fc.constantFrom(...PARTS);
const PERIODS_OF = { records: 'day', hour: 'day', day: 'month', month: 'month' } as const;

const keeping = (part: Part, time: KeepTime) => ({ ...KEEP_ALL, [part]: time });
const horizon = (part: Part, time: KeepTime, zone: string, now: string) => {
  const found = horizonsOf(keeping(part, time), calendar(zone), Date.parse(now))[part];
  return found === undefined ? undefined : calendar(zone).format(found);
};

describe('the horizon', () => {
  test.each<[Part, KeepTime, string, string, string]>([
    ['hour', '90d', 'UTC', '2026-11-24T12:34:56Z', '2026-08-26T00:00:00+00:00'],
    ['records', '36h', 'Europe/Berlin', '2026-11-24T12:34:56Z', '2026-11-23T00:00:00+01:00'],
    // The clock changed in between, so the day is the one of 90 × 24 hours ago.
    ['hour', '30d', 'Europe/Berlin', '2026-11-23T23:30:00Z', '2026-10-25T00:00:00+02:00'],
    ['hour', '30d', 'Europe/Berlin', '2026-11-24T00:30:00Z', '2026-10-25T00:00:00+02:00'],
    ['day', '2y', 'UTC', '2026-11-24T12:34:56Z', '2024-11-01T00:00:00+00:00'],
    ['day', '1d', 'UTC', '2026-11-01T12:00:00Z', '2026-10-01T00:00:00+00:00'],
    // A month before the 31st is the last day of a shorter month.
    ['hour', '1mo', 'UTC', '2026-03-31T12:00:00Z', '2026-02-28T00:00:00+00:00'],
    ['hour', '1mo', 'UTC', '2024-03-31T12:00:00Z', '2024-02-29T00:00:00+00:00'],
    ['hour', '1y', 'UTC', '2024-02-29T12:00:00Z', '2023-02-28T00:00:00+00:00'],
    ['month', '18mo', 'Pacific/Apia', '2026-11-30T23:00:00Z', '2025-05-01T00:00:00+13:00'],
  ])('of %s after %s in %s at %s is %s', (part, time, zone, now, expected) => {
    expect(horizon(part, time, zone, now)).toBe(expected);
  });

  test('is the start of a whole day or month, never decreases, and keeps data for at least its time', () => {
    fc.assert(
      fc.property(
        aPart,
        aTime,
        aZone,
        anInstant,
        fc.integer({ min: 0, max: 40 * DAY }),
        (part, time, zone, now, later) => {
          const retention = keeping(part, time);
          const found = horizonsOf(retention, zone, now);
          if (time === 'forever') {
            expect(found).toEqual({});
            return;
          }
          const start = found[part]!;
          expect(Object.keys(found)).toEqual([part]);
          expect(zone.bucketOf(PERIODS_OF[part], start)).toBe(start);
          expect(start).toBeLessThanOrEqual(now - shortest(time));
          expect(horizonsOf(retention, zone, now + later)[part]).toBeGreaterThanOrEqual(start);
        },
      ),
    );
  });

  test('of hours is never before that of days, nor that of days before that of months', () => {
    const someOptions = fc.record({ hour: aTime, day: aTime, month: aTime });
    fc.assert(
      fc.property(someOptions, aZone, anInstant, (options: RetentionOptions, zone, now) => {
        let retention: ReturnType<typeof retentionOf>;
        try {
          retention = retentionOf(options);
        } catch (error) {
          expect(error).toMatchObject({ code: 'OPTION_INVALID' });
          return;
        }
        const { hour = -Infinity, day = -Infinity, month = -Infinity } = horizonsOf(retention, zone, now);
        expect(hour).toBeGreaterThanOrEqual(day);
        expect(day).toBeGreaterThanOrEqual(month);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is in the range of dates for any time', () => {
    for (const time of ['999999h', '999999d', '999999mo', '999999y'] as const) {
      for (const part of PARTS) {
        const found = horizonsOf(keeping(part, time), calendar('Europe/Berlin'), Date.UTC(2026, 10, 24))[
          part
        ];
        expect(new Date(found!).getTime()).toBe(found);
        expect(keptUntil(keeping(part, time), part, calendar('UTC'), 0)).toBeGreaterThan(Date.UTC(2050, 0));
      }
    }
  });
});

describe('the end of a bucket', () => {
  test('is when the horizon has passed it, at most a few days later', () => {
    fc.assert(
      fc.property(aPart, aTime, aZone, anInstant, (part, time, zone, date) => {
        const retention = keeping(part, time);
        const until = keptUntil(retention, part, zone, date);
        if (time === 'forever') {
          expect(until).toBe(Number.POSITIVE_INFINITY);
          return;
        }
        const end = zone.next(PERIODS_OF[part], zone.bucketOf(PERIODS_OF[part], date));
        const at = (now: number) => horizonsOf(retention, zone, now)[part]!;
        expect(at(until)).toBeGreaterThanOrEqual(end);
        expect(at(until - 4 * DAY)).toBeLessThan(end);
      }),
    );
  });
});

describe('times', () => {
  test.each<[KeepTime, KeepTime]>([
    ['1y', '12mo'],
    ['12mo', '1y'],
    ['365d', '1y'],
    ['28d', '1mo'],
    ['24h', '1d'],
    ['2y', 'forever'],
    ['forever', 'forever'],
  ])('of hours may be %s if that of days is %s', (hour, day) => {
    expect(retentionOf({ hour, day })).toMatchObject({ hour, day });
  });

  test.each<[KeepTime, KeepTime]>([
    ['1mo', '30d'],
    ['1y', '365d'],
    ['12mo', '350d'],
    ['366d', '1y'],
    ['13mo', '1y'],
    ['25h', '1d'],
    ['forever', '99y'],
  ])('of hours must not be %s if that of days is %s, which may be shorter', (hour, day) => {
    expect(() => retentionOf({ hour, day })).toThrow(`not shorter than that of "hour" (${hour})`);
    expect(() => retentionOf({ hour: '1h', day: hour, month: day })).toThrow(
      'not shorter than that of "day"',
    );
  });
});

/** Shortest length of a time, in ms. */
function shortest(time: KeepTime): number {
  const [, count, unit] = /^(\d+)(\D+)$/.exec(time)!;
  const days = { h: 1 / 24, d: 1, mo: 28, y: 365 }[unit!]!;
  return Number(count) * days * DAY;
}
