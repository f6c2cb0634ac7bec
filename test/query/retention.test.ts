import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Bots, UsageQuery } from '../../src/query/query.ts';
import type { RangeOptions } from '../../src/query/range.ts';
import { type Horizons, keptBefore, keptPeriod, keptRecords, keptSums } from '../../src/query/retention.ts';
import { expiredOf, getSum, getUsage } from '../../src/query/sums-and-records.ts';
import { horizonsOf, type KeepTime, PARTS, type Retention } from '../../src/storage/retention.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { type Calendar, calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { maintenanceOf } from '../../src/testing/maintenance.ts';
import { openWriter } from '../../src/testing/support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (text: string) => Date.parse(text);
const NOW = at('2026-11-25T20:36:00Z');
const HOOKS = ['urls', 'visitors', 'bots'];

const record: fc.Arbitrary<TestRecord> = fc
  .record({
    date: fc.oneof(
      fc.integer({ min: at('2026-05-01T00:00:00Z'), max: NOW }),
      fc.integer({ min: NOW - 40 * DAY, max: NOW }),
      fc.integer({ min: at('2026-10-31T20:00:00Z'), max: at('2026-11-01T04:00:00Z') }),
    ),
    url: fc.constantFrom('http://shop/', 'http://shop/a'),
    visitor: fc.constantFrom('v1', 'v2', 'v3', null),
    bot: fc.boolean(),
  })
  .map((each) => (each.bot ? { ...each, agent: 'Googlebot/2.1', visitor: null } : each));

const keep = fc.constantFrom<KeepTime>('1h', '36h', '10d', '30d', '2mo', '4mo', 'forever');
const LENGTHS: Record<string, number> = {
  '1h': 1,
  '36h': 36,
  '10d': 240,
  '30d': 720,
  '2mo': 1_344,
  '4mo': 2_688,
};
const lengthOf = (time: KeepTime) => LENGTHS[time] ?? Number.POSITIVE_INFINITY;
/** Retention in which no shorter period is kept longer than a longer one. */
const retention: fc.Arbitrary<Retention> = fc.tuple(keep, keep, keep, keep).map(([records, ...periods]) => {
  const [hour, day, month] = periods.sort((a, b) => lengthOf(a) - lengthOf(b));
  return { records, hour: hour!, day: day!, month: month! };
});

const hour = fc
  .integer({ min: at('2026-04-20T00:00:00Z') / HOUR, max: Math.floor(NOW / HOUR) })
  .map((hours) => hours * HOUR);
const range: fc.Arbitrary<RangeOptions> = fc.oneof(
  fc.constantFrom<RangeOptions>(
    { range: 'today' },
    { range: '7d' },
    { range: '90d' },
    { range: 'month' },
    { range: '12mo' },
    { range: 'all' },
    { from: '2026-07', to: '2026-09' },
    { to: '2026-10-17' },
  ),
  fc.tuple(hour, hour).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) })),
);

const world = fc.record({
  records: fc.array(record, { minLength: 1, maxLength: 60 }),
  late: fc.array(record, { maxLength: 10 }),
  retention,
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns'),
  range,
  bots: fc.constantFrom<Bots>('include', 'exclude', 'only'),
  /** Number of rows that are deleted, because pruning may still be in progress. */
  pruned: fc.constantFrom(0, 20, 10_000),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** Stores records, prunes them, and stores others late. */
async function openWorld({ records, late, retention, timeZone, pruned }: World) {
  const storage = new MemoryStorage({ hooks: HOOKS });
  const writer = await openWriter(storage, { site: 'shop', timeZone });
  const journal = new TestJournal('a', storage.summaries, timeZone, 'shop');
  await writer.apply(journal.batch(records));
  const zone = calendar(timeZone);
  const horizons = horizonsOf(retention, zone, NOW);
  const maintenance = maintenanceOf(writer);
  await maintenance.retain(
    Object.fromEntries(
      PARTS.map((part) => [part, { keep: retention[part], before: horizons[part] ?? null }]),
    ),
  );
  for (const part of PARTS) {
    const before = horizons[part];
    if (before !== undefined && pruned > 0) await maintenance.prune({ part, before, limit: pruned });
  }
  if (late.length > 0) await writer.apply(journal.batch(late));
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const all = [...records, ...late] as Required<TestRecord>[];
  return { reader: storage.reader, query, zone, horizons: { ...NONE, ...horizons }, all };
}

const NONE: Horizons = {
  records: Number.NEGATIVE_INFINITY,
  hour: Number.NEGATIVE_INFINITY,
  day: Number.NEGATIVE_INFINITY,
  month: Number.NEGATIVE_INFINITY,
};

const isWanted = ({ bot }: TestRecord, bots: Bots) => bots === 'include' || bot === (bots === 'only');

/** Counts the records of a result's range. */
function within(
  all: readonly Required<TestRecord>[],
  { from, to }: { from: string; to: string },
  zone: Calendar,
  bots: Bots,
) {
  const end = zone.next('hour', at(to));
  return all.filter((each) => each.date >= at(from) && each.date < end && isWanted(each, bots));
}

const visitorsOf = (records: readonly TestRecord[]) =>
  new Set(records.map(({ visitor }) => visitor).filter((visitor) => visitor !== null)).size;

describe('with any retention, range and zone', () => {
  test('totals, series and keys from sums equal a straight count of the range that the result says', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom<Period>(...PERIODS), async (given, period) => {
        const { query, zone, horizons, all } = await openWorld(given);
        const options = { ...given.range, bots: given.bots, compare: true };
        const { totals, previous, range, expired } = await query.totals(options);
        const isEmpty = range.from === range.to && totals.hits === 0;
        const wanted = within(all, range, zone, given.bots);
        if (!isEmpty) {
          expect(totals.hits).toBe(wanted.length);
          expect(totals.visitors).toBe(visitorsOf(wanted));
        }
        if (previous) {
          const before = within(all, previous.range, zone, given.bots);
          expect(previous.totals.hits).toBe(before.length);
        }
        const series = await query.series({ ...options, period });
        expect(series.range).toEqual(range);
        expect(series.buckets.reduce((sum, { hits }) => sum + hits, 0)).toBe(totals.hits);
        for (const { date, hits, visitors } of series.buckets) {
          const of = wanted.filter((each) => zone.bucketOf(series.period, each.date) === at(date));
          if (!isEmpty) expect([hits, visitors]).toEqual([of.length, visitorsOf(of)]);
        }
        for (const { hits, date } of series.previous?.buckets ?? []) {
          const of = within(all, series.previous!.range, zone, given.bots);
          expect(hits).toBe(of.filter((each) => zone.bucketOf(series.period, each.date) === at(date)).length);
        }
        const top = await query.top('bots', { ...options, limit: 1 });
        expect([top.total.hits, top.expired]).toEqual([totals.hits, expired]);
        const urls = await query.top('urls', given.range);
        const counted = within(all, urls.range, zone, 'include').length;
        if (!isEmpty) expect(urls.total.hits).toBe(counted);
        // A site that is younger than its retention lacks nothing.
        const hadData = (before: number) =>
          horizons.month !== NONE.month || all.some(({ date }) => zone.monthOf(date) < before);
        const isNeeded = (part: 'hour' | 'day', longer: Period) =>
          hadData(horizons[part]) &&
          at(range.from) < horizons[part] &&
          zone.bucketOf(longer, at(range.from)) !== at(range.from);
        expect(isNeeded('hour', 'day') || isNeeded('day', 'month')).toBe(false);
        expect(at(range.from) >= horizons.month || totals.hits === 0).toBe(true);
      }),
      { numRuns: 250 },
    );
  });

  test('filtered results and records equal a straight count of the records that are left', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const { query, zone, horizons, all, reader } = await openWorld(given);
        const isKept = ({ date }: TestRecord) => date! >= horizons.records;
        const options = { ...given.range, bots: given.bots };
        const filtered = { ...options, filter: { urls: 'http://shop/a' } };
        const { totals, range, previous } = await query.totals({ ...filtered, compare: true });
        const matching = all.filter((each) => each.url === 'http://shop/a' && isKept(each));
        // An empty range is shown as the hour at which it would begin.
        const isEmpty = range.from === range.to && totals.hits === 0;
        if (!isEmpty) expect(totals.hits).toBe(within(matching, range, zone, given.bots).length);
        if (previous) {
          expect(previous.totals.hits).toBe(within(matching, previous.range, zone, given.bots).length);
          expect(at(previous.range.from)).toBeGreaterThanOrEqual(
            all.some((each) => !isKept(each)) ? horizons.records : Number.NEGATIVE_INFINITY,
          );
        }
        const { records, ...found } = await query.records({ ...options, limit: 1_000 });
        if (!isEmpty)
          expect(records.length).toBe(within(all.filter(isKept), found.range, zone, given.bots).length);
        const rows = await getUsage(reader, { site: 'shop', bots: given.bots, limit: 0 }, 'UTC', NOW);
        expect(rows.length).toBe(all.filter((each) => isKept(each) && isWanted(each, given.bots)).length);
        if (given.bots === 'include' || isEmpty) return;
        const urls = await query.top('urls', options);
        expect(urls.total.hits).toBe(within(all.filter(isKept), urls.range, zone, given.bots).length);
      }),
      { numRuns: 150 },
    );
  });

  test('getSum returns the buckets that are kept, and no others', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom<Period>(...PERIODS), async (given, period) => {
        const { zone, horizons, all, reader } = await openWorld(given);
        const rows = await getSum(reader, 'urls', { site: 'shop', period, limit: 0 }, 'UTC', NOW);
        const kept = all.filter(({ date }) => zone.bucketOf(period, date) >= horizons[period]);
        expect(rows.reduce((sum, { hits }) => sum + hits, 0)).toBe(kept.length);
        const people = await getSum(
          reader,
          'urls',
          { site: 'shop', period, limit: 0, bots: 'exclude' },
          'UTC',
          NOW,
        );
        const left = kept.filter(({ date, bot }) => !bot && date >= horizons.records);
        expect(people.reduce((sum, { hits }) => sum + hits, 0)).toBe(left.length);
        const [expired] = await expiredOf(reader, period, { site: 'shop' });
        const hasGone = all.some(({ date }) => zone.bucketOf(period, date) < horizons[period]);
        if (hasGone) expect(expired).toMatchObject({ part: period, answeredFrom: null });
        expect(await expiredOf(reader, period, { site: 'shop', from: NOW })).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('the range of a result', () => {
  const zone = calendar('Europe/Berlin');
  const horizons: Horizons = {
    records: at('2026-11-20T00:00:00+01:00'),
    hour: at('2026-11-10T00:00:00+01:00'),
    day: at('2026-06-01T00:00:00+02:00'),
    month: at('2025-01-01T00:00:00+01:00'),
  };
  const kept = (keptIn: typeof keptSums, from: string, to: string) => {
    const given = { start: at(from), end: at(to), open: true, unit: 'day' } as const;
    const { range, expired } = keptIn(given, zone, horizons);
    const parts = expired.map(({ part, answeredFrom }) => `${part} ${answeredFrom}`);
    return [zone.format(range.start), zone.format(range.end), range.open, ...parts];
  };

  test.each([
    ['2026-11-10T05:00:00+01:00', '2026-11-25T21:00:00+01:00', '2026-11-10T05', '2026-11-25T21', true, []],
    [
      '2026-11-09T05:00:00+01:00',
      '2026-11-25T21:00:00+01:00',
      '2026-11-09T00',
      '2026-11-25T21',
      true,
      ['hour day'],
    ],
    [
      '2026-11-09T05:00:00+01:00',
      '2026-11-09T21:00:00+01:00',
      '2026-11-09T00',
      '2026-11-10T00',
      false,
      ['hour day'],
    ],
    ['2026-11-09T00:00:00+01:00', '2026-11-10T00:00:00+01:00', '2026-11-09T00', '2026-11-10T00', true, []],
    [
      '2026-05-09T00:00:00+02:00',
      '2026-05-10T00:00:00+02:00',
      '2026-05-01T00',
      '2026-06-01T00',
      false,
      ['day month'],
    ],
    [
      '2026-05-09T05:00:00+02:00',
      '2026-11-09T05:00:00+01:00',
      '2026-05-01T00',
      '2026-11-10T00',
      false,
      ['day month', 'hour day'],
    ],
    [
      '2024-05-09T05:00:00+02:00',
      '2026-11-25T21:00:00+01:00',
      '2025-01-01T00',
      '2026-11-25T21',
      true,
      ['month null'],
    ],
    [
      '2024-05-09T05:00:00+02:00',
      '2024-11-25T21:00:00+01:00',
      '2025-01-01T00',
      '2025-01-01T00',
      true,
      ['month null'],
    ],
  ])('%s to %s', (from, to, start, end, open, expired) => {
    const [first, last, ...rest] = kept(keptSums, from, to);
    expect([`${first}`.slice(0, 13), `${last}`.slice(0, 13), ...rest]).toEqual([
      start,
      end,
      open,
      ...expired,
    ]);
  });

  test('records start with the kept ones', () => {
    expect(kept(keptRecords, '2026-11-01T00:00:00+01:00', '2026-11-25T21:00:00+01:00')).toEqual([
      '2026-11-20T00:00:00+01:00',
      '2026-11-25T21:00:00+01:00',
      true,
      'records null',
    ]);
  });

  test('a series has the shortest period that is kept', () => {
    const since = (start: string) =>
      PERIODS.map((period) =>
        keptPeriod(period, { start: at(start), end: NOW, open: true, unit: 'day' }, horizons),
      );
    expect(since('2026-11-10T00:00:00+01:00')).toEqual(['hour', 'day', 'month']);
    expect(since('2026-11-09T00:00:00+01:00')).toEqual(['day', 'day', 'month']);
    expect(since('2026-05-01T00:00:00+02:00')).toEqual(['month', 'month', 'month']);
  });

  test('a previous period that is incomplete or much longer is not compared', () => {
    const isCompared = (start: string, end: string) => {
      const given = { start: at(start), end: at(end), open: false, unit: 'day' } as const;
      return keptBefore(given, keptSums(given, zone, horizons)) !== undefined;
    };
    expect(isCompared('2026-11-08T00:00:00+01:00', '2026-11-09T00:00:00+01:00')).toBe(true);
    expect(isCompared('2026-11-08T00:00:00+01:00', '2026-11-09T05:00:00+01:00')).toBe(false);
    expect(isCompared('2025-11-09T00:00:00+01:00', '2026-11-09T05:00:00+01:00')).toBe(true);
    expect(isCompared('2024-12-31T00:00:00+01:00', '2026-11-09T00:00:00+01:00')).toBe(false);
  });
});

test('a series by the hour over expired hours is answered by the day, and says so', async () => {
  const storage = new MemoryStorage({ hooks: HOOKS });
  const writer = await openWriter(storage, { site: 'shop' });
  const journal = new TestJournal('a', storage.summaries, 'UTC', 'shop');
  await writer.apply(
    journal.batch([{ date: at('2026-10-05T10:00:00Z') }, { date: at('2026-11-24T10:00:00Z') }]),
  );
  const before = at('2026-11-10T00:00:00Z');
  await maintenanceOf(writer).retain({ hour: { keep: '15d', before }, records: { keep: '15d', before } });
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const range = { from: '2026-10-05T09:00', to: '2026-10-05T11:00' };
  const expired = [{ part: 'hour', before: '2026-11-10T00:00:00+00:00', answeredFrom: 'day' }];
  const series = await query.series({ ...range, period: 'hour' });
  expect(series).toMatchObject({
    period: 'day',
    expired,
    range: { from: '2026-10-05T00:00:00+00:00', to: '2026-10-05T23:00:00+00:00' },
    buckets: [{ date: '2026-10-05T00:00:00+00:00', hits: 1 }],
  });
  expect((await query.totals(range)).expired).toEqual(expired);
  // What the result contains whole is not expired.
  expect((await query.totals({ from: '2026-10', to: '2026-10' })).expired).toEqual([]);
  const records = await query.records({ range: '90d' });
  expect(records.records.length).toBe(1);
  expect(records.expired).toEqual([
    { part: 'records', before: '2026-11-10T00:00:00+00:00', answeredFrom: null },
  ]);
  // A site that is younger than its retention lacks nothing.
  expect((await query.of('other').records({ range: '90d' })).expired).toEqual([]);
  expect((await query.site()).retention).toEqual([
    { part: 'records', keep: '15d', before: '2026-11-10T00:00:00+00:00' },
    { part: 'hour', keep: '15d', before: '2026-11-10T00:00:00+00:00' },
  ]);
});
