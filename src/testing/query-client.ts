import { deepStrictEqual as equal, ok } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { main } from '../cli/main.ts';
import {
  type ComparedOptions,
  type RecordsOptions,
  type SeriesOptions,
  type SeriesResult,
  type TopOptions,
  type TopResult,
  type Totals,
  UsageQuery,
} from '../query/query.ts';
import type { Storage } from '../query/storage.ts';
import { getSum, getUsage, type Sum, type SumOptions, type UsageOptions } from '../query/sums-and-records.ts';
import type { UsageRecord } from '../record.ts';
import { createHandler } from '../server/handler.ts';
import type { Keys } from '../storage/contract.ts';
import type { Period } from '../summaries/periods.ts';
import { NOON } from './batches.ts';

/**
 * By which interface the cases ask: that of the library, the HTTP API, or the command line. What an interface cannot be
 * asked is asked through the library.
 */
export type Interface = 'library' | 'http' | 'cli';

/** Everything is asked page by page to the end: the first pages have so many rows. */
const FIRST_PAGES = 5;
/** So many of them; each further one has as many rows as all before it together, so that long lists take few. */
const SMALL_PAGES = 4;
/** What the HTTP API answers at most. */
const MOST_ROWS = 1_000;
const TOKEN = 'conformance-suite-token';
/** Later than every record of the suite. */
const NOW = NOON + 400 * 24 * 3_600_000;

/** Where a range has no beginning and no end. */
export const ALWAYS = { from: '1970-01-01', to: '2037-12-31' };

/** A storage, asked as a user asks it. */
export interface QueryClient {
  /** Records, newest first, by pages that are counted. */
  usage(options?: Omit<UsageOptions, 'limit' | 'page'>): Promise<UsageRecord[]>;
  /** Records, newest first, by cursors. @param between Called after each page. */
  records(options?: Omit<RecordsOptions, 'after'>, between?: () => Promise<unknown>): Promise<UsageRecord[]>;
  /** The rows of a summary. */
  sums(summary: string, options: Omit<SumOptions, 'limit' | 'page'> & { period: Period }): Promise<Sum[]>;
  /** The keys of a summary over a range. */
  top(summary: string, options?: Omit<TopOptions, 'limit' | 'page'>): Promise<Keys>;
  totals(options?: ComparedOptions): Promise<Totals>;
  series(options?: SeriesOptions): Promise<SeriesResult['buckets']>;
  close(): Promise<void>;
}

/** One page of each question. */
interface Pages {
  usage(options: UsageOptions): Promise<UsageRecord[]>;
  records(options: RecordsOptions): Promise<{ records: UsageRecord[]; next: string | null }>;
  sums(summary: string, options: SumOptions & { period: Period }): Promise<Sum[]>;
  top(summary: string, options: TopOptions): Promise<Keys>;
  totals(options: ComparedOptions): Promise<Totals>;
  series(options: SeriesOptions): Promise<SeriesResult['buckets']>;
  /** The most rows of a page. */
  most: number;
  close(): Promise<void>;
}

export async function openQueryClient(
  storage: Storage,
  by: Interface = 'library',
  url?: string,
): Promise<QueryClient> {
  const library = libraryClient(storage);
  const pages =
    by === 'http' ? await httpClient(library, storage) : by === 'cli' ? cliClient(library, url!) : library;
  return {
    async usage(options = {}) {
      return plain(await everyPage(pages.most, (page) => pages.usage({ ...options, ...page })));
    },
    async sums(summary, options) {
      return plain(await everyPage(pages.most, (page) => pages.sums(summary, { ...options, ...page })));
    },
    async records(options = {}, between = async () => {}) {
      const found: UsageRecord[] = [];
      let after: string | undefined;
      for (let n = 0; ; n++) {
        const limit =
          options.limit ?? (n < SMALL_PAGES ? FIRST_PAGES : Math.min(pages.most, found.length || MOST_ROWS));
        const wanted = { ...ALWAYS, ...options, limit, ...(after !== undefined && { after }) };
        const { records, next } = await pages.records(wanted);
        ok(records.length <= limit, 'a page has more than was asked for');
        found.push(...records);
        if (next === null) return plain(found);
        after = next;
        await between();
      }
    },
    async top(summary, options = {}) {
      let whole: Omit<Keys, 'rows'> | undefined;
      const rows = await everyPage(pages.most, async (page) => {
        const { rows: some, count, total } = await pages.top(summary, { ...ALWAYS, ...options, ...page });
        // They are about all pages together.
        whole ??= { count, total };
        equal({ count, total }, whole);
        return some;
      });
      return plain({ rows, ...whole! });
    },
    totals: async (options = {}) => plain(await pages.totals({ ...ALWAYS, ...options })),
    series: async (options = {}) => plain(await pages.series({ ...ALWAYS, ...options })),
    close: () => pages.close(),
  };
}

/** All pages together. */
async function everyPage<Row>(
  most: number,
  ask: (page: { limit: number; page: number }) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let n = 1; ; n++) {
    // The second page of as many rows as are known begins behind them.
    const limit = n <= SMALL_PAGES ? FIRST_PAGES : Math.min(rows.length, most);
    const page = rows.length / limit + 1;
    ok(Number.isInteger(page));
    const some = await ask({ limit, page });
    ok(some.length <= limit, 'a page has more than was asked for');
    rows.push(...some);
    if (some.length < limit) return rows;
  }
}

/** Without prototypes, which answers may be without, and as any interface gives it. */
function plain<T>(answer: T): T {
  return structuredClone(answer);
}

/** A record as JSON has it, with its date as text. */
type RecordJson = Omit<UsageRecord, 'date'> & { date: string };
type RecordsJson = { records: RecordJson[]; next: string | null };

function withTime(record: RecordJson): UsageRecord {
  return { ...record, date: Date.parse(record.date) };
}

function libraryClient(storage: Storage): Pages {
  const query = new UsageQuery(storage.reader, { summaries: storage.summaries, now: () => NOW });
  return {
    usage: (options) => getUsage(storage.reader, options, 'UTC', NOW),
    sums: (summary, options) => getSum(storage.reader, storage.kept(summary) ?? summary, options, 'UTC', NOW),
    records: (options) => query.records(options),
    async top(summary, options) {
      const { rows, count, total } = await query.top(summary, options);
      return { rows: rows.map(({ previous: _, ...row }) => row), count, total };
    },
    totals: async (options) => (await query.totals(options)).totals,
    series: async (options) => (await query.series(options)).buckets,
    most: 1_000_000,
    close: async () => {},
  };
}

async function httpClient(library: Pages, storage: Storage): Promise<Pages> {
  const query = new UsageQuery(storage.reader, { summaries: storage.summaries, now: () => NOW });
  const handler = createHandler(
    { query, site: 'default', status: () => null, version: '0.0.0' },
    { token: TOKEN },
  );
  // Keys of some kilobytes stand in URLs.
  const server = http.createServer({ maxHeaderSize: 1_048_576 }, (request, response) => {
    handler(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const ask = async <Answer>(path: string, options: object): Promise<Answer> => {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(options)) {
      if (name !== 'filter') parameters.append(name, value === null ? '' : String(value));
      else
        for (const [summary, key] of Object.entries(value))
          parameters.append(name, `${summary}:${key ?? ''}`);
    }
    const response = await fetch(`http://127.0.0.1:${port}/usage/api/v1${path}?${parameters}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const answer = (await response.json()) as Answer & { detail?: string };
    if (!response.ok) throw Object.assign(new Error(answer.detail), answer);
    return answer;
  };
  return {
    ...library,
    async records(options) {
      const { records, ...rest } = await ask<RecordsJson>('/records', options);
      return { ...rest, records: records.map(withTime) };
    },
    async top(summary, options) {
      const { rows, count, total } = await ask<TopResult>(`/summaries/${summary}`, options);
      return { rows: rows.map(({ previous: _, ...row }) => row), count, total };
    },
    totals: async (options) => (await ask<{ totals: Totals }>('/totals', options)).totals,
    series: async (options) => (await ask<SeriesResult>('/series', options)).buckets,
    most: MOST_ROWS,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The commands that print what is stored; the rest is asked through the library. */
function cliClient(library: Pages, url: string): Pages {
  const run = async (command: readonly string[], options: object): Promise<never> => {
    const outcome = { out: '', err: '' };
    const argv = Object.entries(options).map(([name, value]) =>
      name === 'target' && value === null ? '--target-null' : `--${name}=${value}`,
    );
    const code = await main([...command, `--storage=${url}`, '--format=json', ...argv], {
      stdout: (text) => {
        outcome.out += text;
      },
      stderr: (text) => {
        outcome.err += text;
      },
      isTTY: false,
      columns: undefined,
      env: {},
    });
    if (code !== 0) throw new Error(`exit ${code}: ${outcome.err}`);
    return JSON.parse(outcome.out) as never;
  };
  return {
    ...library,
    async usage(options) {
      const records: RecordJson[] = await run(['usage'], { ...ALWAYS, ...options });
      return records.map(withTime);
    },
    sums: (summary, options) => run(['sum', summary], { ...ALWAYS, ...options }),
  };
}
