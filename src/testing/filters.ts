import { deepStrictEqual as equal, rejects } from 'node:assert';
import type { TrackUsageError } from '../errors.ts';
import { type Filter, type QueryOptions, UsageQuery } from '../query/query.ts';
import { TEXT_COLUMNS, type UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import { type Condition, type Matching, ORDERS } from '../storage/contract.ts';
import { PERIODS } from '../summaries/periods.ts';
import { STANDARD_SUMMARIES, sumBots, sumUrls } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import { type QueryClient, SMALL } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, type Comparison, openWriter } from './support.ts';

const DAY = 24 * 3_600_000;
/** A range that starts and ends within a month. */
const RANGE = { from: NOON - 50 * DAY, to: NOON + 50 * DAY };
const NO_SUMS = { hits: 0, transfer: 0, errors: 0, duration: 0 };
const NAMES = STANDARD_SUMMARIES.map(({ name }) => name);
/** Columns without a summary. Queries never use them, but readers must support them. */
const UNNAMED = TEXT_COLUMNS.filter((column) => !STANDARD_SUMMARIES.some((each) => each.column === column));

/** User agents and their parsed values. */
const AGENTS: Partial<TestRecord>[] = [
  {},
  { agent: 'Mozilla/5.0 (X11)', browser: 'Firefox', version: '128.0', platform: 'Linux', device: 'desktop' },
  {
    agent: 'Mozilla/5.0 (Windows)',
    browser: 'Firefox',
    version: '127.0',
    platform: 'Windows',
    device: 'mobile',
  },
  { agent: 'mozilla/5.0 (x11)', browser: 'firefox', version: '128.0 ', platform: 'linux' },
  { agent: 'Googlebot/2.1', browser: 'Googlebot', version: null, platform: null, device: 'bot', bot: true },
  { agent: 'curl/8.5.0', browser: null, version: null, platform: null, bot: true },
  { agent: 'a browser', browser: 'curl/8.5.0', version: null, platform: 'Windows' },
];

/** Queries with a filter, which read the records. */
export function filterCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'filters: keys of each summary are those of the storage in memory, in every order',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          await apply(records(1_500, 1));
          const { same } = await compare(SMALL);
          const filter = { server: 'a' };
          // Some engines read all records for each page: one summary is enough for all pages.
          for (const name of NAMES) await same(name, (of) => of.top(name, { filter, limit: 1_000 }));
          await same('pages', (of) => of.top('urls', { filter, compare: true }));
          for (const name of ['urls', 'browsers', 'bots']) {
            for (const order of ORDERS) {
              await same(name + order, (of) => of.top(name, { filter, order, limit: 2, page: 2 }));
            }
            await same(`${name} F`, (of) => of.top(name, { filter, order: 'average', search: 'F' }));
          }
        }),
    },
    {
      name: 'filters: conditions on each column, on what is missing, and on several columns at once',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          await apply(records(800, 2));
          const { tested, same } = await compare();
          const sameKeys = (filter: Filter) =>
            same(JSON.stringify(filter), (of) => of.top('urls', { ...RANGE, filter, limit: 1_000 }));
          for (const name of NAMES) {
            const { rows } = await tested.top(name, { filter: { server: 'a' }, limit: 1_000 });
            const key = rows[0]!.key;
            await agree(same, { ...RANGE, filter: { status: '200', [name]: key } });
            await sameKeys({ [name]: rows.at(-1)!.key });
            await sameKeys({ [name]: null });
            await sameKeys({ [name]: 'nobody' });
          }
          for (const status of ['0200', '2e2', ' 200', '', '-1', '99999999999', '404']) {
            await sameKeys({ status });
          }
          await agree(same, {
            ...RANGE,
            filter: { browsers: 'Firefox', server: 'a', geo: 'DE', routes: '/page/:id', languages: null },
          });
        }),
    },
    {
      name: 'filters: the reader answers for columns without a summary, and for ranges to the millisecond',
      // Queries only use summaries and whole hours. The contract of readers covers more, which later queries may use.
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(records(300, 6));
          const range = { site: 'default', from: NOON - 100 * DAY, to: NOON + 100 * DAY };
          const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
          for (const column of UNNAMED) {
            const request = { ...range, ...page, where: [], column };
            const keys = await memory.matchingKeys(request);
            equal(await reader.matchingKeys(request), keys, column);
            const where = [{ column, value: keys.rows.at(-1)!.key }];
            await readersAgree(reader, memory, { ...range, where });
          }
          await readersAgree(reader, memory, {
            ...range,
            where: [
              { column: 'method', value: 'GET' },
              { column: 'method', value: 'POST' },
            ],
          });
          await apply([-2, -1, 0, 0, 1, 2].map((ms) => ({ date: NOON + ms, url: `${ms}` })));
          const where: Condition[] = [{ column: 'method', value: 'GET' }];
          for (const [from, to] of [
            [NOON - 1, NOON + 1],
            [NOON, NOON],
            [NOON + 3, NOON + 4],
            [NOON + 1, NOON - 1],
            [-8.64e15, 8.64e15],
          ] as const) {
            await readersAgree(reader, memory, { site: 'default', from, to, where });
          }
        }),
    },
    {
      name: 'filters: a negated condition selects all other records, including those without a value',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(records(200, 7));
          const range = { site: 'default', ...RANGE };
          for (const column of TEXT_COLUMNS) {
            const request = { ...range, where: [], column, order: 'hits', search: undefined } as const;
            const { rows, total } = await memory.matchingKeys({ ...request, limit: 0, offset: 0 });
            for (const value of [rows[0]!.key, null, 'nobody']) {
              const other: Condition = { column, value, not: true };
              const where: Condition[] = [other, { column: 'serverName', value: 'a', not: true }];
              await readersAgree(reader, memory, { ...range, where });
              const count = async (condition: Condition) =>
                (await reader.matchingKeys({ ...request, limit: 0, offset: 0, where: [condition] })).total
                  .hits;
              equal((await count(other)) + (await count({ column, value })), total.hits, column);
            }
          }
        }),
    },
    {
      name: 'filters: a user agent that was parsed differently is found by each result',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          const agents = AGENTS.map((parsed) => ({ ...parsed, agent: 'An Agent/1' }));
          await apply([...agents, ...agents.slice(2), {}]);
          await apply(agents.slice(0, 4).reverse());
          const { same } = await compare();
          for (const name of ['user-agents', 'browsers', 'bots']) {
            const { rows } = await same(name, (of) => of.top(name, { filter: { status: '200' } }));
            for (const { key } of rows) await agree(same, { ...RANGE, filter: { [name]: key } });
          }
        }),
    },
    {
      name: 'filters: people and bots have the totals, series, keys and records that the storage in memory has',
      run: () =>
        besideMemory(subject, [sumUrls, sumBots], async ({ apply, compare }) => {
          await apply(records(600, 9));
          const { same } = await compare();
          for (const bots of ['exclude', 'only'] as const) {
            await agree(same, { ...RANGE, bots });
            await agree(same, { ...RANGE, bots, filter: { status: '200' } });
            await same(`bots of ${bots}`, (of) => of.top('bots', { ...RANGE, bots, limit: 1_000 }));
            for (const summary of ['urls', 'bots']) {
              const options = { ...RANGE, bots, period: 'month' } as const;
              await same(`${summary} by month, ${bots}`, (of) => of.sums(summary, options));
            }
            await same(`usage of ${bots}`, (of) => of.usage({ ...RANGE, bots }));
          }
        }),
    },
    {
      name: 'filters: texts that engines take for equal stay apart',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          await apply(HOSTILE_TEXTS.map((text) => ({ url: text, route: text, agent: text, browser: text })));
          const { tested, same } = await compare();
          for (const name of ['urls', 'routes', 'user-agents', 'browsers']) {
            await same(name, (of) => of.top(name, { filter: { status: '200' } }));
            // By the ID of the text, and by the text.
            for (const text of name === 'urls' || name === 'browsers' ? HOSTILE_TEXTS : []) {
              const { rows } = await tested.top(name, { filter: { [name]: text }, limit: 5 });
              equal(
                rows.map(({ key, hits }) => [key, hits]),
                [[text, 1]],
              );
            }
          }
        }),
    },
    {
      name: 'filters: both ends of the range belong to it, and other sites do not',
      run: () =>
        besideMemory(subject, [], async ({ tested: storage, apply, compare, keep }) => {
          keep(await openWriter(storage, { site: 'other' }));
          const hour = Date.UTC(2026, 10, 24, 12);
          await apply([-1, 0, 1, 3_599_999, 3_600_000].map((ms) => ({ date: hour + ms, url: `${ms}` })));
          const { tested, same } = await compare();
          const filter = { server: 'default' };
          for (const [from, to, hits] of [
            ['2026-11-24T12:00', '2026-11-24T12:00', 3],
            ['2026-11-24T11:59', '2026-11-24T12:30', 4],
            ['2026-11-24T13:00', '2026-11-24', 1],
            ['2026-11-24', '2026-11-24', 5],
            ['2026-11-25', '2026-11-25', 0],
          ] as const) {
            await agree(same, { from, to, filter });
            equal((await tested.totals({ from, to, filter })).totals.hits, hits);
          }
          for (const site of ['other', 'nobody']) await isEmpty(tested, { site, filter });
        }),
    },
    {
      name: 'filters: a series counts each bucket, its visitors and bots',
      run: () =>
        besideMemory(subject, [], async ({ apply, compare }) => {
          await apply(records(1_200, 3));
          await apply([-1, 0, 1].map((ms) => ({ date: NOON + ms, visitor: `v${ms}` })));
          const { same } = await compare();
          for (const filter of [{ bots: null }, { visitors: 'v1' }, { server: 'a' }]) {
            for (const range of [RANGE, { from: NOON - 3 * DAY, to: NOON }]) {
              for (const period of PERIODS) {
                const options = { ...range, filter, period, compare: period === 'day' };
                await same(JSON.stringify(options), (of) => of.series(options));
              }
            }
          }
        }),
    },
    ...listCases(subject),
    {
      name: 'filters: without data the answers are empty',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          location.keep(await openWriter(storage));
          await isEmpty(await location.openClient(storage), { filter: { browsers: 'Firefox' } });
        }),
    },
  ];
}

/** Lists of records, by cursors. */
function listCases(subject: Subject): TestCase[] {
  return [walking(subject), growing(subject), foreignCursors(subject)];
}

function growing(subject: Subject): TestCase {
  return {
    name: 'filters: records that arrive between two pages neither move nor repeat older ones',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([]);
        const writer = location.keep(await openWriter(storage));
        const journals = ['a', 'b', 'c'].map((id) => new TestJournal(id, []));
        const store = async (prefix: string) => {
          for (const [n, journal] of journals.entries()) {
            const records = [0, 1, 2, 3].map((ms) => ({ date: NOON + ms, url: `${prefix}${n}${ms}` }));
            // Out of order, and several of each journal in one millisecond.
            await writer.apply(journal.batch([...records, ...records].reverse()));
          }
        };
        await store('old');
        for (const by of subject.interfaces ?? ['library']) {
          const client = await location.openClient(storage, { interfaces: [by] });
          for (const limit of [1, 5]) {
            let pages = 0;
            const found = await client.records({ from: '2026-11-24', to: '2026-11-24', limit }, async () => {
              pages += 1;
              if (pages % 3 === 0 && pages < 10) await store(`new ${by} ${limit}`);
            });
            const dates = found.map(({ date }) => date);
            equal(
              dates,
              [...dates].sort((a, b) => b - a),
            );
            const old = found.map(({ url }) => url).filter((url) => url.startsWith('old'));
            equal(old.length, 24);
            equal(new Set(old).size, 12);
          }
        }
      }),
  };
}

/** Cursors of other storages, truncated cursors, and attempts at injection. */
const INVALID_CURSORS = [
  '',
  ' ',
  'next',
  'null',
  'NaN NaN',
  '-',
  '0x10',
  '1e3',
  '1.5 1 1',
  '1 2 3 4 5',
  `${'9'.repeat(40)}`,
  '9223372036854775808 1',
  `${'9'.repeat(17)} 1 1`,
  `1 ${'9'.repeat(25)} 1`,
  "1' OR 1=1 --",
  '1 1 1; DROP TABLE records',
  "1 a' 1",
  '1) OR (1=1',
  '1 {"$gt":""}',
  '1 0-0-0',
  '1 1-1 1-1',
  '\u0661 \u0661',
  '1\n1',
  'x'.repeat(5_000),
];

function foreignCursors(subject: Subject): TestCase {
  return {
    name: 'filters: a cursor that the storage did not return is rejected',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([]);
        const writer = location.keep(await openWriter(storage));
        await writer.apply(new TestJournal('a', []).batch([{}, {}, {}]));
        // `openClient` pages through the result, so it cannot take a cursor.
        const query = new UsageQuery(storage.reader, { now: () => NOON });
        for (const after of INVALID_CURSORS) {
          await rejects(
            query.records({ after }),
            (error: TrackUsageError) =>
              error.code === 'QUERY_INVALID' && /expected the "next" of/.test(error.message),
            `after ${JSON.stringify(after)}`,
          );
        }
        equal((await query.records()).records.length, 3);
      }),
  };
}

function walking(subject: Subject): TestCase {
  const filters: Filter[] = [{}, { server: 'a' }, { browsers: 'Firefox', bots: null }, { urls: 'nothing' }];
  return {
    name: 'filters: records are listed once each, newest first, many of them in one millisecond',
    run: () =>
      besideMemory(subject, [], async ({ apply, compare }) => {
        for (const seed of [4, 5]) {
          const batch = records(60, seed);
          await apply(
            batch.map((record, n) => ({ ...record, date: NOON + Math.floor(n / 25), username: `${n}` })),
          );
        }
        const { tested, same } = await compare();
        for (const filter of filters) {
          const all = await same(JSON.stringify(filter), (of) => of.records({ filter }));
          for (const limit of [3, 30, 1_000]) equal(await tested.records({ filter, limit }), all);
        }
      }),
  };
}

/** Random records in which equal user agents are parsed equally. */
function records(count: number, seed: number): TestRecord[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => ({
    ...random.record(),
    ...{ agent: null, browser: null, version: null, platform: null, device: null },
    ...random.of(AGENTS),
    url: `https://example.com/${random.below(40)}`,
    urlKey: random.of([null, '/page', '/Page', 'https://example.com/1']),
    method: random.of(['GET', 'POST', 'get']),
    protocol: random.of(['HTTP/1.1', 'HTTP/2.0']),
    serverName: random.of(['a', 'A']),
    forwardedFor: random.of([null, '10.0.0.1']),
    username: random.of([null, 'jane', 'Jane']),
    blueprint: random.of([null, '/a', '/A']),
    authorization: random.below(2) === 1,
    path: random.of(['/page', '/Page', null, '/other']),
    referrerHost: random.of([null, 'example.org', '(internal)']),
    campaign: random.of([null, 'newsletter / email', 'Newsletter / email']),
    class: random.of(['page', 'asset', null, 'api']),
  }));
}

/** Compares the results of every query with this filter. */
async function agree(same: Comparison['same'], options: QueryOptions): Promise<void> {
  const what = JSON.stringify(options);
  await same(what, (of) => of.top('urls', { ...options, limit: 1_000 }));
  await same(what, (of) => of.totals(options));
  await same(what, (of) => of.series({ ...options, period: 'month' }));
  await same(what, (of) => of.records({ ...options, limit: 300 }));
}

async function isEmpty(client: QueryClient, options: { site?: string; filter: Filter }): Promise<void> {
  const { rows, count, total } = await client.top('urls', options);
  equal([rows, count, total], [[], 0, NO_SUMS]);
  equal((await client.totals(options)).totals, { ...NO_SUMS, visitors: 0, bots: 0 });
  const { buckets } = await client.series({ ...options, period: 'month' });
  equal(
    buckets.filter(({ hits }) => hits > 0),
    [],
  );
  equal(await client.records(options), []);
}

/** Compares what two readers return for each of the requests that read records. */
async function readersAgree(reader: CompleteReader, memory: CompleteReader, range: Matching): Promise<void> {
  const what = JSON.stringify(range);
  const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
  const request = { ...range, ...page, column: 'url' } as const;
  equal(await reader.matchingKeys(request), await memory.matchingKeys(request), what);
  const series = { ...range, bounds: [NOON - 50 * DAY, NOON - 1, NOON, NOON + 1, NOON + 50.5 * DAY] };
  equal(await reader.matchingSeries(series), await memory.matchingSeries(series), what);
  equal(await walk(reader, range, 300), await walk(memory, range, 1_000), what);
}

/** Returns all records that match, page by page. */
async function walk(reader: CompleteReader, range: Matching, limit: number): Promise<UsageRecord[]> {
  const found: UsageRecord[] = [];
  let after: string | undefined;
  do {
    const page = await reader.matchingRecords({ ...range, after, limit });
    found.push(...page.records);
    after = page.next;
  } while (after !== undefined);
  return structuredClone(found);
}
