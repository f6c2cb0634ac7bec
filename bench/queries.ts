import { join } from 'node:path';
import type { UsageQuery } from '../src/query/query.ts';
import type { RangeName } from '../src/query/range.ts';
import type { Storage } from '../src/query/storage.ts';
import type { Adopted } from './storing.ts';
import { Child } from './support/child.ts';
import { decimals, spread, table, whole } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { library, load } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { newDirectory, removeDirectory } from './support/place.ts';
import { engineOf } from './support/storages.ts';
import { traffic } from './support/traffic.ts';

const STORING = join(import.meta.dirname, 'storing.ts');
const DAY = 24 * 60 * 60 * 1000;
/** Number of records per day, for ten million per year. */
const DAILY = 27_400;
/** Number of requests before each query, while the dashboard is in use. */
const LIVE = 100;
const ENGINES = ['sqlite', 'postgres'];
const RANGES: readonly RangeName[] = ['30d', '12mo'];
/** Default panels of the dashboard. */
const PANELS = ['urls', 'referrers', 'geo', 'browsers', 'remotes', 'status'];

type Ask = (query: UsageQuery, range: RangeName) => Promise<unknown>;

const top =
  (summary: string, more: object = {}): Ask =>
  (query, range) =>
    query.top(summary, { range, ...more });

const QUERIES: Readonly<Record<string, Ask>> = {
  'first screen, all of it': async (query, range) => {
    await query.site();
    await Promise.all([
      query.totals({ range, compare: true }),
      query.series({ range, compare: true }),
      ...PANELS.map((summary) => query.top(summary, { range })),
    ]);
  },
  'totals, with the period before': (query, range) => query.totals({ range, compare: true }),
  'chart, with the period before': (query, range) => query.series({ range, compare: true }),
  'chart by day': (query, range) => query.series({ range, period: 'day' }),
  ...Object.fromEntries(
    [
      'urls',
      'routes',
      'referrers',
      'geo',
      'languages',
      'browsers',
      'user-agents',
      'bots',
      'remotes',
      'status',
    ].map((summary) => [`panel ${summary}`, top(summary)]),
  ),
  'panel visitors': top('visitors'),
  'panel urls by time': top('urls', { order: 'duration' }),
  'panel urls, searched': top('urls', { search: 'shoes+12' }),
  'panel urls, 50 rows, page 20': top('urls', { limit: 50, page: 20 }),
  'panel urls, with the period before': top('urls', { compare: true }),
  'chart of one URL': (query, range) =>
    query.series({ range, summary: 'urls', key: 'https://shop.example.org/products/0' }),
  'newest 100 requests': (query, range) => query.records({ range }),
  'totals, filtered by a country': (query, range) => query.totals({ range, filter: { geo: 'DE' } }),
  'panel urls, filtered by a country': top('urls', { filter: { geo: 'DE' } }),
};
/** Queries that read records instead of sums, which are measured less often. */
const SLOW = /filtered/;

/** Measures the dashboard's queries over a year with many records. */
export async function run({ quick, storage, rounds = quick ? 2 : 5 }: BenchOptions): Promise<Report> {
  const days = quick ? 35 : 365;
  const records = days * DAILY;
  const engines = storage === undefined ? ENGINES : [engineOf(storage).name];
  const tables: Report['tables'] = [];
  const data: Record<string, Record<string, number[]>> = {};
  for (const engine of engines) {
    const found = await measure(engine, days, rounds);
    data[engine] = found;
    tables.push({ title: `${engine}, ms`, text: tableOf(found) });
  }
  return {
    title: 'Queries',
    method:
      `${whole(records)} records spread over ${days} days, the last of them today (10,000 URLs and 20,000 visitors, few of ` +
      `them most of it), in all ${(await hooks()).length} standard summaries; then the dashboard's queries, each ` +
      `${rounds} times after a first (filtered ones, which read the records, twice), by the library without HTTP. ` +
      `Before each, ${LIVE} more requests of today are stored. Median (min–max); the first time, when nothing is remembered ` +
      'yet of what the queries above it did not read, stands beside it.',
    tables,
    data,
  };
}

async function measure(storageName: string, days: number, rounds: number): Promise<Record<string, number[]>> {
  const records = days * DAILY;
  const today = Math.floor(Date.now() / DAY) * DAY;
  const engine = engineOf(storageName);
  const directory = newDirectory();
  const place = await engine.start(directory);
  const child = new Child(STORING);
  let storage: Storage | undefined;
  try {
    storage = await engine.storage(place.url, await hooks());
    progress(`queries: ${storageName}, writing ${whole(records)} records`);
    const { identity } = storage;
    let count = 0;
    const store = async (more: number, ofDays: number): Promise<void> => {
      const begin = today - (ofDays - 1) * DAY;
      const requests = traffic(more, 'zipf', ofDays, begin);
      const journal = await writeJournal(directory, identity, requests);
      const asked = { directory, journal, engine: storageName, url: place.url, hooks: await hooks() };
      const stored = await child.ask<Adopted>('adopt', asked);
      count += more;
      if (stored.records !== count) throw new Error(`${stored.records} of ${count} records were stored`);
    };
    progress(`queries: ${storageName}, storing ${whole(records)} records`);
    await store(records, days);
    const { UsageQuery: Query } = await load<{ UsageQuery: typeof UsageQuery }>('query/query.js');
    const query = new Query(storage.reader);
    const found: Record<string, number[]> = {};
    for (const range of RANGES) {
      for (const [name, read] of Object.entries(QUERIES)) {
        progress(`queries: ${storageName}, ${range}, ${name}`);
        const time = async () => {
          await store(LIVE, 1);
          const started = performance.now();
          await read(query, range);
          return performance.now() - started;
        };
        found[`${range} ${name}, first`] = [await time()];
        const times: number[] = [];
        const most = SLOW.test(name) ? Math.min(2, rounds) : rounds;
        for (let round = 0; round < most; round++) times.push(await time());
        found[`${range} ${name}`] = times;
      }
    }
    return found;
  } finally {
    await storage?.close();
    await child.stop();
    await place.stop();
    removeDirectory(directory);
  }
}

async function hooks(): Promise<string[]> {
  return (await library()).STANDARD_SUMMARIES.map(({ name }) => name);
}

function tableOf(found: Record<string, number[]>): string {
  const rows = Object.keys(QUERIES).map((name) => [
    name,
    ...RANGES.flatMap((range) => [
      spread(found[`${range} ${name}`]!, decimals(1)),
      spread(found[`${range} ${name}, first`]!, decimals(1)),
    ]),
  ]);
  return table(['', ...RANGES.flatMap((range) => [range, `${range}, first time`])], rows);
}
