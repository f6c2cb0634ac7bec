import { deepStrictEqual as equal, rejects } from 'node:assert';
import type { SeriesOptions, TopOptions } from '../query/query.ts';
import { type KeyRow, ORDERS } from '../storage/contract.ts';
import { PERIODS } from '../summaries/periods.ts';
import { sumReferrers, sumUrls, sumVisitors } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import { SMALL } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, openWriter } from './support.ts';

const SUMMARIES = [sumUrls, sumReferrers, sumVisitors];
/** A range that consists of hours, days, a month, days and hours. */
const RANGE = { from: '2026-10-14T17:00', to: '2026-12-21T09:00' };
/** Searches, texts, and the expected results. Only A to Z match in either case. */
const SEARCHES: [search: string, text: string, has: boolean][] = [
  ['aBc', 'xAbCx', true],
  ['ä', 'ä', true],
  ['ä', 'Ä', false],
  ['Ä', 'ä', false],
  ['ÄRA', 'Ära', true],
  ['ß', 'ẞ', false],
  ['ß', 'ss', false],
  ['SS', 'ß', false],
  ['İ', 'i', false],
  ['i', 'İ', false],
  ['I', 'ı', false],
  ['ı', 'i', false],
  ['Σ', 'σ', false],
  ['ς', 'σ', false],
  ['σ', 'σ', true],
  ['k', '\u212a', false],
  ['\u212a', 'K', false],
  ['\u212a', '\u212a', true],
  // Composed and decomposed.
  ['\u00e4', 'a\u0308', false],
  ['a\u0308', '\u00e4', false],
  ['A\u0308', 'a\u0308', true],
  ['A', 'a\u0308', true],
  ['a', '\u00e4', false],
  ['ff', '\ufb00', false],
  ['A', '\uff21', false],
  ['д', 'Д', false],
  ['ǆ', 'Ǆ', false],
  // Characters that some collations ignore.
  ['ab', 'a\u00adb', false],
  ['ab', 'a\u200bb', false],
  ['a\u0000', 'a', false],
  ['a ', 'a', false],
  [' ', 'a b', true],
  ['é', 'e', false],
  // Emoji, their halves and parts.
  ['\u{1f600}', 'A\u{1f600}', true],
  ['\u{1f600}', '\u{1f601}', false],
  ['\ud83d', '\u{1f600}', false],
  ['\u{1f468}', '\u{1f468}\u200d\u{1f469}', true],
  ['\u{1f600}\ufe0f', '\u{1f600}', false],
  // Wildcards and patterns have no meaning.
  ['%', 'abc', false],
  ['A%C', 'a%c', true],
  ['a%c', 'abc', false],
  ['a_c', 'abc', false],
  ['A_C', 'a_c', true],
  ['\\', 'a\\c', true],
  ['\\%', 'a%c', false],
  ['\\\\', 'a\\c', false],
  ["'", "a'c", true],
  ["''", "a'c", false],
  ['"', 'a"c', true],
  ['`', 'a`c', true],
  ['.', 'abc', false],
  ['a.c', 'abc', false],
  ['A.C', 'a.c', true],
  ['.*', 'abc', false],
  ['^a', 'abc', false],
  ['c$', 'abc', false],
  ['[a]', 'abc', false],
  ['(A)', '(a)', true],
  ['a|b', 'abc', false],
  ['a+', 'aa', false],
  ['(?i)a', 'a', false],
  ['\\w', 'abc', false],
  ['$where', '$WHERE', true],
  ["a' OR '1'='1", 'abc', false],
];
const SEARCHES_OF_HOSTILE = [
  'a',
  'A',
  'nUlL',
  '%',
  '_',
  '\\',
  '\\\\',
  "'",
  '"',
  '`',
  ' ',
  'XY',
  '漢A',
  '.',
  '$',
  '\u{1f600}',
];
/** Range queries that read the summaries. */
export function queryCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'queries: keys over months, days and hours are those of the storage in memory, in every order',
      run: () =>
        besideMemory(subject, SUMMARIES, async ({ apply, compare }) => {
          const random = new Random(20_261_201);
          for (const size of [500, 200]) await apply(Array.from({ length: size }, () => random.record()));
          // Equal sums: the order depends on the next measure, and finally on the key.
          await apply(
            Array.from({ length: 150 }, (_, n) => ({
              ...random.record(),
              duration: 8,
              contentLength: n % 2,
            })),
          );
          const { same } = await compare(SMALL);
          for (const { name: summary } of SUMMARIES) {
            const sameTop = (options: TopOptions) =>
              same(`${summary} ${JSON.stringify(options)}`, (of) =>
                of.top(summary, { ...RANGE, ...options }),
              );
            // All pages in the order of a column and of a quotient; one page in every other order.
            for (const order of ['hits', 'average'] as const) await sameTop({ order });
            for (const order of ORDERS) await sameTop({ order, limit: 3, page: 3 });
            await sameTop({ limit: 10, page: 10_001 });
            await sameTop({ compare: true, limit: 7 });
            for (const search of ['PAGE/1', 'v', '4']) await sameTop({ order: 'average', search });
          }
        }),
    },
    {
      name: 'queries: keys are searched as text, in either case',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ apply, compare }) => {
          await apply(HOSTILE_TEXTS.map((url) => ({ url })));
          await apply([...HOSTILE_TEXTS].reverse().map((url) => ({ url })));
          await (await compare(SMALL)).same('all', (of) => of.top('urls'));
          const { tested, same } = await compare();
          for (const search of SEARCHES_OF_HOSTILE) {
            await same(`search ${search}`, (of) => of.top('urls', { search }));
          }
          for (const text of HOSTILE_TEXTS) {
            // Engines search only one page; the others are compared above.
            const { rows } = await tested.top('urls', { search: text, limit: 1_000 });
            equal(
              rows.some(({ key }) => key === text),
              true,
              text,
            );
          }
          const { count } = await same('page 4', (of) => of.top('urls', { limit: 7, page: 4 }));
          equal(count, HOSTILE_TEXTS.length);
          const { rows, total, ...none } = await tested.top('urls', { search: 'no such text' });
          equal([rows, none.count, total], [[], 0, sums(0, 0)]);
        }),
    },
    {
      name: 'queries: a search finds ASCII letters in either case, and every other character as it is',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const texts = [...new Set(SEARCHES.map(([, text]) => text))];
          await writer.apply(
            new TestJournal('a', storage.summaries).batch(texts.map((url) => ({ url, route: url }))),
          );
          const client = await location.openClient(storage, { now: NOON });
          // The engine searches filtered results. Without a filter, some storages search their cached sums.
          for (const [filter, searches] of [
            [{}, SEARCHES.filter((_, n) => n % 4 === 0)],
            [{ status: '200' }, SEARCHES],
          ] as const) {
            for (const [search, text, has] of searches) {
              const options = { range: 'today', search, filter, limit: 1_000 } as const;
              const keys = (await client.top('urls', options)).rows.map(({ key }) => key);
              equal(keys.includes(text), has, `${JSON.stringify(search)} in ${JSON.stringify(text)}`);
            }
          }
        }),
    },
    {
      name: 'queries: totals and series are those of the storage in memory',
      run: () =>
        besideMemory(subject, SUMMARIES, async ({ apply, compare }) => {
          const random = new Random(20_261_202);
          await apply(Array.from({ length: 400 }, () => random.record()));
          const { same } = await compare();
          const sameSeries = (options: SeriesOptions) =>
            same(JSON.stringify(options), (of) => of.series({ ...RANGE, ...options }));
          await same('totals', (of) => of.totals({ ...RANGE, compare: true }));
          for (const period of PERIODS) await sameSeries({ period, compare: true });
          for (const { name: summary } of SUMMARIES) {
            for (const key of [null, 'v1', 'V1', '200', 'nobody', 'https://example.org/ ']) {
              // The first and the last month are only partly in the range.
              await sameSeries({ period: 'month', summary, key });
            }
            for (const period of ['hour', 'day'] as const) await sameSeries({ period, summary, key: null });
          }
        }),
    },
    {
      name: 'queries: null is a key that has a row, and is not a visitor',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumReferrers, sumVisitors]);
          const writer = location.keep(await openWriter(storage));
          const keys = [null, 'null', 'a', 'a', null];
          await writer.apply(
            new TestJournal('a', storage.summaries).batch(
              keys.map((key, n) => ({ referrer: key, visitor: key, status: n === 3 ? 500 : 200 })),
            ),
          );
          const client = await location.openClient(storage, SMALL);
          const row = (key: string | null, hits: number, errors: number) => ({ key, ...sums(hits, errors) });
          const keysOf = async (options: TopOptions) => {
            const { rows, count, total } = await client.top('referrers', options);
            return { rows: rows.map(({ previous: _, ...each }): KeyRow => each), count, total };
          };
          equal(await keysOf({}), {
            rows: [row('a', 2, 1), row(null, 2, 0), row('null', 1, 0)],
            count: 3,
            total: sums(5, 1),
          });
          equal(await keysOf({ search: 'NULL' }), { rows: [row('null', 1, 0)], count: 1, total: sums(1, 0) });
          equal((await client.totals()).totals, { ...sums(5, 1), visitors: 2, bots: 0 });
          const month = { from: '2026-11', to: '2026-11', period: 'month' } as const;
          const bucketOf = async (options: SeriesOptions) => {
            const { buckets } = await client.series({ ...month, ...options });
            const [{ date, ...bucket } = { date: null }, ...more] = buckets;
            equal([date, more], ['2026-11-01T00:00:00+00:00', []]);
            return bucket;
          };
          equal(await bucketOf({}), { ...sums(5, 1), visitors: 2, bots: 0 });
          for (const [key, hits] of [
            [null, 2],
            ['null', 1],
            ['nobody', 0],
          ] as const) {
            const expected = { ...sums(hits, 0), visitors: null, bots: null };
            equal(await bucketOf({ summary: 'referrers', key }), expected);
          }
        }),
    },
    {
      name: 'queries: without data the answers are empty',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const client = await location.openClient(storage);
          const isEmpty = async (options: { site?: string; from?: string; to?: string }) => {
            const top = await client.top('urls', { ...options, order: 'average' });
            equal([top.rows, top.count, top.total], [[], 0, sums(0, 0)]);
            const { totals } = await client.totals(options);
            equal(totals, { ...sums(0, 0), visitors: null, bots: 0 });
            const period = 'month';
            for (const selected of [{}, { summary: 'urls', key: 'http://localhost/' }]) {
              const { buckets } = await client.series({ ...options, ...selected, period });
              equal(
                buckets.filter(({ hits }) => hits > 0),
                [],
              );
            }
            equal(await client.records(options), []);
          };
          await isEmpty({});
          await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
          await isEmpty({ site: 'nobody' });
          await isEmpty({ from: '2026-11-25', to: '2026-11-25' });
          await isEmpty({ from: '2026-11-24T13:00', to: '2026-11-24T13:00' });
          await rejects(client.top('no-such'), { code: 'SUMMARY_UNKNOWN' });
        }),
    },
    {
      name: 'queries: sums pass 2^53',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ apply, compare }) => {
          const large: TestRecord = { contentLength: 2 ** 52, duration: 2 ** 52 };
          for (let n = 0; n < 4; n++) await apply([large, { ...large, url: 'b' }]);
          const { same } = await compare();
          for (const order of ORDERS) {
            await same(order, (of) => of.top('urls', { order, limit: 1, page: 2 }));
          }
          const { totals } = await same('totals', (of) => of.totals());
          equal(totals.transfer, 2 ** 55);
          await same('series', (of) => of.series({ period: 'month' }));
          await same('a key', (of) => of.series({ period: 'month', summary: 'urls', key: 'b' }));
        }),
    },
  ];
}

/** Returns the measures of `hits` records with the defaults of a test. */
function sums(hits: number, errors: number) {
  return { hits, transfer: 5 * hits, errors, duration: 1_500 * hits };
}
