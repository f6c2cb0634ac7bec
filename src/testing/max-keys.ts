import { deepStrictEqual as equal, ok } from 'node:assert';
import type { Storage } from '../query/storage.ts';
import type { MaxKeys, StorageWriter } from '../storage/contract.ts';
import { OTHERS } from '../summaries/coverage.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { sumReferrers, sumUrls } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { type QueryClient, SMALL } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, openWriter, put, rows } from './support.ts';

const HOUR = 3_600_000;
const NONE: MaxKeys = { all: { hour: 1e9, day: 1e9, month: 1e9 }, summaries: {} };

/** Returns limits that are the same for all periods. */
function limits(max: number, summaries: Record<string, number> = {}): MaxKeys {
  const each = (limit: number) => ({ hour: limit, day: limit, month: limit });
  return {
    all: each(max),
    summaries: Object.fromEntries(Object.entries(summaries).map(([name, limit]) => [name, each(limit)])),
  };
}

const urls = (...of: string[]): TestRecord[] => of.map((url) => ({ url }));

async function hits(client: QueryClient, period: Period = 'day', summary = 'urls') {
  return (await rows(client, summary, period)).map(([key, count]) => [key, count]);
}

/** Keys beyond the budget of a bucket. */
export function maxKeysCases(subject: Subject): TestCase[] {
  if (subject.cannot?.maxKeys) return [];
  return [
    keyOfOthers(subject),
    {
      name: 'max keys: within a batch, the first keys are admitted and the rest is added up',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls, sumReferrers]);
          const writer = location.keep(await openWriter(storage, { maxKeys: limits(3) }));
          const journal = new TestJournal('a', storage.summaries);
          const of = (url: string, status = 200) => ({ url, contentLength: 10, duration: 7, status });
          await put(
            writer,
            journal.batch([of('d'), of('c'), of('d'), of('b'), of('a'), of('e', 500), of('a'), of('c')]),
          );
          const client = await location.openClient(storage);
          for (const period of PERIODS) {
            equal(await rows(client, 'urls', period), [
              [OTHERS, 3, 30, 1, 21],
              ['c', 2, 20, 0, 14],
              ['d', 2, 20, 0, 14],
              ['b', 1, 10, 0, 7],
            ]);
            // `null` is no key.
            equal(await hits(client, period, 'referrers'), [[null, 8]]);
          }
          equal((await client.top('urls')).total, { hits: 8, transfer: 80, errors: 1, duration: 56 });
        }),
    },
    {
      name: 'max keys: keys of the bucket keep counting over batches, and each bucket has its own budget',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const maxKeys: MaxKeys = { all: { hour: 2, day: 3, month: 4 }, summaries: {} };
          const writer = location.keep(await openWriter(storage, { maxKeys }));
          const journal = new TestJournal('a', storage.summaries);
          for (const each of [['a'], ['b', 'c'], ['c', 'a'], ['d', 'b', 'e']]) {
            await put(writer, journal.batch(urls(...each)));
          }
          await put(
            writer,
            journal.batch(urls('f', 'g', 'h').map((each) => ({ ...each, date: NOON + HOUR }))),
          );
          const client = await location.openClient(storage);
          equal(await hits(client, 'hour'), [
            [OTHERS, 1],
            ['f', 1],
            ['g', 1],
            [OTHERS, 4],
            ['a', 2],
            ['b', 2],
          ]);
          equal(await hits(client, 'day'), [
            [OTHERS, 5],
            ['a', 2],
            ['b', 2],
            ['c', 2],
          ]);
          equal(await hits(client, 'month'), [
            [OTHERS, 4],
            ['a', 2],
            ['b', 2],
            ['c', 2],
            ['d', 1],
          ]);
        }),
    },
    {
      name: 'max keys: two writers in turn, and a reopened one, share the budget of a bucket',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const open = async () =>
            location.keep(await openWriter(location.storage([sumUrls]), { maxKeys: limits(5) }));
          const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
          const [a, b] = [await open(), await open()];
          const add = (writer: StorageWriter, n: number, ...keys: string[]) =>
            put(writer, journals[n]!.batch(urls(...keys)));
          await add(a, 0, '1', '2');
          await add(b, 1, '3', '1');
          await add(a, 0, '4', '3');
          await add(b, 1, '5', '6', '4');
          await add(a, 0, '7', '5', '6');
          await a.close();
          const c = await open();
          await add(c, 0, '8', '7', '1');
          await add(b, 1, '8', '2');
          equal(await hits(await location.openClient(storage)), [
            [OTHERS, 6],
            ['1', 3],
            ['2', 2],
            ['3', 2],
            ['4', 2],
            ['5', 2],
          ]);
        }),
    },
    {
      name: 'max keys: a summary may have its own budget, and a removed key makes room',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls, sumReferrers]);
          const writer = location.keep(await openWriter(storage, { maxKeys: limits(1, { referrers: 2 }) }));
          const journal = new TestJournal('a', storage.summaries);
          const of = (text: string) => ({ url: text, referrer: text, contentLength: 0, duration: 0 });
          await put(writer, journal.batch(['a', 'b', 'c'].map(of)));
          const client = await location.openClient(storage);
          equal(await hits(client, 'hour'), [
            [OTHERS, 2],
            ['a', 1],
          ]);
          equal(await hits(client, 'hour', 'referrers'), [
            [OTHERS, 1],
            ['a', 1],
            ['b', 1],
          ]);
          const bucket = Date.UTC(2026, 10, 24, 12);
          const less = {
            summary: 'urls',
            period: 'hour',
            bucket,
            transfer: 0,
            errors: 0,
            duration: 0,
          } as const;
          await put(writer, journal.correction([{ ...less, key: 'a', hits: -1 }]));
          await put(writer, journal.batch(['d', 'e'].map(of)));
          equal(await hits(client, 'hour'), [
            [OTHERS, 3],
            ['d', 1],
          ]);
        }),
    },
    {
      name: 'max keys: a random workload gives what the storage in memory gives',
      run: () =>
        besideMemory(subject, [sumUrls, sumReferrers], async ({ tested, memory, keep, compare }) => {
          const random = new Random(16);
          const maxKeys: MaxKeys = { all: { hour: 20, day: 45, month: 70 }, summaries: {} };
          const open = async (storage: Storage) => keep(await openWriter(storage, { maxKeys }));
          const writers = [
            [await open(tested), await open(memory)],
            [await open(tested), await open(memory)],
          ];
          const journals = ['b', 'c'].map((id) => new TestJournal(id, tested.summaries));
          for (let n = 0; n < 12; n++) {
            const by = random.below(2);
            const records = Array.from({ length: 1 + random.below(60) }, () => ({
              date: NOON + random.below(3) * HOUR,
              url: `http://localhost/${random.below(40 + 10 * n)}`,
              referrer: random.of([null, 'a', 'b', `${random.below(100)}`]),
            }));
            const batch = journals[by]!.batch(records);
            for (const writer of writers[by]!) equal(await put(writer, batch), true);
          }
          const { same } = await compare();
          for (const name of ['urls', 'referrers']) {
            for (const period of PERIODS) {
              const found = await same(`${name} ${period}`, (of) => rows(of, name, period));
              if (name === 'urls') ok(found.some(([key]) => key === OTHERS));
            }
          }
        }),
    },
  ];
}

function keyOfOthers(subject: Subject): TestCase {
  return {
    name: 'max keys: the key of others is different from null and from every text, in every query',
    run: () =>
      besideMemory(subject, [sumReferrers], async ({ tested, readers, memory, keep, openClient }) => {
        const bucket = (period: Period) =>
          Date.UTC(2026, 10, period === 'month' ? 1 : 24, period === 'hour' ? 12 : 0);
        const measures = { hits: 2, transfer: 20, errors: 1, duration: 7 };
        const batch = new TestJournal('b', tested.summaries).correction(
          PERIODS.flatMap((period) =>
            [OTHERS, null, 'a', 'null', ' ', '\u0001', 'others'].map((key) => {
              return { summary: 'referrers', period, bucket: bucket(period), key, ...measures };
            }),
          ),
        );
        for (const storage of [tested, memory]) {
          equal(await put(keep(await openWriter(storage, { maxKeys: NONE })), batch), true);
        }
        const client = await openClient(tested, SMALL);
        for (const period of PERIODS) {
          equal(
            (await rows(client, 'referrers', period)).map(([key]) => key),
            [OTHERS, '\u0001', ' ', 'a', 'null', 'others', null],
          );
        }
        const library = await openClient(tested, { interfaces: ['library'] });
        for (const target of [OTHERS, null, 'a']) {
          equal(
            (await rows(library, 'referrers', 'day', { target })).map(([key, count]) => [key, count]),
            [[target, 2]],
          );
        }
        const site = 'default';
        const summary = 'referrers';
        const spans = PERIODS.map((period) => ({ period, from: bucket(period), to: bucket(period) }));
        const [reader, wanted] = readers;
        for (const target of [undefined, OTHERS, null, 'a', 'b']) {
          const total = { site, summary, spans, target };
          equal(await reader.total(total), await wanted.total(total), `total of ${target}`);
          const series = { site, summary, period: 'day', from: 0, to: 1e14, target } as const;
          equal(await reader.series(series), await wanted.series(series), `series of ${target}`);
        }
        for (const search of [undefined, 'o', 'null', ' ']) {
          for (const order of ['hits', 'average'] as const) {
            const page = { site, summary, spans, order, search };
            const all = await wanted.keys({ ...page, limit: 0, offset: 0 });
            equal(await reader.keys({ ...page, limit: 0, offset: 0 }), all, `keys with ${search}`);
            equal(
              (await reader.keys({ ...page, limit: 1, offset: 0 })).rows,
              all.rows.slice(0, 1),
              `first key with ${search}`,
            );
          }
        }
      }),
  };
}
