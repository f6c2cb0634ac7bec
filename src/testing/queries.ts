import { deepStrictEqual as equal } from 'node:assert';
import { UsageQuery } from '../query/query.ts';
import { type Keys, type KeysRequest, ORDERS, type Span } from '../storage/contract.ts';
import { sumReferrers, sumUrls, sumVisitors } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import type { Subject, TestCase } from './index.ts';
import { Random } from './random.ts';
import { at, besideMemory, openWriter } from './support.ts';

const SUMMARIES = [sumUrls, sumReferrers, sumVisitors];
const MONTH: Span[] = [{ period: 'month', from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 10, 1) }];
/** Hours, days, a month, days and hours again: as a range is split. */
const SPANS: Span[] = [
  { period: 'hour', from: Date.UTC(2026, 9, 14, 17), to: Date.UTC(2026, 9, 14, 23) },
  { period: 'day', from: Date.UTC(2026, 9, 15), to: Date.UTC(2026, 9, 31) },
  { period: 'month', from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 10, 1) },
  { period: 'day', from: Date.UTC(2026, 11, 1), to: Date.UTC(2026, 11, 20) },
  { period: 'hour', from: Date.UTC(2026, 11, 21), to: Date.UTC(2026, 11, 21, 9) },
];
/** Parts of texts, and texts that have them or have them not: A to Z alone have a case. */
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
  // Composed and not.
  ['\u00e4', 'a\u0308', false],
  ['a\u0308', '\u00e4', false],
  ['A\u0308', 'a\u0308', true],
  ['A', 'a\u0308', true],
  ['a', '\u00e4', false],
  ['ff', '\ufb00', false],
  ['A', '\uff21', false],
  ['д', 'Д', false],
  ['ǆ', 'Ǆ', false],
  // What some collations do not see.
  ['ab', 'a\u00adb', false],
  ['ab', 'a\u200bb', false],
  ['a\u0000', 'a', false],
  ['a ', 'a', false],
  [' ', 'a b', true],
  ['é', 'e', false],
  // Emoji, and halves and parts of them.
  ['\u{1f600}', 'A\u{1f600}', true],
  ['\u{1f600}', '\u{1f601}', false],
  ['\ud83d', '\u{1f600}', false],
  ['\u{1f468}', '\u{1f468}\u200d\u{1f469}', true],
  ['\u{1f600}\ufe0f', '\u{1f600}', false],
  // Wildcards and patterns are themselves.
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
const SITE = 'default';

/** What is answered from the summaries over a range. */
export function queryCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'questions: keys over months, days and hours are those of the storage in memory, in every order',
      run: () =>
        besideMemory(subject, SUMMARIES, async ({ readers: [reader, memory], apply }) => {
          const random = new Random(20_261_201);
          for (const size of [500, 200]) await apply(Array.from({ length: size }, () => random.record()));
          // All of the same size: what decides is the next measure, and in the end the key.
          await apply(
            Array.from({ length: 150 }, (_, n) => ({
              ...random.record(),
              duration: 8,
              contentLength: n % 2,
            })),
          );
          const same = async (page: Omit<KeysRequest, 'site' | 'spans'>) => {
            const request = { site: SITE, spans: SPANS, ...page };
            equal(await reader.keys(request), await memory.keys(request), JSON.stringify(page));
          };
          for (const { name: summary } of SUMMARIES) {
            for (const order of ORDERS) {
              for (const [limit, offset] of PAGES)
                await same({ summary, order, search: undefined, limit, offset });
            }
            for (const search of ['PAGE/1', 'v', '4']) {
              for (const [limit, offset] of PAGES)
                await same({ summary, order: 'average', search, limit, offset });
            }
          }
        }),
    },
    {
      name: 'questions: keys are searched as text, in whatever case',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ readers: [reader, memory], apply }) => {
          await apply(HOSTILE_TEXTS.map((url) => ({ url })));
          await apply([...HOSTILE_TEXTS].reverse().map((url) => ({ url })));
          const ask = (search: string | undefined, page = {}) => {
            const request: KeysRequest = {
              ...{ site: SITE, summary: 'urls', spans: MONTH, order: 'hits', search, limit: 0, offset: 0 },
              ...page,
            };
            return Promise.all([reader.keys(request), memory.keys(request)]);
          };
          for (const search of [undefined, ...SEARCHES_OF_HOSTILE]) {
            const [found, wanted] = await ask(search);
            equal(found, wanted, search);
          }
          const keysOf = ({ rows }: Keys) => rows.map(({ key }) => key);
          for (const text of HOSTILE_TEXTS) {
            const [found] = await ask(text);
            equal(keysOf(found).includes(text), true, text);
          }
          const [found, wanted] = await ask(undefined, { limit: 7, offset: 20 });
          equal(found, wanted);
          equal(found.count, HOSTILE_TEXTS.length);
          equal((await ask('no such text'))[0], NOTHING);
        }),
    },
    {
      name: 'questions: a search finds ASCII letters in either case, and every other character as it is',
      run: () =>
        at(subject, async (place) => {
          const storage = place.storage([sumUrls]);
          const writer = place.keep(await openWriter(storage));
          const texts = [...new Set(SEARCHES.map(([, text]) => text))];
          await writer.apply(
            new TestJournal('a', storage.summaries).batch(texts.map((url) => ({ url, route: url }))),
          );
          const query = new UsageQuery(storage.reader, { now: () => NOON });
          // The engine searches what is filtered; of the rest, some storages search what they remember.
          for (const [filter, searches] of [
            [{}, SEARCHES.filter((_, n) => n % 4 === 0)],
            [{ status: '200' }, SEARCHES],
          ] as const) {
            for (const [search, text, has] of searches) {
              const options = { range: 'today', search, filter, limit: 0 } as const;
              const keys = (await query.top('urls', options)).rows.map(({ key }) => key);
              equal(keys.includes(text), has, `${JSON.stringify(search)} in ${JSON.stringify(text)}`);
            }
          }
        }),
    },
    {
      name: 'questions: totals and series are those of the storage in memory',
      run: () =>
        besideMemory(subject, SUMMARIES, async ({ readers: [reader, memory], apply }) => {
          const random = new Random(20_261_202);
          await apply(Array.from({ length: 400 }, () => random.record()));
          for (const { name: summary } of SUMMARIES) {
            for (const target of [
              undefined,
              null,
              'v1',
              'V1',
              '200',
              'nobody',
              '',
              'https://example.org/ ',
            ]) {
              const total = { site: SITE, summary, spans: SPANS, target };
              equal(await reader.total(total), await memory.total(total), `${summary} of ${target}`);
              for (const span of SPANS) {
                const series = { site: SITE, summary, target, ...span };
                equal(await reader.series(series), await memory.series(series), JSON.stringify(series));
              }
            }
          }
        }),
    },
    {
      name: 'questions: null is a key that has a row and is not counted among the keys',
      run: () =>
        at(subject, async (place) => {
          const storage = place.storage([sumReferrers]);
          const writer = place.keep(await openWriter(storage));
          await writer.apply(
            new TestJournal('a', storage.summaries).batch([
              { referrer: null },
              { referrer: 'null' },
              { referrer: 'a' },
              { referrer: 'a', status: 500 },
              { referrer: null },
            ]),
          );
          const { reader } = storage;
          const summary = 'referrers';
          const row = (key: string | null, hits: number, errors: number) => ({ key, ...sums(hits, errors) });
          const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
          equal(await reader.keys({ site: SITE, summary, spans: MONTH, ...page }), {
            rows: [row('a', 2, 1), row(null, 2, 0), row('null', 1, 0)],
            count: 3,
            total: sums(5, 1),
          });
          equal(await reader.keys({ site: SITE, summary, spans: MONTH, ...page, search: 'NULL' }), {
            rows: [row('null', 1, 0)],
            count: 1,
            total: sums(1, 0),
          });
          const total = (target?: string | null) =>
            reader.total({ site: SITE, summary, spans: MONTH, target });
          equal(await total(), { ...sums(5, 1), keys: 2 });
          equal(await total(null), { ...sums(2, 0), keys: 0 });
          equal(await total('null'), { ...sums(1, 0), keys: 1 });
          equal(await total('nobody'), { ...sums(0, 0), keys: 0 });
          const bucket = MONTH[0]!.from;
          const series = (target?: string | null) =>
            reader.series({ site: SITE, summary, ...MONTH[0]!, target });
          equal(await series(), [{ bucket, ...sums(5, 1), keys: 2 }]);
          equal(await series(null), [{ bucket, ...sums(2, 0), keys: 0 }]);
          equal(await series('nobody'), []);
        }),
    },
    {
      name: 'questions: where nothing is stored the answers are empty',
      run: () =>
        at(subject, async (place) => {
          const storage = place.storage([sumUrls]);
          const writer = place.keep(await openWriter(storage));
          const ask = async (site: string, summary: string, spans: Span[]) => {
            const page = { order: 'average', search: undefined, limit: 10, offset: 0 } as const;
            const { reader } = storage;
            equal(await reader.keys({ site, summary, spans, ...page }), NOTHING);
            equal(await reader.total({ site, summary, spans, target: undefined }), {
              ...sums(0, 0),
              keys: 0,
            });
            for (const span of spans) {
              equal(await reader.series({ site, summary, ...span, target: undefined }), []);
            }
          };
          await ask(SITE, 'urls', SPANS);
          await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
          await ask(SITE, 'no-such', SPANS);
          await ask('nobody', 'urls', SPANS);
          await ask(SITE, 'urls', []);
          await ask(SITE, 'urls', [{ period: 'day', from: NOON + 1, to: NOON + 2 }]);
        }),
    },
    {
      name: 'questions: sums pass 2^53',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ readers: [reader, memory], apply }) => {
          const large: TestRecord = { contentLength: 2 ** 52, duration: 2 ** 52 };
          for (let n = 0; n < 4; n++) await apply([large, { ...large, url: 'b' }]);
          for (const order of ORDERS) {
            const page = { order, search: undefined, limit: 1, offset: 1 };
            const request = { site: SITE, summary: 'urls', spans: MONTH, ...page };
            equal(await reader.keys(request), await memory.keys(request));
          }
          const all = { site: SITE, summary: 'urls', target: undefined };
          const { transfer } = await reader.total({ ...all, spans: MONTH });
          equal(transfer, 2 ** 55);
          equal(await reader.series({ ...all, ...MONTH[0]! }), await memory.series({ ...all, ...MONTH[0]! }));
        }),
    },
  ];
}

const PAGES = [
  [0, 0],
  [10, 0],
  [3, 5],
  [10, 100_000],
  [0, 4],
] as const;

const NOTHING: Keys = { rows: [], count: 0, total: sums(0, 0) };

/** Of so many records as a test makes them. */
function sums(hits: number, errors: number) {
  return { hits, transfer: 5 * hits, errors, duration: 1_500 * hits };
}
