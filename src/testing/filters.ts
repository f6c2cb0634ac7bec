import { deepStrictEqual as equal, rejects } from 'node:assert';
import type { TrackUsageError } from '../errors.ts';
import { UsageQuery } from '../query/query.ts';
import { TEXT_COLUMNS, type TextColumn, type UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import { type Condition, type Matching, type MatchingKeysRequest, ORDERS } from '../storage/contract.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import type { Subject, TestCase } from './index.ts';
import { Random } from './random.ts';
import { at, besideMemory, openWriter } from './support.ts';

const DAY = 24 * 3_600_000;
const ALL = { site: 'default', from: NOON - 100 * DAY, to: NOON + 100 * DAY };
const PAGE = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
type KeysPage = Pick<MatchingKeysRequest, 'order' | 'search' | 'limit' | 'offset'>;
const NOTHING = { rows: [], count: 0, total: { hits: 0, transfer: 0, errors: 0, duration: 0 } };

/** What user agents say of themselves. */
const AGENTS: Partial<TestRecord>[] = [
  {},
  { agent: 'Mozilla/5.0 (X11)', browser: 'Firefox', version: '128.0', platform: 'Linux' },
  { agent: 'Mozilla/5.0 (Windows)', browser: 'Firefox', version: '127.0', platform: 'Windows' },
  { agent: 'mozilla/5.0 (x11)', browser: 'firefox', version: '128.0 ', platform: 'linux' },
  { agent: 'Googlebot/2.1', browser: 'Googlebot', version: null, platform: null, bot: true },
  { agent: 'curl/8.5.0', browser: null, version: null, platform: null, bot: true },
  { agent: 'a browser', browser: 'curl/8.5.0', version: null, platform: 'Windows' },
];

/** What is answered from the records that match. */
export function filterCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'filters: keys of each column are those of the storage in memory, in every order',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(records(1_500, 1));
          const same = async (column: TextColumn, page: Omit<KeysPage, 'search'> & { search?: string }) => {
            const request = { ...ALL, where: [], column, search: undefined, ...page };
            equal(
              await reader.matchingKeys(request),
              await memory.matchingKeys(request),
              column + page.order,
            );
          };
          for (const column of TEXT_COLUMNS) await same(column, { order: 'hits', limit: 0, offset: 0 });
          for (const column of ['url', 'method', 'browser', 'botName'] as const) {
            for (const order of ORDERS) await same(column, { order, limit: 2, offset: 1 });
            await same(column, { order: 'average', limit: 3, offset: 0, search: 'F' });
          }
        }),
    },
    {
      name: 'filters: conditions on each column, on what is missing, and on several columns at once',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(records(800, 2));
          const same = (where: Condition[]) => agree(reader, memory, { ...ALL, where });
          const sameKeys = async (where: Condition[]) => {
            const request = { ...ALL, ...PAGE, where, column: 'url' } as const;
            equal(
              await reader.matchingKeys(request),
              await memory.matchingKeys(request),
              JSON.stringify(where),
            );
          };
          for (const column of TEXT_COLUMNS) {
            const request = { ...ALL, ...PAGE, where: [], column };
            const { rows } = await memory.matchingKeys(request);
            await same([
              { column, value: rows[0]!.key },
              { column: 'state', value: '200' },
            ]);
            await sameKeys([{ column, value: rows.at(-1)!.key }]);
            await sameKeys([{ column, value: null }]);
            await sameKeys([{ column, value: 'nobody' }]);
          }
          for (const value of ['0200', '2e2', ' 200', '', '-1', '99999999999', '404']) {
            await sameKeys([{ column: 'state', value }]);
          }
          await same([
            { column: 'browser', value: 'Firefox' },
            { column: 'platform', value: 'Linux' },
            { column: 'country', value: 'DE' },
            { column: 'route', value: '/page/:id' },
            { column: 'language', value: null },
          ]);
          await same([
            { column: 'method', value: 'GET' },
            { column: 'method', value: 'POST' },
          ]);
        }),
    },
    {
      name: 'filters: one user agent that was read differently is found by each reading',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          const agents = AGENTS.map((reading) => ({ ...reading, agent: 'An Agent/1' }));
          await apply([...agents, ...agents.slice(2), {}]);
          await apply(agents.slice(0, 4).reverse());
          for (const column of ['agent', 'browser', 'version', 'platform', 'botName'] as const) {
            const request = { ...ALL, ...PAGE, where: [], column };
            const keys = await memory.matchingKeys(request);
            equal(await reader.matchingKeys(request), keys, column);
            for (const { key: value } of keys.rows) {
              await agree(reader, memory, { ...ALL, where: [{ column, value }] });
            }
          }
        }),
    },
    {
      name: 'filters: texts that engines take for equal stay apart',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(HOSTILE_TEXTS.map((text) => ({ url: text, route: text, agent: text, browser: text })));
          for (const column of ['url', 'route', 'agent', 'browser'] as const) {
            const request = { ...ALL, ...PAGE, where: [], column };
            equal(await reader.matchingKeys(request), await memory.matchingKeys(request), column);
            // By its id, and by itself.
            for (const value of column === 'url' || column === 'browser' ? HOSTILE_TEXTS : []) {
              const { rows } = await reader.matchingKeys({ ...request, where: [{ column, value }] });
              equal(
                rows.map(({ key, hits }) => [key, hits]),
                [[value, 1]],
              );
            }
          }
        }),
    },
    {
      name: 'filters: both ends of the range belong to it, and other sites do not',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply, storage, keep }) => {
          keep(await openWriter(storage, { site: 'other' }));
          await apply([-2, -1, 0, 0, 1, 2].map((ms) => ({ date: NOON + ms, url: `${ms}` })));
          const where = [{ column: 'method', value: 'GET' } as const];
          for (const [from, to] of [
            [NOON - 1, NOON + 1],
            [NOON, NOON],
            [NOON + 3, NOON + 4],
            [NOON + 1, NOON - 1],
            [-8.64e15, 8.64e15],
          ] as const) {
            await agree(reader, memory, { site: 'default', from, to, where });
          }
          for (const site of ['other', 'nobody']) {
            const range = { ...ALL, site, where };
            equal(await reader.matchingKeys({ ...range, ...PAGE, column: 'url' }), NOTHING);
            equal(await reader.matchingSeries({ ...range, bounds: [NOON, NOON + DAY] }), []);
            equal(await walk(reader, range, 5), []);
          }
        }),
    },
    {
      name: 'filters: a series has what falls between its bounds, its visitors and robots',
      run: () =>
        besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
          await apply(records(1_200, 3));
          await apply([-1, 0, 1].map((ms) => ({ date: NOON + ms, visitor: `v${ms}` })));
          const days = Array.from({ length: 40 }, (_, n) => NOON + (n - 30) * DAY);
          for (const bounds of [
            days,
            [NOON - 50 * DAY, NOON + 50 * DAY],
            [NOON, NOON + 1],
            [NOON - DAY, NOON, NOON + 0.5 * DAY, NOON + 40 * DAY],
            [NOON + 60 * DAY, NOON + 61 * DAY],
          ]) {
            for (const where of [
              [],
              [{ column: 'botName', value: null }],
              [{ column: 'visitor', value: 'v1' }],
            ]) {
              for (const range of [ALL, { ...ALL, from: NOON - 3 * DAY, to: NOON }]) {
                const request = { ...range, where: where as Condition[], bounds };
                equal(await reader.matchingSeries(request), await memory.matchingSeries(request));
              }
            }
          }
        }),
    },
    ...listCases(subject),
    {
      name: 'filters: where nothing is stored the answers are empty',
      run: () =>
        at(subject, async (place) => {
          const storage = place.storage([]);
          place.keep(await openWriter(storage));
          const range = { ...ALL, where: [{ column: 'browser', value: 'Firefox' } as const] };
          equal(await storage.reader.matchingKeys({ ...range, ...PAGE, column: 'url' }), NOTHING);
          equal(await storage.reader.matchingSeries({ ...range, bounds: [NOON, NOON + 1] }), []);
          equal(await walk(storage.reader, range, 5), []);
        }),
    },
  ];
}

/** Lists of records: every storage has them. */
function listCases(subject: Subject): TestCase[] {
  return [walking(subject), growing(subject), foreignCursors(subject)];
}

function growing(subject: Subject): TestCase {
  return {
    name: 'filters: what is stored between two pages neither moves nor repeats what was there before',
    run: () =>
      at(subject, async (place) => {
        const storage = place.storage([]);
        const writer = place.keep(await openWriter(storage));
        const journals = ['a', 'b', 'c'].map((id) => new TestJournal(id, []));
        const store = async (prefix: string) => {
          for (const [n, journal] of journals.entries()) {
            const records = [0, 1, 2, 3].map((ms) => ({ date: NOON + ms, url: `${prefix}${n}${ms}` }));
            // Out of their order, and several of each journal in one millisecond.
            await writer.apply(journal.batch([...records, ...records].reverse()));
          }
        };
        await store('old');
        const query = new UsageQuery(storage.reader, { now: () => NOON + DAY });
        for (const limit of [1, 5]) {
          const found: UsageRecord[] = [];
          let after: string | undefined;
          let pages = 0;
          do {
            const range = { from: '2026-11-24', to: '2026-11-24', limit };
            const { records, next } = await query.records({
              ...range,
              ...(after !== undefined && { after }),
            });
            found.push(...records);
            after = next ?? undefined;
            pages += 1;
            if (pages % 3 === 0 && pages < 10) await store(`new${limit}`);
          } while (after !== undefined);
          const dates = found.map(({ date }) => date);
          equal(
            dates,
            [...dates].sort((a, b) => b - a),
          );
          const old = found.map(({ url }) => url).filter((url) => url.startsWith('old'));
          equal(old.length, 24);
          equal(new Set(old).size, 12);
        }
      }),
  };
}

/** As clients may send them: cursors of other storages, cut off ones, and attempts to reach the engine. */
const NO_CURSORS = [
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
    name: 'filters: a cursor that the storage did not give out is refused',
    run: () =>
      at(subject, async (place) => {
        const storage = place.storage([]);
        const writer = place.keep(await openWriter(storage));
        await writer.apply(new TestJournal('a', []).batch([{}, {}, {}]));
        const query = new UsageQuery(storage.reader, { now: () => NOON });
        for (const after of NO_CURSORS) {
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
  const filters: Condition[][] = [
    [],
    [{ column: 'method', value: 'GET' }],
    [
      { column: 'browser', value: 'Firefox' },
      { column: 'botName', value: null },
    ],
    [{ column: 'url', value: 'nothing' }],
  ];
  return {
    name: 'filters: records are walked once each, newest first, many of them in one millisecond',
    run: () =>
      besideMemory(subject, [], async ({ readers: [reader, memory], apply }) => {
        for (const seed of [4, 5]) {
          const batch = records(60, seed);
          await apply(
            batch.map((record, n) => ({ ...record, date: NOON + Math.floor(n / 25), username: `${n}` })),
          );
        }
        for (const where of filters) {
          for (const limit of [3, 30, 1_000]) {
            const request = { ...ALL, where };
            equal(await walk(reader, request, limit), await walk(memory, request, 1_000));
          }
        }
      }),
  };
}

/** What a user agent says is the same in all of its records. */
function records(count: number, seed: number): TestRecord[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => ({
    ...random.record(),
    ...{ agent: null, browser: null, version: null, platform: null },
    ...random.of(AGENTS),
    url: `https://example.com/${random.below(40)}`,
    method: random.of(['GET', 'POST', 'get']),
    protocol: random.of(['HTTP/1.1', 'HTTP/2.0']),
    serverName: random.of(['a', 'A']),
    forwardedFor: random.of([null, '10.0.0.1']),
    username: random.of([null, 'jane', 'Jane']),
    blueprint: random.of([null, '/a', '/A']),
    authorization: random.below(2) === 1,
  }));
}

/** All three questions. */
async function agree(reader: CompleteReader, memory: CompleteReader, range: Matching): Promise<void> {
  const request = { ...range, ...PAGE, column: 'url' } as const;
  equal(await reader.matchingKeys(request), await memory.matchingKeys(request), JSON.stringify(range));
  const series = { ...range, bounds: [NOON - 50 * DAY, NOON, NOON + 50 * DAY] };
  equal(await reader.matchingSeries(series), await memory.matchingSeries(series), JSON.stringify(series));
  equal(await walk(reader, range, 300), await walk(memory, range, 1_000), JSON.stringify(range));
}

async function walk(reader: CompleteReader, range: Matching, limit: number): Promise<UsageRecord[]> {
  const found: UsageRecord[] = [];
  let after: string | undefined;
  do {
    const piece = await reader.matchingRecords({ ...range, after, limit });
    found.push(...piece.records);
    after = piece.next;
  } while (after !== undefined);
  return structuredClone(found);
}
