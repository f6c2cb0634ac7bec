import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathOf } from '../../src/batch.ts';
import {
  type Bots,
  type Bucket,
  type ComparedOptions,
  type Filter,
  type QueryContext,
  type TopOptions,
  UsageQuery,
} from '../../src/query/query.ts';
import type { RangeOptions } from '../../src/query/range.ts';
import { getSum, getUsage, type SumOptions, type UsageOptions } from '../../src/query/sums-and-records.ts';
import type { UsageRecord } from '../../src/record.ts';
import { complete } from '../../src/storage/complete-reader.ts';
import type { Measures, Order, ScanRequest } from '../../src/storage/contract.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { defineSummary, type Summary } from '../../src/summaries/define.ts';
import { calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';
import { STANDARD_SUMMARIES, summariesOf } from '../../src/summaries/standard.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-25T20:36:00Z');
const ALL = STANDARD_SUMMARIES.map(({ name }) => name);
const COMPLETE = { complete: true, gaps: [] };
const NOTHING_MISSING = { expired: [], budget: { reached: false } };
const sumPlans = defineSummary({ name: 'plans', key: () => null });

interface Given extends QueryContext {
  hooks?: readonly (string | Summary)[];
  /** Summaries with stored sums. Defaults to the hooks. */
  folded?: readonly Summary[];
}

/** Returns records with the column that is derived from the URL. */
function withPaths(records: readonly TestRecord[]): TestRecord[] {
  return records.map((record) => ({ path: pathOf(record.url ?? 'http://localhost/'), ...record }));
}

/** Stores records of the site `shop` in memory. Returns a query of that storage. */
async function openQuery(records: readonly TestRecord[], given: Given = {}): Promise<UsageQuery> {
  const { hooks = ALL, timeZone = 'UTC', ...context } = given;
  const storage = new MemoryStorage({ hooks });
  if (records.length > 0) {
    const writer = await openWriter(storage, { site: 'shop', timeZone });
    const journal = new TestJournal('a', given.folded ?? storage.summaries, timeZone, 'shop');
    // Two batches, so that sums are added up.
    const half = Math.ceil(records.length / 2);
    for (const part of [records.slice(0, half), records.slice(half)])
      await writer.apply(journal.batch(withPaths(part)));
  }
  return new UsageQuery(storage.reader, { site: 'shop', now: () => NOW, ...context });
}

const at = (text: string) => Date.parse(text);

/** Computes results naively, from all records of a storage. */
class Counted {
  readonly #records: readonly UsageRecord[];

  constructor(records: readonly UsageRecord[]) {
    this.#records = records;
  }

  static async of(records: readonly TestRecord[], timeZone: string): Promise<Counted> {
    const storage = new MemoryStorage({ hooks: [] });
    const writer = await openWriter(storage, { site: 'shop', timeZone });
    await writer.apply(new TestJournal('a', [], timeZone, 'shop').batch(withPaths(records)));
    return new Counted(await storage.getUsage({ site: 'shop', limit: 0 }));
  }

  where(keep: (record: UsageRecord) => boolean): Counted {
    return new Counted(this.#records.filter(keep));
  }

  get records(): readonly UsageRecord[] {
    return this.#records;
  }

  measures(): Measures {
    const sum = (of: (record: UsageRecord) => number) =>
      this.#records.reduce((total, record) => total + of(record), 0);
    return {
      hits: this.#records.length,
      transfer: sum((record) => record.contentLength),
      errors: sum((record) => Number(record.status >= 500)),
      duration: sum((record) => record.duration),
    };
  }

  totals() {
    const visitors = new Set(this.#records.map((record) => record.visitor));
    visitors.delete(null);
    return {
      ...this.measures(),
      visitors: visitors.size,
      bots: this.#records.filter((record) => record.bot).length,
    };
  }

  keys(summary: string): (Measures & { key: string | null })[] {
    const keys = [...new Set(this.#records.map((record) => keyOf(record, summary)))];
    return keys.map((key) => ({
      key,
      ...this.where((record) => keyOf(record, summary) === key).measures(),
    }));
  }
}

/** Returns the key of a record, from the documentation of the summaries rather than their columns. */
function keyOf(record: UsageRecord, summary: string): string | null {
  switch (summary) {
    case 'urls':
      return record.url;
    case 'remotes':
      return record.remoteAddr;
    case 'user-agents':
      return record.userAgent?.string ?? null;
    case 'languages':
      return record.language;
    case 'server':
      return record.serverName;
    case 'visitors':
      return record.visitor;
    case 'geo':
      return record.country;
    case 'routes':
      return record.route;
    case 'status':
      return `${record.status}`;
    case 'referrers':
      return record.referrer;
    case 'browsers':
      return record.userAgent?.browser ?? null;
    case 'bots':
      return record.bot ? (record.userAgent?.browser ?? record.userAgent?.string ?? null) : null;
    case 'platforms':
      return record.userAgent?.platform ?? null;
    case 'methods':
      return record.method;
    case 'protocols':
      return record.protocol;
    case 'users':
      return record.username;
    case 'paths':
      return record.path;
    case 'hosts':
      return record.referrerHost;
    case 'campaigns':
      return record.campaign;
    case 'devices':
      return record.userAgent?.device ?? null;
    case 'classes':
      return record.class;
    case 'pages':
      return record.class === 'page' ? record.path : null;
    case 'api':
      return record.class === 'api' ? record.path : null;
    case 'assets':
      return record.class === 'asset' ? record.path : null;
    case 'not-found':
      return record.status === 404 ? record.url : null;
    default:
      throw new Error(summary);
  }
}

const orNull = <T>(...values: T[]) => fc.constantFrom(...values, null);
/** Records with few distinct keys, around ends of months and the end of daylight saving time. */
const record: fc.Arbitrary<TestRecord> = fc
  .record({
    date: fc.oneof(
      fc.integer({ min: at('2026-09-20T00:00:00Z'), max: NOW }),
      fc.integer({ min: at('2026-10-24T20:00:00Z'), max: at('2026-10-25T04:00:00Z') }),
      fc.integer({ min: at('2026-10-31T20:00:00Z'), max: at('2026-11-01T04:00:00Z') }),
      fc.integer({ min: NOW - 4 * HOUR, max: NOW }),
      // A server's clock can be wrong.
      fc.integer({ min: NOW, max: NOW + 6 * HOUR }),
      fc.integer({ min: NOW, max: NOW + 60 * 24 * HOUR }),
    ),
    url: fc.constantFrom('http://shop/', 'http://shop/a', 'http://shop/A?b=1'),
    remoteAddr: orNull('198.51.100.1', '2001:db8::1'),
    agent: orNull('Mozilla/5.0', 'curl/8.5.0', 'Googlebot/2.1'),
    browser: orNull('Firefox', 'curl'),
    language: orNull('de', 'en-US'),
    serverName: fc.constantFrom('web-1', 'web-2'),
    visitor: orNull('v1', 'v2', 'v3', 'v4'),
    country: orNull('DE', 'AT'),
    route: orNull('/', '/a'),
    referrer: orNull('https://peer.example/'),
    status: fc.constantFrom(200, 404, 500, 503),
    contentLength: fc.integer({ min: 0, max: 5_000 }),
    duration: fc.integer({ min: 0, max: 5_000 }),
    bot: fc.boolean(),
  })
  // Browser and bot are known only with a user agent, and bots have no cookie.
  .map((each) => (each.agent === null ? { ...each, browser: null, bot: false } : each))
  .map((each) => (each.bot ? { ...each, visitor: null } : each));

const hour = fc
  .integer({ min: at('2026-10-01T00:00:00Z') / HOUR, max: Math.floor(NOW / HOUR) })
  .map((hours) => hours * HOUR);
const range: fc.Arbitrary<RangeOptions> = fc.oneof(
  fc.constantFrom<RangeOptions>(
    { range: 'today' },
    { range: '7d' },
    { range: '30d' },
    { range: 'month' },
    { range: '12mo' },
    { range: 'all' },
    { from: '2026-10', to: '2026-10' },
    { from: '2026-10-20', to: '2026-11-10' },
    { from: '2026-10-20T05:00' },
    { from: '2026-10-25', to: '2026-10-25' },
    { to: '2026-11-02' },
    { from: '2027-01-03', to: '2027-02-01' },
  ),
  fc.tuple(hour, hour).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) })),
);
const filter: fc.Arbitrary<Filter> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Filter>(
      { urls: 'http://shop/a' },
      { remotes: '2001:db8::1' },
      { remotes: null },
      { 'user-agents': 'curl/8.5.0' },
      { languages: 'de', status: '200' },
      { server: 'web-2' },
      { visitors: 'v1' },
      { geo: null, sumBrowsers: 'curl' },
      { routes: '/a' },
      { status: '503' },
      { referrers: 'https://peer.example/' },
      { browsers: 'Firefox' },
      { bots: null },
      { bots: 'Googlebot/2.1' },
    ),
  },
);
const world = fc.record({
  records: fc.array(record, { maxLength: 60 }),
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu'),
  range,
  filter,
  bots: fc.constantFrom<Bots>('include', 'include', 'exclude', 'only'),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

function bare(name: string): string {
  return STANDARD_SUMMARIES.find(({ title }) => title === name)?.name ?? name;
}

/** Returns a query, and a naive count of the records that match it. */
async function openWorld({ records, timeZone, filter, bots }: World) {
  const query = await openQuery(records, { timeZone });
  const all = await Counted.of(records, timeZone);
  const zone = calendar(records.length > 0 ? timeZone : 'UTC');
  const matching = all.where(
    (each) =>
      (bots === 'include' || each.bot === (bots === 'only')) &&
      Object.entries(filter).every(([name, key]) => keyOf(each, bare(name)) === key),
  );
  const within = ({ from, to }: { from: string; to: string }, isEmpty = false): Counted => {
    const end = isEmpty ? at(from) : zone.next('hour', at(to));
    return matching.where(({ date }) => date >= at(from) && date < end);
  };
  const isFuture = ({ from }: { from: string }) => at(from) > NOW;
  return {
    query,
    zone,
    counted: (result: { range: { from: string; to: string } }) =>
      within(result.range, isFuture(result.range)),
    earlier: (range: { from: string; to: string }) => within(range),
  };
}

/** Without data, the number of visitors is unknown. */
function orUnknown<T extends { visitors: number | null }>(totals: T, given: World) {
  const isKnown = given.records.length > 0 || Object.keys(given.filter).length > 0;
  return isKnown ? totals : { ...totals, visitors: null };
}

/** A range in the future is empty, and nothing is stored before a range without a start. */
function hasNoPrevious({ range }: World, { from }: { from: string }): boolean {
  return at(from) > NOW || range.range === 'all' || (range.range === undefined && range.from === undefined);
}

/** Options that select the requests of a world. */
function chosen({ range, filter, bots }: World) {
  return { ...range, filter, bots };
}

describe('results equal a naive count of the records', () => {
  test('totals, and those of the previous period', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const { query, counted, earlier } = await openWorld(given);
        const result = await query.totals({ ...chosen(given), compare: true });
        expect(result.totals).toEqual(orUnknown(counted(result).totals(), given));
        expect(result.previous === null).toBe(hasNoPrevious(given, result.range));
        if (!result.previous) return;
        expect(result.previous.totals).toEqual(orUnknown(earlier(result.previous.range).totals(), given));
      }),
      { numRuns: 150 },
    );
  });

  test('series: every bucket up to now, including empty ones, adding up to the totals', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom<Period>(...PERIODS), async (given, period) => {
        const { query, zone, counted, earlier } = await openWorld(given);
        const options = { ...chosen(given), compare: true };
        const result = await query.series({ ...options, period });
        const naive = (records: Counted, buckets: readonly Bucket[]) =>
          buckets.map(({ date }) => ({
            date,
            ...orUnknown(records.where((r) => zone.bucketOf(period, r.date) === at(date)).totals(), given),
          }));
        expect(result.buckets).toEqual(naive(counted(result), result.buckets));
        const sum = result.buckets.reduce((total, { hits }) => total + hits, 0);
        expect(sum).toBe((await query.totals(options)).totals.hits);
        expect(result.previous === null).toBe(hasNoPrevious(given, result.range));
        if (result.buckets.length === 0 || !result.previous) return;
        const starts = result.buckets.map(({ date }) => at(date));
        expect(starts[0]).toBe(zone.bucketOf(period, at(result.range.from)));
        expect(starts.slice(1)).toEqual(starts.slice(0, -1).map((start) => zone.next(period, start)));
        expect(starts.at(-1)).toBe(zone.bucketOf(period, at(result.range.to)));
        const { range, buckets } = result.previous;
        expect(buckets).toEqual(naive(earlier(range), buckets));
      }),
      { numRuns: 120 },
    );
  });

  test('coverage: returned and missing requests add up to all requests', async () => {
    const hooks = fc.subarray(['urls', 'visitors', 'bots']);
    const parts = fc.array(fc.record({ records: fc.array(record, { maxLength: 20 }), hooks }), {
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(parts, world, async (batches, { timeZone, range }) => {
        const storage = new MemoryStorage({ hooks: [] });
        const writer = await openWriter(storage, { site: 'shop', timeZone });
        const journal = new TestJournal('a', [], timeZone, 'shop');
        const fields: { date: number; bot: boolean; hooks: string[] }[] = [];
        for (const { records, hooks } of batches) {
          await writer.apply(journal.batch(records, summariesOf(hooks)));
          for (const { date = 0, bot = false } of records) fields.push({ date, bot, hooks });
        }
        const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
        const result = await query.totals(range);
        const begin = at(result.range.from);
        const end = begin > NOW ? begin : calendar(timeZone).next('hour', at(result.range.to));
        const within = fields.filter(({ date }) => date >= begin && date < end);
        expect(result.totals.hits).toBe(within.length);
        // The bots of all requests are known.
        expect(result.totals.bots).toBe(within.filter((each) => each.bot).length);
        const people = await query.totals({ ...range, bots: 'exclude' });
        // A summary that was never kept has no gaps.
        const uncounted = fields.some(({ hooks }) => hooks.includes('visitors'))
          ? within.filter((each) => !each.bot && !each.hooks.includes('visitors'))
          : [];
        expect(people.coverage.gaps.reduce((sum, { hits }) => sum + hits, 0)).toBe(uncounted.length);
        const { coverage } = await query.series({ ...range, period: 'month' });
        expect(coverage).toEqual(result.coverage);
        for (const summary of ['urls', 'visitors', 'bots']) {
          const missing = within.filter((each) => !each.hooks.includes(summary));
          const top = await query.top(summary, range);
          expect(top.total.hits).toBe(within.length - missing.length);
          const { gaps, complete } = top.coverage;
          expect(complete).toBe(missing.length === 0);
          // Each gap has its own requests. It starts with the hour of the first, and ends with the hour of the last.
          const hourOf = (ms: number) => calendar(timeZone).hourOf(ms);
          let left = missing;
          for (const { from, to, hits } of gaps) {
            const of = left.filter(({ date }) => hourOf(date) >= at(from) && hourOf(date) <= at(to));
            left = left.filter((each) => !of.includes(each));
            const hours = of.map(({ date }) => hourOf(date));
            expect([hits, Math.min(...hours), Math.max(...hours)]).toEqual([of.length, at(from), at(to)]);
          }
          expect(left).toEqual([]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('series of one key', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom(...ALL), async (given, summary) => {
        const { query, zone, counted } = await openWorld(given);
        for (const key of [null, 'v1', 'DE', '200', 'web-1', 'nobody']) {
          const result = await query.series({ ...chosen(given), summary, key });
          const records = counted(result).where((each) => keyOf(each, summary) === key);
          for (const { date, hits, transfer, errors, duration } of result.buckets) {
            const bucketRecords = records.where(
              (each) => zone.bucketOf(result.period, each.date) === at(date),
            );
            expect({ hits, transfer, errors, duration }).toEqual(bucketRecords.measures());
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('top: rows are ordered, and rows and others add up to the total', async () => {
    const page = fc.record({
      order: fc.constantFrom<Order>('hits', 'transfer', 'errors', 'duration', 'average'),
      search: fc.constantFrom('', 'A', 'fire', '1', 'nobody', '%'),
      limit: fc.constantFrom(0, 1, 2, 10),
      page: fc.constantFrom(1, 2, 3),
    });
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom(...ALL), page, async (given, summary, options) => {
        const paged: TopOptions = options.limit === 0 ? { ...options, page: 1 } : options;
        const { query, counted, earlier } = await openWorld(given);
        const result = await query.top(summary, { ...chosen(given), ...paged, compare: true });
        const { order, search, limit, page } = options;
        const keys = counted(result)
          .keys(summary)
          .filter(({ key }) => search === '' || key?.toLowerCase().includes(search.toLowerCase()));
        const rank = (row: Measures) => (order === 'average' ? row.duration / row.hits : row[order]);
        keys.sort(
          (a, b) =>
            rank(b) - rank(a) ||
            b.hits - a.hits ||
            (a.key === null ? 1 : b.key === null ? -1 : a.key < b.key ? -1 : 1),
        );
        const expected = limit === 0 ? keys : keys.slice(limit * (page - 1), limit * page);
        expect(result.rows.map(({ previous, ...row }) => row)).toEqual(expected);
        expect(result.count).toBe(keys.length);
        const add = (rows: readonly Measures[]) => rows.reduce((sum, { hits }) => sum + hits, 0);
        expect(result.total.hits).toBe(add(keys));
        expect(result.others.hits).toBe(result.total.hits - add(expected));
        if (result.rows.length === 0) return;
        const totals = await query.totals({ ...chosen(given), compare: true });
        if (!totals.previous) return;
        const recordsBefore = earlier(totals.previous.range);
        for (const { key, previous } of result.rows) {
          expect(previous).toEqual(recordsBefore.where((each) => keyOf(each, summary) === key).measures());
        }
      }),
      { numRuns: 150 },
    );
  });

  test('records: each once, newest first, for any page size', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom(1, 2, 7, 100), async (given, limit) => {
        const { query, counted } = await openWorld(given);
        const found: UsageRecord[] = [];
        let after: string | undefined;
        for (;;) {
          const options = { ...chosen(given), limit };
          const result = await query.records({ ...options, ...(after !== undefined && { after }) });
          expect(result.records.length).toBeLessThanOrEqual(limit);
          found.push(...result.records);
          if (result.next === null) {
            expect(found).toEqual(counted(result).records);
            return;
          }
          after = result.next;
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('totals', () => {
  const visits = [
    { date: at('2026-09-30T23:59:59Z'), visitor: 'v9' },
    { date: at('2026-10-02T10:00:00Z'), visitor: 'v1' },
    { date: at('2026-10-31T10:00:00Z'), visitor: 'v1', status: 500 },
    { date: at('2026-11-01T10:00:00Z'), visitor: 'v1' },
    { date: at('2026-11-02T01:00:00Z'), visitor: 'v2', bot: true, browser: 'Googlebot' },
    { date: at('2026-11-02T02:00:00Z'), visitor: null },
  ];

  test('a visitor in several months, days and hours counts once', async () => {
    const query = await openQuery(visits);
    expect(await query.totals({ from: '2026-10', to: '2026-11-02T02:59' })).toEqual({
      site: 'shop',
      timeZone: 'UTC',
      range: { from: '2026-10-01T00:00:00+00:00', to: '2026-11-02T02:00:00+00:00' },
      totals: { hits: 5, transfer: 25, errors: 1, duration: 7_500, visitors: 2, bots: 1 },
      coverage: COMPLETE,
      ...NOTHING_MISSING,
      dailyVisitors: false,
      previous: null,
    });
  });

  test('a visitor with an ID that is valid for a day counts once per day, and the result says so', async () => {
    const daily = [
      { date: at('2026-11-01T10:00:00Z'), visitor: 'd:01' },
      { date: at('2026-11-02T10:00:00Z'), visitor: 'd:02' },
      { date: at('2026-11-02T11:00:00Z'), visitor: null },
    ];
    const of = async (records: TestRecord[], options: ComparedOptions) => {
      const { totals, dailyVisitors } = await (await openQuery(records)).totals(options);
      return [totals.visitors, dailyVisitors];
    };
    for (const filter of [{}, { status: '200' }]) {
      const options = { range: 'all', filter } as const;
      expect(await of(daily, options)).toEqual([2, true]);
      expect(await of(daily.slice(2), options)).toEqual([0, false]);
      expect(await of([{ date: at('2026-11-01T10:00:00Z'), visitor: 'ab' }], options)).toEqual([1, false]);
      // The app began with a cookie.
      const both = [{ date: at('2026-10-31T10:00:00Z'), visitor: 'ab' }, ...daily];
      expect(await of(both, options)).toEqual([3, true]);
    }
  });

  test('visitors without their summary are null, not 0', async () => {
    const query = await openQuery(visits, { hooks: ['urls', 'visitors'] });
    expect((await query.totals({ range: 'all' })).totals).toMatchObject({ hits: 6, visitors: 3, bots: 1 });
    const basic = await openQuery(visits, { hooks: ['basic'] });
    expect((await basic.totals({ range: 'all' })).totals).toMatchObject({
      hits: 6,
      visitors: null,
      bots: 1,
    });
    const [bucket] = (await basic.series({ range: 'all' })).buckets;
    expect(bucket).toMatchObject({ visitors: null, bots: 0 });
  });

  test('all requests are counted with any summaries', async () => {
    for (const hooks of [[], [sumPlans], ['geo']]) {
      const query = await openQuery(visits, { hooks });
      const expected = { hits: 6, transfer: 30, errors: 1, duration: 9_000, visitors: null, bots: 1 };
      expect(await query.totals({ from: '2026-09' })).toMatchObject({ totals: expected, coverage: COMPLETE });
      const { buckets, coverage } = await query.series({ from: '2026-09', period: 'month' });
      expect(buckets.map(({ hits, visitors, bots }) => [hits, visitors, bots])).toEqual([
        [1, null, 0],
        [2, null, 0],
        [3, null, 1],
      ]);
      expect(coverage).toEqual(COMPLETE);
    }
  });

  test('a reader without optional methods returns the same filtered results', async () => {
    const storage = new MemoryStorage({ hooks: [sumPlans] });
    const writer = await openWriter(storage, { site: 'shop' });
    await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(visits));
    const { timeZone, summaries, sums, usage, scan, matchingRecords, close } = storage.reader;
    const reader = complete({ timeZone, summaries, sums, usage, scan, matchingRecords, close });
    const [query, memory] = [reader, storage.reader].map(
      (each) => new UsageQuery(each, { site: 'shop', now: () => NOW }),
    ) as [UsageQuery, UsageQuery];
    for (const filter of [{ status: '500' }, { visitors: 'v1', bots: null }, { status: '200' }]) {
      const options = { from: '2026-09', filter };
      expect(await query.totals(options)).toEqual(await memory.totals(options));
      expect(await query.series(options)).toEqual(await memory.series(options));
      expect(await query.top('urls', options)).toEqual(await memory.top('urls', options));
      expect((await query.top('urls', options)).count).toBe(1);
    }
    const all = await query.records({ from: '2026-09' });
    expect([all.records.length, all.next]).toEqual([6, null]);
    const { url } = all.records[0]!;
    const some = await query.records({ from: '2026-09', filter: { urls: url } });
    expect(some.records).toEqual(all.records.filter((record) => record.url === url));
  });
});

test('a reader without optional methods counts by the keys of URLs, which the records of queries do not contain', async () => {
  const storage = new MemoryStorage({ hooks: ['urls'] });
  const records = [{ url: '/a' }, { url: '/b', urlKey: '/a' }, { url: '/a', urlKey: '/c' }];
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  await writer.apply(journal.batch([...records, { url: '/a', date: NOW - 90 * 24 * 3_600_000 }]));
  const { timeZone, summaries, sums, usage, scan, matchingRecords, close } = storage.reader;
  const all = (request: ScanRequest) => scan({ ...request, from: undefined, to: undefined });
  const reader = complete({ timeZone, summaries, sums, usage, scan: all, matchingRecords, close });
  const query = new UsageQuery(reader, { site: 'default', now: () => NOW });
  const { rows } = await query.top('urls', { filter: { status: '200' } });
  expect(rows.map(({ key, hits }) => [key, hits])).toEqual([
    ['/a', 2],
    ['/c', 1],
  ]);
  expect((await query.totals({ filter: { urls: '/a' } })).totals.hits).toBe(2);
});

test('a range without a representable previous period is not compared', async () => {
  const query = await openQuery([{ date: NOW }]);
  const options = { compare: true, from: '1970-01-02' };
  expect((await query.totals(options)).previous).toBeNull();
  expect((await query.series(options)).previous).toBeNull();
  expect((await query.top('urls', options)).rows[0]!.previous).toBeNull();
});

describe('series', () => {
  test('a bucket partly in the range counts in part', async () => {
    const query = await openQuery([
      { date: at('2026-11-10T09:00:00Z'), visitor: 'v1' },
      { date: at('2026-11-10T10:00:00Z'), visitor: 'v2' },
      { date: at('2026-11-10T15:00:00Z'), visitor: 'v2' },
      { date: at('2026-11-12T11:59:00Z'), visitor: 'v3' },
      { date: at('2026-11-12T12:00:00Z'), visitor: 'v4' },
    ]);
    const options = { from: '2026-11-10T10:00', to: '2026-11-12T11:00', period: 'day' } as const;
    const short = ({ date, hits, visitors }: Bucket) => [date.slice(0, 10), hits, visitors];
    const expected = [
      ['2026-11-10', 2, 1],
      ['2026-11-11', 0, 0],
      ['2026-11-12', 1, 1],
    ];
    expect((await query.series(options)).buckets.map(short)).toEqual(expected);
    expect((await query.series({ ...options, filter: { status: '200' } })).buckets.map(short)).toEqual(
      expected,
    );
  });

  test('a day with 25 hours has 25 buckets', async () => {
    const query = await openQuery(
      [
        { date: at('2026-10-25T00:30:00Z') },
        { date: at('2026-10-25T01:30:00Z') },
        { date: at('2026-10-25T01:40:00Z') },
      ],
      { timeZone: 'Europe/Berlin' },
    );
    const { buckets, period } = await query.series({ from: '2026-10-25', to: '2026-10-25' });
    expect([period, buckets.length]).toEqual(['hour', 25]);
    expect(buckets.slice(2, 4).map(({ date, hits }) => [date, hits])).toEqual([
      ['2026-10-25T02:00:00+02:00', 1],
      ['2026-10-25T02:00:00+01:00', 2],
    ]);
  });

  test('the previous period has its own number of days', async () => {
    const query = await openQuery([{ date: at('2026-10-31T12:00:00Z') }]);
    const { buckets, previous } = await query.series({ from: '2026-11', to: '2026-11', compare: true });
    expect([buckets.length, previous!.buckets.length]).toEqual([25, 25]);
    const whole = await query.series({ from: '2026-10', to: '2026-10', compare: true });
    expect([whole.buckets.length, whole.previous!.buckets.length]).toEqual([31, 30]);
    expect(whole.previous!.range).toEqual({
      from: '2026-09-01T00:00:00+00:00',
      to: '2026-09-30T23:00:00+00:00',
    });
  });
});

describe('top', () => {
  const pages = Array.from({ length: 120 }, (_, n) => ({
    date: at('2026-11-20T00:00:00Z') + n,
    url: `http://shop/${n}`,
    contentLength: n,
  }));

  test('all keys with their previous values', async () => {
    const earlier = pages.map((page) => ({ ...page, date: page.date - 10 * 24 * HOUR, contentLength: 1 }));
    const query = await openQuery([...pages, ...earlier.slice(0, 100)]);
    for (const filter of [{}, { status: '200' }]) {
      const options = { from: '2026-11-11', to: '2026-11-20', compare: true, limit: 0 } as const;
      const { rows } = await query.top('urls', {
        ...options,
        order: 'transfer',
        filter,
      });
      expect(rows.map(({ key, previous }) => [key, previous?.hits])).toEqual(
        pages.toReversed().map(({ url }, n) => [url, n < 20 ? 0 : 1]),
      );
    }
  });

  test('a page after the last one is empty, and others has the total', async () => {
    const { rows, count, total, others } = await (await openQuery(pages)).top('urls', { page: 100 });
    expect({ rows, count, total: total.hits, others: others.hits }).toEqual({
      rows: [],
      count: 120,
      total: 120,
      others: 120,
    });
  });

  test.each([{}, { filter: { status: '200' } }, { bots: 'exclude' }] as const)(
    'all is the sum of all keys, whatever the search: %o',
    async (options) => {
      const query = await openQuery(pages);
      const { total, all } = await query.top('urls', { ...options, search: 'page-1', limit: 1 });
      const whole = await query.top('urls', options);
      expect(total.hits).toBeLessThan(all.hits);
      expect(all).toEqual(whole.total);
      expect(whole.all).toEqual(whole.total);
    },
  );

  test('a summary is found by both of its names', async () => {
    const query = await openQuery(pages);
    const byName = await query.top('urls');
    expect(byName.rows.length).toBe(10);
    expect(await query.top('sumUrls')).toEqual(byName);
    expect(await query.top(STANDARD_SUMMARIES[0]!)).toEqual(byName);
  });

  test('in a custom summary, each key of a record counts', async () => {
    const query = await openQuery(
      [
        { date: at('2026-11-20T00:00:00Z'), extra: { keys: { plans: ['gold', 'trial'] } } },
        { date: at('2026-11-20T01:00:00Z'), extra: { keys: { plans: ['gold'] } } },
        { date: at('2026-11-20T02:00:00Z') },
      ],
      { hooks: ['urls', sumPlans], summaries: [sumPlans] },
    );
    for (const summary of ['plans', sumPlans]) {
      const { rows, count, total } = await query.top(summary);
      expect([rows.map(({ key, hits }) => [key, hits]), count, total.hits]).toEqual([
        [
          ['gold', 2],
          ['trial', 1],
          [null, 1],
        ],
        3,
        4,
      ]);
    }
    const { buckets } = await query.series({
      range: 'month',
      period: 'month',
      summary: 'plans',
      key: 'gold',
    });
    expect(buckets.map(({ hits, visitors }) => [hits, visitors])).toEqual([[2, null]]);
    await expect(query.totals({ filter: { plans: 'gold' } })).rejects.toThrow(
      'filter is "plans"; expected a summary whose keys are stored in the records: urls, ',
    );
    await expect(query.top('plans', { filter: { status: '200' } })).rejects.toThrow(
      'summary is "plans"; expected a summary whose keys are stored in the records (required by filters and by bots): urls, ',
    );
    await expect(query.series({ summary: 'plans', key: 'gold', filter: { status: '200' } })).rejects.toThrow(
      'summary is "plans"',
    );
    await expect(query.top('plan')).rejects.toThrow(/unknown summary "plan"; use one of: urls, .*, plans\./);
  });
});

describe('people and bots', () => {
  const visits = [
    { date: at('2026-11-02T10:00:00Z'), url: 'http://shop/a', visitor: 'v1' },
    { date: at('2026-11-02T11:00:00Z'), url: 'http://shop/a', agent: 'Googlebot/2.1', bot: true },
    { date: at('2026-11-02T12:00:00Z'), url: 'http://shop/b', agent: 'Googlebot/2.1', bot: true },
    { date: at('2026-11-03T12:00:00Z'), url: 'http://shop/b', agent: 'Bingbot', bot: true },
  ];
  const month = { from: '2026-11', to: '2026-11-24' };

  test('totals, series and the keys of bots are read from the sums alone', async () => {
    const storage = new MemoryStorage({ hooks: ALL });
    const writer = await openWriter(storage, { site: 'shop' });
    await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(visits));
    const refuse = () => Promise.reject(new Error('reads records'));
    const reader = {
      ...storage.reader,
      matchingKeys: refuse,
      matchingSeries: refuse,
      matchingRecords: refuse,
    };
    const query = new UsageQuery(reader, { site: 'shop', now: () => NOW });
    const hits = async (bots: Bots) => {
      const { totals, previous } = await query.totals({ ...month, bots, compare: true });
      expect(previous!.totals.hits).toBe(0);
      const { buckets } = await query.series({ ...month, bots, period: 'day' });
      expect(buckets.reduce((sum, bucket) => sum + bucket.hits, 0)).toBe(totals.hits);
      const { rows, count, total } = await query.top('bots', { ...month, bots, limit: 1 });
      expect(total.hits).toBe(totals.hits);
      return [totals.hits, totals.bots, totals.visitors, rows[0]!.key, count];
    };
    expect(await hits('include')).toEqual([4, 3, 1, 'Googlebot/2.1', 3]);
    expect(await hits('exclude')).toEqual([1, 0, 1, null, 1]);
    expect(await hits('only')).toEqual([3, 3, 0, 'Googlebot/2.1', 2]);
    await expect(query.top('urls', { ...month, bots: 'only' })).rejects.toThrow('reads records');
  });

  test('bots without a summary of theirs are counted all the same', async () => {
    const query = await openQuery(visits, { hooks: [] });
    const { totals, coverage } = await query.totals({ ...month, bots: 'only' });
    expect([totals.hits, totals.bots, coverage]).toEqual([3, 3, COMPLETE]);
  });

  test('getSum and getUsage: sums and records of people and of bots, by pages', async () => {
    const storage = new MemoryStorage({ hooks: [...ALL, sumPlans] });
    const writer = await openWriter(storage, { site: 'shop' });
    await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(visits));
    const sums = async (summary: string, options: Omit<SumOptions, 'period'>) => {
      const found = await getSum(
        storage.reader,
        summary,
        { ...options, site: 'shop', period: 'day' },
        'UTC',
        NOW,
      );
      return found.map(({ date, key, hits }) => `${date.slice(8, 10)} ${key?.slice(-2)} ${hits}`);
    };
    expect(await sums('urls', { bots: 'only' })).toEqual(['03 /b 1', '02 /a 1', '02 /b 1']);
    for (const page of [1, 2, 3]) {
      const of = await sums('urls', { bots: 'only', limit: 1, page });
      expect(of).toEqual([['03 /b 1'], ['02 /a 1'], ['02 /b 1']][page - 1]);
    }
    expect(await sums('urls', { bots: 'only', limit: 2, page: 2 })).toEqual(['02 /b 1']);
    expect(await sums('urls', { bots: 'only', target: 'http://shop/b' })).toEqual(['03 /b 1', '02 /b 1']);
    expect(await sums('urls', { bots: 'exclude' })).toEqual(['02 /a 1']);
    expect(await sums('bots', { bots: 'only', limit: 1, page: 2 })).toEqual(['02 .1 2']);
    expect(await sums('bots', { bots: 'exclude' })).toEqual(['02 undefined 1']);
    expect(await sums('bots', { bots: 'only', target: null })).toEqual([]);
    const urls = async (options: UsageOptions) =>
      (await getUsage(storage.reader, { ...options, site: 'shop' }, 'UTC', NOW)).map(({ url }) =>
        url.slice(-1),
      );
    expect(await urls({ bots: 'only' })).toEqual(['b', 'b', 'a']);
    expect(await urls({ bots: 'exclude', limit: 0 })).toEqual(['a']);
    expect(await urls({ bots: 'only', limit: 2, page: 2 })).toEqual(['a']);
    await expect(urls({ bots: 'some' as Bots })).rejects.toThrow('bots is "some"');
    await expect(sums('plans', { bots: 'only' })).rejects.toThrow(
      'bots is "plans"; expected a summary whose keys are stored in the records',
    );
  });
});

describe('records', () => {
  test('pages neither repeat nor skip records while others are stored and the range moves', async () => {
    const storage = new MemoryStorage({ hooks: [] });
    const writer = await openWriter(storage, { site: 'shop' });
    const journal = new TestJournal('a', [], 'UTC', 'shop');
    let now = at('2026-11-25T23:50:00Z');
    const query = new UsageQuery(storage.reader, { site: 'shop', now: () => now });
    const visit = (n: number, date: string) => ({ date: at(date), url: `http://shop/${n}` });
    await writer.apply(
      journal.batch([
        visit(0, '2026-11-19T10:00:00Z'),
        visit(1, '2026-11-20T10:00:00Z'),
        visit(2, '2026-11-21T10:00:00Z'),
        visit(3, '2026-11-21T10:00:00Z'),
        visit(4, '2026-11-21T10:00:00Z'),
      ]),
    );
    const urls = (records: readonly UsageRecord[]) => records.map(({ path }) => path);
    const first = await query.records({ range: '7d', limit: 2 });
    expect(urls(first.records)).toEqual(['/4', '/3']);
    now = at('2026-11-26T00:10:00Z');
    await writer.apply(
      journal.batch([visit(5, '2026-11-26T00:05:00Z'), visit(6, '2026-11-21T10:00:00.001Z')]),
    );
    const second = await query.records({ range: '7d', limit: 2, after: first.next! });
    expect(urls(second.records)).toEqual(['/2', '/1']);
    expect(second.next).toBeNull();
  });
});

describe('minutes', () => {
  const minute = fc.record({
    date: fc.integer({ min: NOW - 5 * 60_000, max: NOW + 60_000 }),
    status: fc.constantFrom(200, 404, 500),
    contentLength: fc.nat(1_000),
    duration: fc.nat(1_000),
    bot: fc.boolean(),
    botName: fc.constant('Googlebot'),
  });

  test('equal a naive count of the records, minute by minute', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          minute.map(({ bot, botName, ...record }) => ({
            ...record,
            ...(bot && { bot, agent: botName, browser: botName }),
          })),
          { minLength: 1, maxLength: 40 },
        ),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom<Bots>('include', 'exclude', 'only'),
        fc.constantFrom<Filter>({}, { status: '500' }),
        async (records, minutes, bots, filter) => {
          const query = await openQuery(records, { timeZone: 'Asia/Kathmandu' });
          const counted = await Counted.of(records, 'Asia/Kathmandu');
          const { buckets } = await query.minutes({ minutes, bots, filter });
          expect(buckets.length).toBe(minutes);
          for (const { date, ...measures } of buckets) {
            const start = Date.parse(date);
            const ofMinute = counted.where(
              (record) =>
                Math.floor(record.date / 60_000) * 60_000 === start &&
                (bots === 'include' || record.bot === (bots === 'only')) &&
                (filter.status === undefined || record.status === 500),
            );
            expect(measures).toEqual(ofMinute.measures());
          }
          expect(buckets.at(-1)!.date).toBe('2026-11-26T02:21:00+05:45');
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the default is an hour, and a storage without records has 0', async () => {
    const { buckets, ...head } = await (await openQuery([])).minutes();
    expect(head).toEqual({ site: 'shop', timeZone: 'UTC' });
    expect(buckets.length).toBe(60);
    expect(buckets[0]).toEqual({
      date: '2026-11-25T19:37:00+00:00',
      ...{ hits: 0, transfer: 0, errors: 0, duration: 0 },
    });
  });
});

describe('no data', () => {
  test.each([
    ['an empty storage', [], 'shop'],
    ['a site without data', [{ date: NOW }], 'other'],
  ])('%s', async (_, records, site) => {
    const query = await openQuery(records as TestRecord[], { summaries: [sumPlans] });
    const range = { from: '2026-10-27T00:00:00+00:00', to: '2026-11-25T20:00:00+00:00' };
    const head = { site, timeZone: 'UTC', range, expired: [] };
    const budget = { reached: false };
    const nothing = { hits: 0, transfer: 0, errors: 0, duration: 0 };
    const unknown = { ...nothing, visitors: null, bots: 0 };
    expect(await query.totals({ site, compare: true })).toEqual({
      ...head,
      totals: unknown,
      coverage: COMPLETE,
      budget,
      dailyVisitors: false,
      previous: {
        range: { from: '2026-09-27T00:00:00+00:00', to: '2026-10-26T20:00:00+00:00' },
        totals: unknown,
      },
    });
    const { buckets } = await query.series({ site });
    expect(buckets.length).toBe(30);
    expect(buckets[0]).toEqual({ date: '2026-10-27T00:00:00+00:00', ...unknown });
    for (const summary of ['urls', 'plans']) {
      expect(await query.top(summary, { site, compare: true })).toEqual({
        ...head,
        summary,
        order: 'hits',
        rows: [],
        count: 0,
        total: nothing,
        all: nothing,
        others: nothing,
        coverage: COMPLETE,
        budget,
      });
    }
    expect(await query.records({ site })).toEqual({ ...head, records: [], next: null });
    expect((await query.totals({ site, range: 'all' })).range.from).toBe('2026-11-01T00:00:00+00:00');
    expect((await query.totals({ site, filter: { status: '200' } })).totals).toEqual({
      ...nothing,
      visitors: 0,
      bots: 0,
    });
    expect(await query.site({ site })).toEqual({
      site,
      timeZone: 'UTC',
      summaries: [{ name: 'plans', title: 'plans', custom: true, filter: false }],
      since: null,
      retention: [],
    });
  });

  test('a site without data has the time zone of the context', async () => {
    const query = await openQuery([], { timeZone: 'UTC' });
    expect((await query.site()).timeZone).toBe('UTC');
    const withTimeZone = new UsageQuery(new MemoryStorage().reader, {
      timeZone: 'Asia/Kathmandu',
      now: () => NOW,
    });
    expect(await withTimeZone.site()).toMatchObject({ site: 'default', timeZone: 'Asia/Kathmandu' });
    expect((await withTimeZone.totals({ range: 'today' })).range).toEqual({
      from: '2026-11-26T00:00:00+05:45',
      to: '2026-11-26T02:00:00+05:45',
    });
  });
});

test('summaries of a site are in the documented order, custom ones last', async () => {
  const query = await openQuery([{ date: NOW }], {
    hooks: [sumPlans, 'status', 'urls'],
    folded: [],
    timeZone: 'Europe/Berlin',
    summaries: [sumPlans],
  });
  expect((await query.site()).summaries.map(({ name }) => name)).toEqual(['plans']);
  const stored = await openQuery([{ date: NOW }], {
    hooks: [sumPlans, 'status', 'urls'],
    timeZone: 'Europe/Berlin',
  });
  expect(await stored.site()).toEqual({
    site: 'shop',
    timeZone: 'Europe/Berlin',
    summaries: [
      { name: 'urls', title: 'sumUrls', custom: false, filter: true },
      { name: 'status', title: 'sumStatus', custom: false, filter: true },
      { name: 'plans', title: 'plans', custom: true, filter: false },
    ],
    since: '2026-11-01T00:00:00+01:00',
    retention: [],
  });
});

describe('invalid input is refused by name', () => {
  const filters = [
    ['filter', { filter: 'status' }],
    ['filter', { filter: null }],
    ['filter', { filter: ['status'] }],
    ['filter', { filter: { nobody: 'x' } }],
    ['filter', { filter: { basic: 'x' } }],
    ['filter', { filter: { __proto__: null, toString: 'x' } }],
    ['filter.status', { filter: { status: 200 } }],
    ['filter.status', { filter: { status: undefined } }],
    ['bots', { bots: 'some' }],
    ['bots', { bots: null }],
    ['site', { site: 5 }],
    ['site', { site: null }],
    ['range', { range: 'last week' }],
    ['range', { range: '7d', to: '2026-11-01' }],
    ['from', { from: 'yesterday' }],
    ['from', { from: '2026-11-20', to: '2026-11-19' }],
    ['to', { to: '2026-13' }],
  ];
  const compared = [
    ...filters,
    ['compare', { compare: 'yes' }],
    ['compare', { compare: null }],
    ['compare', { compare: { to: '2026-01' } }],
    ['compare', { compare: { from: '2026-01', until: '2026-02' } }],
    ['compare.from', { compare: { from: 'x' } }],
    ['compare.from', { compare: { from: '2026-02', to: '2026-01' } }],
    ['compare.to', { compare: { from: '2026-02', to: 'x' } }],
  ];
  const cases: Record<string, [name: string, options: object][]> = {
    totals: compared as [string, object][],
    series: [
      ...compared,
      ['period', { period: 'week' }],
      ['period', { period: null }],
      ['period', { period: 'hour', from: '2025-01-01' }],
      ['period', { period: 'day', from: '1990-01-01' }],
      ['period', { from: '0001-01' }],
      ['compare', { period: 'hour', from: '2026-11-25', compare: { from: '2025-01' } }],
      ['compare', { range: 'today', compare: { from: '0000-01' } }],
      ['key', { summary: 'urls' }],
      ['key', { summary: 'urls', key: 5 }],
      ['summary', { key: 'x' }],
      ['summary', { summary: 5, key: 'x' }],
      ['summary', { summary: 'basic', key: 'x' }],
    ] as [string, object][],
    top: [
      ...compared,
      ['order', { order: 'size' }],
      ['order', { order: null }],
      ['search', { search: 5 }],
      ['search', { search: null }],
      ['limit', { limit: -1 }],
      ['limit', { limit: 1.5 }],
      ['limit', { limit: '10' }],
      ['page', { page: 0 }],
      ['page', { page: '1' }],
      ['page', { page: Number.MAX_SAFE_INTEGER }],
      ['page', { limit: 0, page: 2 }],
    ] as [string, object][],
    records: [
      ...filters,
      ['limit', { limit: 0 }],
      ['limit', { limit: 10_001 }],
      ['after', { after: 'x' }],
      ['after', { after: 5 }],
      ['after', { after: '' }],
    ] as [string, object][],
    minutes: [
      ...filters.filter(([name]) => !['range', 'from', 'to'].includes(name as string)),
      ['minutes', { minutes: 0 }],
      ['minutes', { minutes: 181 }],
      ['minutes', { minutes: 1.5 }],
    ] as [string, object][],
    site: [['site', { site: 5 }]],
  };
  for (const [method, wrong] of Object.entries(cases)) {
    test.each(wrong)(`${method}: %s %o`, async (name, options) => {
      const query = await openQuery([{ date: NOW }], { timeZone: 'Europe/Berlin' });
      const methods = query as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
      const result = method === 'top' ? methods.top!('urls', options) : methods[method]!(options);
      await expect(result).rejects.toMatchObject({
        code: 'QUERY_INVALID',
        message: expect.stringMatching(new RegExp(`^${name.replace('.', '\\.')} is `)),
      });
    });
  }

  test('top: unknown summary', async () => {
    const query = await openQuery([]);
    for (const summary of [undefined, null, 5, 'basic', {}]) {
      await expect(query.top(summary as never)).rejects.toMatchObject({ code: 'QUERY_INVALID' });
    }
  });
});
