import { deepStrictEqual as equal, ok } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { main } from '../cli/main.ts';
import {
  type ComparedOptions,
  type RecordsOptions,
  type RecordsResult,
  type SeriesOptions,
  type SeriesResult,
  type SiteResult,
  type TopOptions,
  type TopResult,
  type TotalsResult,
  UsageQuery,
} from '../query/query.ts';
import type { Storage } from '../query/storage.ts';
import { getSum, getUsage, type Sum, type SumOptions, type UsageOptions } from '../query/sums-and-records.ts';
import type { UsageRecord } from '../record.ts';
import { createHandler } from '../server/handler.ts';
import { MEASURES } from '../storage/measures.ts';
import type { Period } from '../summaries/periods.ts';
import { NOON } from './batches.ts';

/** An interface that users query: the library, the HTTP API, or the command line. */
export type QueryInterface = 'library' | 'http' | 'cli';

/** Default number of rows on the first pages. Each page is a query, which some servers answer slowly. */
const FIRST_PAGES = 100;
/** For cases about pages: even small results have several. */
export const SMALL = { rows: 5 } as const;
/** Number of first pages. Each later page has as many rows as all pages before it together. */
const SMALL_PAGES = 3;
/** Maximum rows of a JSON response of the HTTP API. */
const MAX_HTTP_ROWS = 1_000;
/** Maximum rows of a page of `records`. */
const MAX_RECORDS = 10_000;
const TOKEN = 'conformance-suite-token';
/** Later than every record of the suite. ms since 1970. */
const NOW = NOON + 400 * 24 * 3_600_000;

/** A range that holds every record of the suite. */
const ALWAYS = { from: '1970-01-01', to: '2037-12-31' };

/** Options of a case's queries. */
export interface QueryClientOptions {
  /** Interfaces that are queried. Their results must be equal. Defaults to the library alone. */
  interfaces?: readonly QueryInterface[];
  /** The storage's name for the command line, which is skipped without one. */
  url?: string | undefined;
  /**
   * The current time, ms since 1970. With it, open ranges end now; otherwise they hold every record. The command line
   * uses the clock of the machine, so it is then queried only for ranges with an end.
   */
  now?: number | undefined;
  /** Rows on the first pages; 0 for all rows on one page. Defaults to 100. */
  rows?: number;
}

/** A `TopResult` of all pages together: `others` belongs to a page. */
export type Top = Omit<TopResult, 'others'>;

/** The queries of users. A query with a `limit` returns that page; without one, all pages, one after the other. */
export interface QueryClient {
  /** Records, newest first, by page numbers. */
  usage(options?: UsageOptions): Promise<UsageRecord[]>;
  /** Records, newest first, by cursors; `limit` is that of each page. @param between Called after each page. */
  records(options?: Omit<RecordsOptions, 'after'>, between?: () => Promise<unknown>): Promise<UsageRecord[]>;
  sums(summary: string, options: SumOptions & { period: Period }): Promise<Sum[]>;
  top(summary: string, options?: TopOptions): Promise<Top>;
  totals(options?: ComparedOptions): Promise<TotalsResult>;
  series(options?: SeriesOptions): Promise<SeriesResult>;
  site(options?: { site?: string }): Promise<SiteResult>;
  close(): Promise<void>;
}

/** Queries of one interface. Each returns a page. */
interface Pages {
  usage(options: UsageOptions): Promise<UsageRecord[]>;
  records(options: RecordsOptions): Promise<Pick<RecordsResult, 'records' | 'next'>>;
  sums(summary: string, options: SumOptions & { period: Period }): Promise<Sum[]>;
  top(summary: string, options: TopOptions): Promise<TopResult>;
  totals(options: ComparedOptions): Promise<TotalsResult>;
  series(options: SeriesOptions): Promise<SeriesResult>;
  site(options: { site?: string }): Promise<SiteResult>;
  /** Maximum rows of a page. */
  max: number;
  close(): Promise<void>;
}

/** Queries a storage as users do: by each interface, page by page to the end. */
export async function openQueryClient(
  storage: Storage,
  options: QueryClientOptions = {},
): Promise<QueryClient> {
  const { interfaces = ['library'], url } = options;
  const each: [QueryInterface, QueryClient][] = [];
  for (const by of interfaces) {
    if (by === 'cli' && url === undefined) continue;
    each.push([by, paging(await pagesOf(storage, by, options), options)]);
  }
  const [first, ...others] = each;
  ok(first, 'no interface is given');
  return others.length === 0 ? first[1] : agreeing(first[1], others);
}

function pagesOf(
  storage: Storage,
  by: QueryInterface,
  { url, now }: QueryClientOptions,
): Pages | Promise<Pages> {
  const query = new UsageQuery(storage.reader, { summaries: storage.summaries, now: () => now ?? NOW });
  const library = libraryClient(storage, query, now ?? NOW);
  if (by === 'http') return httpClient(library, query);
  return by === 'cli' ? cliClient(library, url!) : library;
}

/** Queries every interface. All results must be equal, and all failures must have the same code as the first. */
function agreeing(first: QueryClient, others: readonly [QueryInterface, QueryClient][]): QueryClient {
  const call = async <T>(run: (of: QueryClient) => Promise<T>): Promise<T> => {
    let answer: { value: T } | { error: unknown };
    try {
      answer = { value: await run(first) };
    } catch (error) {
      answer = { error };
    }
    for (const [by, other] of others) {
      if ('value' in answer) {
        equal(await run(other), answer.value, `by ${by}`);
        continue;
      }
      const failure = await run(other).then(
        () => undefined,
        (error: Error) => error,
      );
      const { code } = answer.error as { code?: string };
      ok(failure, `${by} answers, and the library fails: ${code}`);
      // The command line prints a message without the code.
      if (by === 'http') equal((failure as { code?: string }).code, code, failure.message);
    }
    if ('error' in answer) throw answer.error;
    return answer.value;
  };
  return {
    usage: (options) => call((of) => of.usage(options)),
    records: (options, between) => call((of) => of.records(options, between)),
    sums: (summary, options) => call((of) => of.sums(summary, options)),
    top: (summary, options) => call((of) => of.top(summary, options)),
    totals: (options) => call((of) => of.totals(options)),
    series: (options) => call((of) => of.series(options)),
    site: (options) => call((of) => of.site(options)),
    async close() {
      for (const [, each] of [['library', first] as const, ...others]) await each.close();
    },
  };
}

function paging(pages: Pages, { now, rows: firstPages = FIRST_PAGES }: QueryClientOptions): QueryClient {
  const within = <O extends { from?: unknown; to?: unknown; range?: unknown }>(options: O): O =>
    now === undefined && options.range === undefined ? { ...ALWAYS, ...options } : options;
  const sizes = { first: firstPages, max: pages.max };
  return {
    async usage(options = {}) {
      const wanted = within(options);
      if (options.limit !== undefined) return plain(await pages.usage(wanted));
      return plain(await everyPage(sizes, (page) => pages.usage({ ...wanted, ...page })));
    },
    async sums(summary, options) {
      const wanted = within(options);
      // Not copied: there may be many rows, and none is without a prototype.
      if (options.limit !== undefined) return pages.sums(summary, wanted);
      return everyPage(sizes, (page) => pages.sums(summary, { ...wanted, ...page }));
    },
    async records(options = {}, between = async () => {}) {
      const found: UsageRecord[] = [];
      const most = Math.min(pages.max, MAX_RECORDS);
      let after: string | undefined;
      for (let n = 0; ; n++) {
        const size = firstPages === 0 ? most : n < SMALL_PAGES ? firstPages : found.length || most;
        const limit = options.limit ?? Math.min(size, most);
        const wanted = { ...within(options), limit, ...(after !== undefined && { after }) };
        const { records, next } = await pages.records(wanted);
        ok(records.length <= limit, 'the page has more rows than its limit');
        found.push(...records);
        if (next === null) return plain(found);
        after = next;
        await between();
      }
    },
    async top(summary, options = {}) {
      const call = async (page: { limit?: number; page?: number }) => {
        const { others, ...answer } = await pages.top(summary, { ...within(options), ...page });
        for (const measure of MEASURES) {
          const shown = answer.rows.reduce((sum, row) => sum - row[measure], answer.total[measure]);
          equal(others[measure], shown, `others of ${measure}`);
        }
        return answer;
      };
      if (options.limit !== undefined) return plain(await call({}));
      let whole: Omit<Top, 'rows'> | undefined;
      const rows = await everyPage(sizes, async (page) => {
        const { rows: some, ...rest } = await call(page);
        // The other fields describe all pages together.
        whole ??= rest;
        equal(rest, whole);
        return some;
      });
      return plain({ ...whole!, rows });
    },
    totals: async (options = {}) => plain(await pages.totals(within(options))),
    series: async (options = {}) => plain(await pages.series(within(options))),
    site: async (options = {}) => plain(await pages.site(options)),
    close: () => pages.close(),
  };
}

/** Returns the rows of all pages. */
async function everyPage<Row>(
  { first, max }: { first: number; max: number },
  call: (page: { limit: number; page: number }) => Promise<Row[]>,
): Promise<Row[]> {
  if (first === 0) return call({ limit: 0, page: 1 });
  const rows: Row[] = [];
  for (let n = 1; ; n++) {
    // The second page of this size starts after the known rows.
    const limit = n <= SMALL_PAGES ? first : Math.min(rows.length, max);
    const page = rows.length / limit + 1;
    ok(Number.isInteger(page));
    const some = await call({ limit, page });
    ok(some.length <= limit, 'the page has more rows than its limit');
    rows.push(...some);
    if (some.length < limit) return rows;
  }
}

/** Returns a copy with ordinary prototypes, so that results without a prototype compare equal. */
function plain<T>(answer: T): T {
  return structuredClone(answer);
}

function libraryClient(storage: Storage, query: UsageQuery, now: number): Pages {
  return {
    usage: (options) => getUsage(storage.reader, options, 'UTC', now),
    sums: (summary, options) => getSum(storage.reader, storage.kept(summary) ?? summary, options, 'UTC', now),
    records: (options) => query.records(options),
    top: (summary, options) => query.top(summary, options),
    totals: (options) => query.totals(options),
    series: (options) => query.series(options),
    site: (options) => query.site(options),
    max: 1_000_000,
    close: async () => {},
  };
}

/** The HTTP API has neither sums nor numbered pages of records. The library reads these. */
async function httpClient(library: Pages, query: UsageQuery): Promise<Pages> {
  const handler = createHandler(
    { query, site: 'default', status: () => null, version: '0.0.0' },
    { token: TOKEN },
  );
  // Keys of some kilobytes are in URLs.
  const server = http.createServer({ maxHeaderSize: 1_048_576 }, (request, response) => {
    handler(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const call = async <Answer>(path: string, options: object): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}/usage/api/v1${path}?${parametersOf(options)}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const answer = (await response.json()) as Answer & { detail?: string };
    if (!response.ok) throw Object.assign(new Error(answer.detail), answer);
    return answer;
  };
  return {
    ...library,
    async records(options) {
      const { records, next } = await call<{ records: WithDateText[]; next: string | null }>(
        '/records',
        options,
      );
      return { records: records.map(withDateMs), next };
    },
    top: (summary, options) =>
      isForHttp(options) ? call(`/summaries/${summary}`, options) : library.top(summary, options),
    totals: (options) => (isForHttp(options) ? call('/totals', options) : library.totals(options)),
    series: (options) => (isForHttp(options) ? call('/series', options) : library.series(options)),
    async site(options) {
      const { site, timeZone, summaries, since, retention } = await call<SiteResult>('/site', options);
      return { site, timeZone, summaries, since, retention };
    },
    max: MAX_HTTP_ROWS,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Returns whether a query can be sent over HTTP, which rejects NUL. No stored key contains it. */
function isForHttp({ search, filter = {}, key }: TopOptions & SeriesOptions): boolean {
  return [search, key, ...Object.values(filter)].every((text) => !text?.includes('\0'));
}

function parametersOf(options: object): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (name === 'filter') {
      for (const [summary, key] of Object.entries(value))
        parameters.append(name, key === null ? summary : `${summary}:${key}`);
    } else if (value !== undefined && value !== null) {
      parameters.append(name, textOf(name, value));
    }
  }
  return parameters;
}

/** Only the library takes numbers as dates. */
function textOf(name: string, value: unknown): string {
  const isDate = (name === 'from' || name === 'to') && typeof value === 'number';
  return isDate ? new Date(value).toISOString() : String(value);
}

type WithDateText = Omit<UsageRecord, 'date'> & { date: string };

/** Returns the record as the library returns it. In JSON, its date is text. */
function withDateMs(record: WithDateText): UsageRecord {
  return { ...record, date: Date.parse(record.date) };
}

/** The command line prints only records and sums. The library reads everything else. */
function cliClient(library: Pages, url: string): Pages {
  const run = async (command: readonly string[], options: object): Promise<never> => {
    const outcome = { out: '', err: '' };
    const argv = Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) =>
        name === 'target' && value === null ? '--target-null' : `--${name}=${textOf(name, value)}`,
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
      if (options.to === undefined) return library.usage(options);
      return ((await run(['usage'], options)) as WithDateText[]).map(withDateMs);
    },
    async sums(summary, options) {
      return options.to === undefined ? library.sums(summary, options) : run(['sum', summary], options);
    },
  };
}
