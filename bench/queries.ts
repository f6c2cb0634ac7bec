import { join } from 'node:path';
import type { UsageQuery } from '../src/query/query.ts';
import type { RangeName } from '../src/query/range.ts';
import type { Storage } from '../src/query/storage.ts';
import type { Adopted } from './processes/store.ts';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, spread, table } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { library, load } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { engineOf } from './support/storages.ts';
import { traffic } from './support/traffic.ts';

const STORE = join(import.meta.dirname, 'processes', 'store.ts');
const DAY = 24 * 60 * 60 * 1000;
/** Number of records per day, for ten million per year. */
const DAILY = 27_400;
/** Number of requests before each query, while the dashboard is in use. */
const LIVE = 100;
const ENGINES = ['sqlite', 'postgres'];
const RANGES: readonly RangeName[] = ['30d', '12mo'];
/** Default panels of the dashboard. */
const PANELS = ['urls', 'referrers', 'geo', 'browsers', 'remotes', 'status'];

type RunQuery = (query: UsageQuery, range: RangeName) => Promise<unknown>;

const top =
  (summary: string, more: object = {}): RunQuery =>
  (query, range) =>
    query.top(summary, { range, ...more });

const QUERIES: Readonly<Record<string, RunQuery>> = {
  'initial page, all queries': async (query, range) => {
    await query.site();
    await Promise.all([
      query.totals({ range, compare: true }),
      query.series({ range, compare: true }),
      ...PANELS.map((summary) => query.top(summary, { range })),
    ]);
  },
  'totals, compared': (query, range) => query.totals({ range, compare: true }),
  'chart, compared': (query, range) => query.series({ range, compare: true }),
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
  'panel urls, by duration': top('urls', { order: 'duration' }),
  'panel urls, searched': top('urls', { search: 'shoes+12' }),
  'panel urls, 50 rows, page 20': top('urls', { limit: 50, page: 20 }),
  'panel urls, compared': top('urls', { compare: true }),
  'chart of one URL': (query, range) =>
    query.series({ range, summary: 'urls', key: 'https://shop.example.org/products/0' }),
  'newest 100 requests': (query, range) => query.records({ range }),
  'totals, filtered by country': (query, range) => query.totals({ range, filter: { geo: 'DE' } }),
  'panel urls, filtered by country': top('urls', { filter: { geo: 'DE' } }),
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
    const results = await measure(engine, days, rounds);
    data[engine] = results;
    tables.push({ title: `${engine}, ms`, text: tableOf(results) });
  }
  return {
    title: 'Queries',
    method:
      `${integer(records)} records over the last ${days} days, including today (10,000 URLs and 20,000 visitors, Zipf ` +
      `distribution), in all ${(await hooks()).length} standard summaries. The dashboard's queries run in the library, ` +
      `without HTTP: a first run, then ${rounds} more (2 for filtered queries, which read the records). Before each run, ` +
      `${LIVE} more requests of today are stored. "Compared" means compared with the previous period. Median (min–max). ` +
      'In the first run, only data read by the queries above is cached.',
    tables,
    data,
  };
}

async function measure(storageName: string, days: number, rounds: number): Promise<Record<string, number[]>> {
  const records = days * DAILY;
  const today = Math.floor(Date.now() / DAY) * DAY;
  const engine = engineOf(storageName);
  const directory = newDirectory();
  const database = await engine.start(directory);
  const child = new Child(STORE);
  let storage: Storage | undefined;
  try {
    storage = await engine.storage(database.url, await hooks());
    progress(`queries: ${storageName}, writing ${integer(records)} records`);
    const { identity } = storage;
    let count = 0;
    const store = async (more: number, ofDays: number): Promise<void> => {
      const begin = today - (ofDays - 1) * DAY;
      const requests = traffic(more, 'zipf', ofDays, begin);
      const journal = await writeJournal(directory, identity, requests);
      const job = { directory, journal, engine: storageName, url: database.url, hooks: await hooks() };
      const stored = await child.call<Adopted>('adopt', job);
      count += more;
      if (stored.records !== count) throw new Error(`${stored.records} of ${count} records were stored`);
    };
    progress(`queries: ${storageName}, storing ${integer(records)} records`);
    await store(records, days);
    const { UsageQuery: Query } = await load<{ UsageQuery: typeof UsageQuery }>('query/query.js');
    const query = new Query(storage.reader);
    const results: Record<string, number[]> = {};
    for (const range of RANGES) {
      for (const [name, read] of Object.entries(QUERIES)) {
        progress(`queries: ${storageName}, ${range}, ${name}`);
        const time = async () => {
          await store(LIVE, 1);
          const started = performance.now();
          await read(query, range);
          return performance.now() - started;
        };
        results[`${range} ${name}, first`] = [await time()];
        const times: number[] = [];
        const repetitions = SLOW.test(name) ? Math.min(2, rounds) : rounds;
        for (let round = 0; round < repetitions; round++) times.push(await time());
        results[`${range} ${name}`] = times;
      }
    }
    return results;
  } finally {
    await storage?.close();
    await child.stop();
    await database.stop();
    removeDirectory(directory);
  }
}

async function hooks(): Promise<string[]> {
  return (await library()).STANDARD_SUMMARIES.map(({ name }) => name);
}

function tableOf(results: Record<string, number[]>): string {
  const rows = Object.keys(QUERIES).map((name) => [
    name,
    ...RANGES.flatMap((range) => [
      spread(results[`${range} ${name}`]!, decimals(1)),
      spread(results[`${range} ${name}, first`]!, decimals(1)),
    ]),
  ]);
  return table(['', ...RANGES.flatMap((range) => [range, `${range}, first run`])], rows);
}
