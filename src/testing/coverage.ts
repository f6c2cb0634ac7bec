import { deepStrictEqual as equal } from 'node:assert';
import type { SeriesOptions } from '../query/query.ts';
import type { Gap } from '../query/query-types.ts';
import type { RangeOptions } from '../query/range.ts';
import type { Storage } from '../query/storage.ts';
import { getSum } from '../query/sums-and-records.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import type { QueryClient } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, type CaseLocation, openWriter } from './support.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const COMPLETE = { complete: true, gaps: [] };
const HOOKS = [['urls', 'server'], ['urls'], ['urls', 'visitors', 'bots'], ['visitors'], []] as const;

/** Hooks that change, apps with different hooks, and dates in the future. */
export function coverageCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'coverage: totals count every request, whatever the hooks were',
      run: () =>
        at(subject, async (location) => {
          const apps = await Apps.at(location);
          const day = (n: number, hooks: string[]) => apps.store(hooks, many(10, NOON + n * DAY));
          await day(-3, ['urls']);
          await day(-2, ['urls', 'server']);
          await day(-1, ['urls']);
          await day(0, []);
          const { client } = apps;
          for (const [n, hits] of [10, 20, 30, 40].entries()) {
            const range = { from: NOON - 3 * DAY, to: NOON + (n - 3) * DAY };
            equal((await client.totals(range)).totals.hits, hits);
            equal(await seriesHits(client, range), hits);
          }
          equal((await client.totals({ range: '7d' })).coverage, COMPLETE);
          const urls = await client.top('urls', { range: '7d' });
          equal([urls.total.hits, urls.coverage], [30, gapsOf('urls', [NOON, NOON, 10])]);
          const server = await client.top('server', { range: '7d' });
          const gaps: GapOf[] = [
            [NOON - 3 * DAY, NOON - 3 * DAY, 10],
            [NOON - DAY, NOON, 20],
          ];
          equal([server.total.hits, server.coverage], [10, gapsOf('server', ...gaps)]);
          // By months, days and hours, and by ranges that contain parts of them.
          for (const range of [{ range: 'all' }, { range: 'month' }, { from: NOON - 3 * DAY }] as const) {
            equal((await client.top('server', range)).coverage, gapsOf('server', ...gaps));
          }
          const part = await client.top('server', { from: NOON - 2 * DAY, to: NOON - DAY });
          equal(part.coverage, gapsOf('server', [NOON - DAY, NOON - DAY, 10]));
          equal(
            (await client.top('server', { from: NOON - 2 * DAY, to: NOON - 2 * DAY })).coverage,
            COMPLETE,
          );
          const key = { summary: 'server', key: 'default', range: '7d' } as const;
          equal((await client.series(key)).coverage, gapsOf('server', ...gaps));
        }),
    },
    {
      name: 'coverage: visitors are those of the time in which they were kept, and bots are always counted',
      run: () =>
        at(subject, async (location) => {
          const apps = await Apps.at(location);
          await apps.store(['urls'], [{ date: NOON - 2 * DAY, visitor: 'a' }]);
          await apps.store(
            ['visitors', 'bots'],
            [{ date: NOON - DAY, visitor: 'b', agent: 'Googlebot/2.1', bot: true }],
          );
          await apps.store(['urls'], [{ date: NOON - DAY, visitor: 'd' }]);
          await apps.store(['visitors'], [{ date: NOON, visitor: 'c' }]);
          const { totals, coverage } = await apps.client.totals({ range: '7d' });
          equal([totals.hits, totals.visitors, totals.bots], [4, 2, 1]);
          equal(coverage, gapsOf('visitors', [NOON - 2 * DAY, NOON - DAY, 2]));
          const series = await apps.client.series({ range: '7d' });
          equal(
            series.buckets.slice(-4).map(({ hits, visitors, bots }) => [hits, visitors, bots]),
            [
              [0, 0, 0],
              [1, null, 0],
              [2, 1, 1],
              [1, 1, 0],
            ],
          );
          equal(series.coverage, coverage);
          // There is no comparison with a partly covered period.
          const range = { from: NOON, to: NOON, compare: true };
          const before = (await apps.client.totals(range)).previous?.totals;
          equal([before?.hits, before?.visitors, before?.bots], [2, null, 1]);
          const hour = (await apps.client.series(range)).previous?.buckets[0];
          equal([hour?.hits, hour?.visitors, hour?.bots], [2, null, 1]);
          equal((await apps.client.top('urls', range)).rows, []);
          const top = await apps.client.top('visitors', { ...range, from: NOON - DAY, to: NOON });
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
      name: 'coverage: apps with different hooks at the same time, late records, and an empty location',
      run: () =>
        at(subject, async (location) => {
          const empty = await location.openClient(location.storage([]), { now: NOON });
          equal((await empty.top('urls', { range: 'all' })).coverage, COMPLETE);
          const apps = await Apps.at(location);
          // An imported log begins long before the first start.
          await apps.store(['urls'], many(3, NOON - 400 * DAY));
          equal((await apps.client.top('urls', { range: 'all' })).coverage, COMPLETE);
          // Two processes of a rolling deploy, each in turn, within the same hours.
          for (let n = 0; n < 4; n++) {
            const date = NOON - 10 * HOUR + n * HOUR;
            await apps.store(['urls'], many(2, date));
            await apps.store(['urls', 'status'], many(3, date));
          }
          const gap: GapOf = [NOON - 10 * HOUR, NOON - 7 * HOUR, 8];
          const status = await apps.client.top('status', { range: '7d' });
          equal([status.total.hits, status.coverage], [12, gapsOf('status', gap)]);
          // The hooks of the app that stores a record apply.
          await apps.store(['urls', 'status'], many(5, NOON - 3 * DAY));
          await apps.store(['status'], many(1, NOON - 2 * DAY));
          equal((await apps.client.top('status', { range: '7d' })).coverage, gapsOf('status', gap));
          const urls = await apps.client.top('urls', { range: '7d' });
          equal(urls.coverage, gapsOf('urls', [NOON - 2 * DAY, NOON - 2 * DAY, 1]));
          equal((await apps.client.totals({ range: '7d' })).totals.hits, urls.total.hits + 1);
        }),
    },
    {
      name: 'coverage: random hooks and dates, some in the future: answers are what is counted',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          const random = new Random(20_261_203);
          const stored: TestRecord[] = [];
          for (const hooks of HOOKS) {
            const records = Array.from({ length: 30 }, () => random.record());
            stored.push(...records);
            await apply(records, hooks);
          }
          const { same } = await compare({ now: NOON });
          const until = Date.UTC(2026, 10, 24, 13);
          for (const range of ['30d', 'all'] as const) {
            const options = { range, compare: range !== 'all' };
            const answer = await same(`totals ${range}`, (of) => of.totals(options));
            const from = Date.parse(answer.range.from);
            const counted = stored.filter(({ date = NOON }) => date >= from && date < until);
            equal(answer.totals.hits, counted.length, range);
            await same(`series ${range}`, (of) => of.series(options));
            for (const summary of ['urls', 'visitors']) {
              const top = await same(`${summary} ${range}`, (of) => of.top(summary, options));
              const missing = top.coverage.gaps.reduce((sum, { hits }) => sum + hits, 0);
              equal(top.total.hits + missing, counted.length, `${summary} ${range}`);
            }
          }
        }),
    },
    {
      name: 'ranges until now: a record with a later date is in no answer until its hour',
      run: () =>
        at(subject, async (location) => {
          const apps = await Apps.at(location);
          const ahead = [0, MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY, 5 * DAY, 6 * DAY, 40 * DAY];
          await apps.store(
            ['urls', 'visitors', 'bots'],
            [-400 * DAY, -40 * DAY, -DAY, -HOUR, ...ahead].map((ms, n) => ({
              date: NOON + ms,
              url: `http://localhost/${n % 3}`,
              visitor: `v${n}`,
            })),
          );
          for (const ms of [0, HOUR, 6 * DAY]) await untilNow(location, apps.storage, NOON + ms);
        }),
    },
  ];
}

/** Checks that all results for a range that ends now count the same records. */
async function untilNow(location: CaseLocation, storage: Storage, now: number): Promise<void> {
  const client = await location.openClient(storage, { now });
  const ranges: RangeOptions[] = [
    { range: 'today' },
    { range: '12mo' },
    { from: NOON - 2 * DAY, to: now + 100 * DAY },
  ];
  const check = async (range: RangeOptions) => {
    const { length: hits } = await client.records(range);
    const where = JSON.stringify([range, now - NOON]);
    const { totals } = await client.totals(range);
    equal([totals.hits, totals.visitors], [hits, hits], where);
    equal(await seriesHits(client, range), hits, where);
    const top = await client.top('urls', range);
    equal([top.total.hits, top.coverage], [hits, COMPLETE], where);
    const [first] = top.rows;
    const key = { ...range, summary: 'urls', key: first?.key ?? null };
    equal(await seriesHits(client, key), first?.hits ?? 0, where);
    const filtered = { ...range, filter: { status: '200' } };
    equal((await client.totals(filtered)).totals, { ...totals, bots: 0 }, where);
    equal(await seriesHits(client, filtered), hits, where);
  };
  await Promise.all(ranges.map(check));
  const all = await client.usage();
  equal(all.length, (await client.totals({ range: 'all' })).totals.hits);
  await Promise.all(PERIODS.map((period) => sumsUntilNow(client, period, all.length)));
  // Without a period there are no pages.
  const { day } = await getSum(storage.reader, 'urls', {}, 'UTC', now);
  const today = await client.top('urls', { range: 'today' });
  equal(
    day.map(({ key, hits }) => [key, hits]),
    today.rows.map(({ key, hits }) => [key, hits]),
  );
  // With a later end, later records are included.
  const later = await client.usage({ to: NOON + 100 * DAY });
  equal(later.length, 13);
}

/** Checks all pages, some single pages, and one key. */
async function sumsUntilNow(client: QueryClient, period: Period, hits: number): Promise<void> {
  const every = await client.sums('urls', { period });
  equal(
    every.reduce((sum, row) => sum + row.hits, 0),
    hits,
    period,
  );
  const pages = Array.from({ length: 3 }, (_, n) => client.sums('urls', { period, limit: 2, page: n + 1 }));
  equal((await Promise.all(pages)).flat(), every.slice(0, 6), period);
  const target = 'http://localhost/1';
  equal(
    await client.sums('urls', { period, target }),
    every.filter(({ key }) => key === target),
  );
}

/** Apps with different hooks that store in the same location. */
class Apps {
  readonly storage: Storage;
  /** Queries the location at `NOON`. */
  readonly client: QueryClient;
  readonly #location: CaseLocation;
  #count = 0;

  private constructor(location: CaseLocation, storage: Storage, client: QueryClient) {
    this.#location = location;
    this.storage = storage;
    this.client = client;
  }

  static async at(location: CaseLocation): Promise<Apps> {
    const storage = location.storage([]);
    return new Apps(location, storage, await location.openClient(storage, { now: NOON }));
  }

  /** Starts an app that stores these records and ends. */
  async store(hooks: readonly string[], records: readonly TestRecord[]): Promise<void> {
    const storage = this.#location.storage(hooks);
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

async function seriesHits(client: QueryClient, options: SeriesOptions): Promise<number> {
  const { buckets } = await client.series(options);
  return buckets.reduce((sum, { hits }) => sum + hits, 0);
}
