import { deepStrictEqual as equal } from 'node:assert';
import { UsageQuery } from '../query/query.ts';
import type { Gap } from '../query/query-types.ts';
import type { RangeOptions } from '../query/range.ts';
import type { Storage } from '../query/storage.ts';
import { getSum, getUsage, type SumOptions } from '../query/sums-and-records.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import type { Subject, TestCase, TestLocation } from './index.ts';
import { Random } from './random.ts';
import { at, besideMemory, openWriter } from './support.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const COMPLETE = { complete: true, gaps: [] };
const HOOKS = [['urls', 'server'], ['urls'], ['urls', 'visitors', 'bots'], ['visitors'], []] as const;

type Place = TestLocation & { keep<T extends { close(): Promise<unknown> }>(opened: T): T };

/** Hooks that change, several apps with different ones, and dates that have not come yet. */
export function coverageCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'coverage: totals count every request, whatever was kept when',
      run: () =>
        at(subject, async (place) => {
          const apps = new Apps(place);
          const day = (n: number, hooks: string[]) => apps.store(hooks, many(10, NOON + n * DAY));
          await day(-3, ['urls']);
          await day(-2, ['urls', 'server']);
          await day(-1, ['urls']);
          await day(0, []);
          const { query } = apps;
          for (const [n, hits] of [10, 20, 30, 40].entries()) {
            const range = { from: NOON - 3 * DAY, to: NOON + (n - 3) * DAY };
            equal((await query.totals(range)).totals.hits, hits);
            equal(await seriesHits(query, range), hits);
          }
          equal((await query.totals({ range: '7d' })).coverage, COMPLETE);
          const urls = await query.top('urls', { range: '7d' });
          equal([urls.total.hits, urls.coverage], [30, gapsOf('urls', [NOON, NOON, 10])]);
          const server = await query.top('server', { range: '7d' });
          const gaps: GapOf[] = [
            [NOON - 3 * DAY, NOON - 3 * DAY, 10],
            [NOON - DAY, NOON, 20],
          ];
          equal([server.total.hits, server.coverage], [10, gapsOf('server', ...gaps)]);
          // By months, days and hours, and those of a range that holds them in part.
          for (const range of [{ range: 'all' }, { range: 'month' }, { from: NOON - 3 * DAY }] as const) {
            equal((await query.top('server', range)).coverage, gapsOf('server', ...gaps));
          }
          const part = await query.top('server', { from: NOON - 2 * DAY, to: NOON - DAY });
          equal(part.coverage, gapsOf('server', [NOON - DAY, NOON - DAY, 10]));
          equal((await query.top('server', { from: NOON - 2 * DAY, to: NOON - 2 * DAY })).coverage, COMPLETE);
          const key = { summary: 'server', key: 'default', range: '7d' } as const;
          equal((await query.series(key)).coverage, gapsOf('server', ...gaps));
        }),
    },
    {
      name: 'coverage: visitors and robots are those of the time in which they were kept',
      run: () =>
        at(subject, async (place) => {
          const apps = new Apps(place);
          await apps.store(['urls'], [{ date: NOON - 2 * DAY, visitor: 'a' }]);
          await apps.store(
            ['visitors', 'bots'],
            [{ date: NOON - DAY, visitor: 'b', agent: 'Googlebot/2.1', bot: true }],
          );
          await apps.store(['urls'], [{ date: NOON - DAY, visitor: 'd' }]);
          await apps.store(['visitors'], [{ date: NOON, visitor: 'c' }]);
          const { totals, coverage } = await apps.query.totals({ range: '7d' });
          equal([totals.hits, totals.visitors, totals.bots], [4, 2, 1]);
          const gaps = [
            ...gapsOf('visitors', [NOON - 2 * DAY, NOON - DAY, 2]).gaps,
            ...gapsOf('bots', [NOON - 2 * DAY, NOON, 3]).gaps,
          ];
          equal(coverage, { complete: false, gaps });
          const series = await apps.query.series({ range: '7d' });
          equal(
            series.buckets.slice(-4).map(({ hits, visitors, bots }) => [hits, visitors, bots]),
            [
              [0, 0, 0],
              [1, null, null],
              [2, 1, 1],
              [1, 1, null],
            ],
          );
          equal(series.coverage, coverage);
          // With what is known in part nothing is compared.
          const range = { from: NOON, to: NOON, compare: true };
          const before = (await apps.query.totals(range)).previous?.totals;
          equal([before?.hits, before?.visitors, before?.bots], [2, null, null]);
          const hour = (await apps.query.series(range)).previous?.buckets[0];
          equal([hour?.hits, hour?.visitors, hour?.bots], [2, null, null]);
          equal((await apps.query.top('urls', range)).rows, []);
          const top = await apps.query.top('visitors', { ...range, from: NOON - DAY, to: NOON });
          equal(
            top.rows.map(({ key, previous }) => [key, previous]),
            [
              ['b', null],
              ['c', null],
            ],
          );
        }),
    },
    {
      name: 'coverage: apps with other hooks at the same time, records that come late, and an empty place',
      run: () =>
        at(subject, async (place) => {
          const empty = new UsageQuery(place.storage([]).reader, { now: () => NOON });
          equal((await empty.top('urls', { range: 'all' })).coverage, COMPLETE);
          const apps = new Apps(place);
          // A log that is imported begins long before the first start.
          await apps.store(['urls'], many(3, NOON - 400 * DAY));
          equal((await apps.query.top('urls', { range: 'all' })).coverage, COMPLETE);
          // Two processes of a rolling deploy, each in turn, within the same hours.
          for (let n = 0; n < 4; n++) {
            const date = NOON - 10 * HOUR + n * HOUR;
            await apps.store(['urls'], many(2, date));
            await apps.store(['urls', 'status'], many(3, date));
          }
          const gap: GapOf = [NOON - 10 * HOUR, NOON - 7 * HOUR, 8];
          const status = await apps.query.top('status', { range: '7d' });
          equal([status.total.hits, status.coverage], [12, gapsOf('status', gap)]);
          // What a journal held back is counted by who stores it, with what that one keeps.
          await apps.store(['urls', 'status'], many(5, NOON - 3 * DAY));
          await apps.store(['status'], many(1, NOON - 2 * DAY));
          equal((await apps.query.top('status', { range: '7d' })).coverage, gapsOf('status', gap));
          const urls = await apps.query.top('urls', { range: '7d' });
          equal(urls.coverage, gapsOf('urls', [NOON - 2 * DAY, NOON - 2 * DAY, 1]));
          equal((await apps.query.totals({ range: '7d' })).totals.hits, urls.total.hits + 1);
        }),
    },
    {
      name: 'coverage: random hooks and dates, some of them ahead: what is answered is what is counted',
      run: () =>
        besideMemory(subject, [], async ({ storage, readers: [reader, memory], apply, keep }) => {
          const random = new Random(20_261_203);
          const stored: TestRecord[] = [];
          for (const hooks of HOOKS) {
            const records = Array.from({ length: 30 }, () => random.record());
            stored.push(...records);
            await apply(records, hooks);
          }
          keep(storage);
          const query = new UsageQuery(reader, { now: () => NOON });
          const other = new UsageQuery(memory, { now: () => NOON });
          const until = Date.UTC(2026, 10, 24, 13);
          for (const range of ['30d', 'all'] as const) {
            const options = { range, compare: range !== 'all' };
            const { totals, ...rest } = await query.totals(options);
            const from = Date.parse(rest.range.from);
            const counted = stored.filter(({ date = NOON }) => date >= from && date < until);
            equal(totals.hits, counted.length, range);
            equal({ totals, ...rest }, await other.totals(options), range);
            equal(await query.series(options), await other.series(options), range);
            for (const summary of ['urls', 'visitors']) {
              const page = { ...options, limit: 2 };
              const top = await query.top(summary, page);
              equal(top, await other.top(summary, page), range);
              const missing = top.coverage.gaps.reduce((sum, { hits }) => sum + hits, 0);
              equal(top.total.hits + missing, counted.length, `${summary} ${range}`);
            }
          }
        }),
    },
    {
      name: 'ranges until now: what is dated ahead waits for its hour, in every answer',
      run: () =>
        at(subject, async (place) => {
          const apps = new Apps(place);
          const ahead = [0, MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY, 5 * DAY, 6 * DAY, 40 * DAY];
          await apps.store(
            ['urls', 'visitors', 'bots'],
            [-400 * DAY, -40 * DAY, -DAY, -HOUR, ...ahead].map((ms, n) => ({
              date: NOON + ms,
              url: `http://localhost/${n % 3}`,
              visitor: `v${n}`,
            })),
          );
          for (const ms of [0, HOUR, 6 * DAY]) await untilNow(apps.storage, NOON + ms);
        }),
    },
  ];
}

/** All that answers a range that ends now says the same. */
async function untilNow(storage: Storage, now: number): Promise<void> {
  const { reader } = storage;
  const query = new UsageQuery(reader, { now: () => now });
  const ranges: RangeOptions[] = [
    { range: 'today' },
    { range: '12mo' },
    { from: NOON - 2 * DAY, to: now + 100 * DAY },
  ];
  const check = async (range: RangeOptions) => {
    const { records } = await query.records({ ...range, limit: 1_000 });
    const { length: hits } = records;
    const where = JSON.stringify([range, now - NOON]);
    const { totals } = await query.totals(range);
    equal([totals.hits, totals.visitors], [hits, hits], where);
    equal(await seriesHits(query, range), hits, where);
    const top = await query.top('urls', { ...range, limit: 0 });
    equal([top.total.hits, top.coverage], [hits, COMPLETE], where);
    const [first] = top.rows;
    const key = { ...range, summary: 'urls', key: first?.key ?? null };
    equal(await seriesHits(query, key), first?.hits ?? 0, where);
    const filtered = { ...range, filter: { status: '200' } };
    equal((await query.totals(filtered)).totals, { ...totals, bots: 0 }, where);
    equal(await seriesHits(query, filtered), hits, where);
  };
  await Promise.all(ranges.map(check));
  const all = await getUsage(reader, { limit: 0 }, 'UTC', now);
  equal(all.length, (await query.totals({ range: 'all' })).totals.hits);
  await Promise.all(PERIODS.map((period) => sumsUntilNow(storage, period, now, all.length)));
  const { day } = await getSum(reader, 'urls', {}, 'UTC', now);
  const today = await query.top('urls', { range: 'today', limit: 0 });
  equal(
    day.map(({ key, hits }) => [key, hits]),
    today.rows.map(({ key, hits }) => [key, hits]),
  );
  // What is asked for by its date is answered.
  const later = await getUsage(reader, { limit: 0, to: NOON + 100 * DAY }, 'UTC', now);
  equal(later.length, 13);
}

/** Whole, a page at a time, and a key by itself. */
async function sumsUntilNow({ reader }: Storage, period: Period, now: number, hits: number): Promise<void> {
  const ask = (options: SumOptions) => getSum(reader, 'urls', { limit: 0, ...options, period }, 'UTC', now);
  const every = await ask({});
  equal(
    every.reduce((sum, row) => sum + row.hits, 0),
    hits,
    period,
  );
  const pages = Array.from({ length: 3 }, (_, page) => ask({ limit: 2, page: page + 1 }));
  equal((await Promise.all(pages)).flat(), every.slice(0, 6), period);
  const target = 'http://localhost/1';
  equal(
    await ask({ target }),
    every.filter(({ key }) => key === target),
  );
}

/** Apps that store into one place, each with hooks of its own. */
class Apps {
  readonly storage: Storage;
  readonly query: UsageQuery;
  readonly #place: Place;
  #count = 0;

  constructor(place: Place) {
    this.#place = place;
    this.storage = place.storage([]);
    this.query = new UsageQuery(this.storage.reader, { now: () => NOON });
  }

  /** Starts an app that stores these records and ends. */
  async store(hooks: readonly string[], records: readonly TestRecord[]): Promise<void> {
    const storage = this.#place.storage(hooks);
    const writer = await openWriter(storage);
    this.#count += 1;
    const journal = new TestJournal(`a${this.#count}f`, storage.summaries);
    equal(await writer.apply(journal.batch(records)), true);
    await writer.close();
  }
}

type GapOf = [first: number, last: number, hits: number];

function gapsOf(summary: string, ...gaps: GapOf[]): { complete: boolean; gaps: Gap[] } {
  const hour = (ms: number) => new Date(Math.floor(ms / HOUR) * HOUR).toISOString().slice(0, 19);
  return {
    complete: false,
    gaps: gaps.map(([first, last, hits]) => ({
      summary,
      from: `${hour(first)}+00:00`,
      to: `${hour(last)}+00:00`,
      hits,
    })),
  };
}

function many(count: number, date: number): TestRecord[] {
  return Array.from({ length: count }, () => ({ date }));
}

async function seriesHits(query: UsageQuery, options: Parameters<UsageQuery['series']>[0]): Promise<number> {
  const { buckets } = await query.series(options);
  return buckets.reduce((sum, { hits }) => sum + hits, 0);
}
