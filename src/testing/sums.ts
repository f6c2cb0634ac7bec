import { deepStrictEqual as equal, ok, rejects } from 'node:assert';
import { MemoryStorage } from '../storages/memory/index.ts';
import { defineSummary } from '../summaries/define.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { STANDARD_SUMMARIES, sumReferrers, sumStatus, sumUrls, sumVisitors } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import { openQueryClient, type QueryClient, SMALL } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter, rows, shareOf } from './support.ts';

const HOUR = 3_600_000;

/** Sums of summaries: by bucket, key and site. */
export function sumCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'sums: measures add up over batches, by bucket, hits and key',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          const one = { contentLength: 10, duration: 7 };
          await writer.apply(
            journal.batch([
              { ...one, url: 'b' },
              { ...one, url: 'a', status: 500 },
              { ...one, url: 'b', date: NOON + HOUR },
            ]),
          );
          await writer.apply(
            journal.batch([
              { ...one, url: 'b', status: 499 },
              { ...one, url: 'c', date: NOON + HOUR },
              { ...one, url: 'a', date: NOON + 24 * HOUR },
            ]),
          );
          const client = await location.openClient(storage, SMALL);
          const found = await client.sums('urls', { period: 'hour' });
          equal(found, [
            {
              period: 'hour',
              date: '2026-11-25T12:00:00+00:00',
              key: 'a',
              hits: 1,
              transfer: 10,
              errors: 0,
              duration: 7,
            },
            {
              period: 'hour',
              date: '2026-11-24T13:00:00+00:00',
              key: 'b',
              hits: 1,
              transfer: 10,
              errors: 0,
              duration: 7,
            },
            {
              period: 'hour',
              date: '2026-11-24T13:00:00+00:00',
              key: 'c',
              hits: 1,
              transfer: 10,
              errors: 0,
              duration: 7,
            },
            {
              period: 'hour',
              date: '2026-11-24T12:00:00+00:00',
              key: 'b',
              hits: 2,
              transfer: 20,
              errors: 0,
              duration: 14,
            },
            {
              period: 'hour',
              date: '2026-11-24T12:00:00+00:00',
              key: 'a',
              hits: 1,
              transfer: 10,
              errors: 1,
              duration: 7,
            },
          ]);
          equal(await rows(client, 'urls', 'day'), [
            ['a', 1, 10, 0, 7],
            ['b', 3, 30, 0, 21],
            ['a', 1, 10, 1, 7],
            ['c', 1, 10, 0, 7],
          ]);
          equal(await rows(client, 'urls', 'month'), [
            ['b', 3, 30, 0, 21],
            ['a', 2, 20, 1, 14],
            ['c', 1, 10, 0, 7],
          ]);
          const { summaries } = await (await location.openClient(location.storage([]))).site();
          equal(summaries, [{ name: 'urls', title: 'sumUrls', custom: false, filter: true }]);
        }),
    },
    {
      name: 'sums: pages, and both ends of a range belong to it',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          const records: TestRecord[] = [];
          for (let hour = 0; hour < 4; hour++) {
            for (let key = 0; key <= hour; key++) records.push({ date: NOON + hour * HOUR, url: `u${key}` });
          }
          await writer.apply(journal.batch(records));
          const client = await location.openClient(storage, SMALL);
          const all = await rows(client, 'urls', 'hour');
          equal(all.length, 10);
          equal(await rows(client, 'urls', 'hour', { limit: 4, page: 1 }), all.slice(0, 4));
          equal(await rows(client, 'urls', 'hour', { limit: 4, page: 3 }), all.slice(8));
          equal(await rows(client, 'urls', 'hour', { limit: 4, page: 4 }), []);
          const range = { from: '2026-11-24T13:00', to: '2026-11-24T14:00' };
          equal(await rows(client, 'urls', 'hour', range), all.slice(4, 9));
          equal(
            await rows(client, 'urls', 'hour', {
              from: '2026-11-24T12:00:00.001',
              to: '2026-11-24T12:59:59',
            }),
            [],
          );
          equal(await rows(client, 'urls', 'hour', { target: 'u3' }), [['u3', 1, 5, 0, 1500]]);
          equal(await rows(client, 'urls', 'hour', { target: 'U3' }), []);
        }),
    },
    {
      name: 'sums: null is a key of its own, sorts last, and is not the text "null"',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumReferrers, sumVisitors]);
          const writer = location.keep(await openWriter(storage));
          await writer.apply(
            new TestJournal('a', storage.summaries).batch([
              { referrer: null },
              { referrer: 'null' },
              { referrer: 'z' },
              { referrer: null },
              { referrer: 'z' },
            ]),
          );
          const client = await location.openClient(storage, SMALL);
          equal(
            (await rows(client, 'referrers')).map(([key, hits]) => [key, hits]),
            [
              ['z', 2],
              [null, 2],
              ['null', 1],
            ],
          );
          equal(
            (await rows(client, 'referrers', 'day', { target: null })).map(([key, hits]) => [key, hits]),
            [[null, 2]],
          );
          equal(
            (await rows(client, 'referrers', 'day', { target: 'null' })).map(([key, hits]) => [key, hits]),
            [['null', 1]],
          );
          equal(await rows(client, 'visitors', 'month'), [[null, 5, 25, 0, 7500]]);
        }),
    },
    {
      name: 'sums: keys that engines may take for equal stay separate, in the order of their bytes',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          // Twice, so that each row is inserted and then added to.
          for (const texts of [HOSTILE_TEXTS, [...HOSTILE_TEXTS].reverse()]) {
            await writer.apply(journal.batch(texts.map((url) => ({ url }))));
          }
          const sorted = [...HOSTILE_TEXTS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          const client = await location.openClient(storage, SMALL);
          for (const period of PERIODS) {
            equal(
              (await rows(client, 'urls', period)).map(([key, hits]) => [key, hits]),
              sorted.map((key) => [key, 2]),
            );
          }
          for (const target of HOSTILE_TEXTS) {
            equal(
              (await rows(client, 'urls', 'day', { target })).map(([key, hits]) => [key, hits]),
              [[target, 2]],
            );
          }
        }),
    },
    {
      name: 'sums: pass 2^53',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          for (let n = 0; n < 4; n++)
            await writer.apply(journal.batch([{ contentLength: 2 ** 52, duration: 2 ** 52 }]));
          const client = await location.openClient(storage);
          equal(await rows(client, 'urls', 'month'), [['http://localhost/', 4, 2 ** 54, 0, 2 ** 54]]);
        }),
    },
    {
      name: 'sums: small numbers add up past 2^31, and exactly to 2^53',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          const sums: [transfer: number, duration: number] = [0, 0];
          const add = async (transfer: number, duration: number) => {
            await writer.apply(journal.batch([{ contentLength: transfer, duration }]));
            sums[0] += transfer;
            sums[1] += duration;
          };
          const client = await location.openClient(storage);
          const found = async () => {
            const [row] = await rows(client, 'urls', 'month');
            return [row![2], row![4]];
          };
          // Each fits into 31 bits; the sums pass 31 bits, then 32.
          for (let n = 0; n < 5; n++) {
            await add(2 ** 30 - 1, 2 ** 31 - 1);
            equal(await found(), sums);
          }
          for (const each of [1, 2 ** 31, 3]) await add(each, each);
          equal(await found(), sums);
          // To just below 2^53, then one by one.
          await add(2 ** 53 - 3 - sums[0], 2 ** 53 - 2 - sums[1]);
          for (let n = 0; n < 2; n++) {
            await add(1, 1);
            equal(await found(), sums);
          }
          equal(sums, [2 ** 53 - 1, 2 ** 53]);
          // Beyond 2^53, storages round: some when adding, others when reading.
          for (let n = 0; n < 8; n++) await writer.apply(journal.batch([{ contentLength: 1, duration: 1 }]));
          for (const [n, sum] of (await found()).entries()) {
            const least = sums[n]!;
            ok((sum as number) >= least && (sum as number) <= least + 8, `${sum} is not near ${least}`);
          }
        }),
    },
    {
      name: 'sums: summaries of the user’s own, with several keys per record',
      run: () =>
        at(subject, async (location) => {
          const tags = defineSummary({ name: 'blog-tags', key: () => null });
          const storage = location.storage([tags, sumStatus]);
          const writer = location.keep(await openWriter(storage));
          const of = (status: number, contentLength: number, ...keys: string[]) => {
            return { status, contentLength, duration: 7, extra: { keys: { 'blog-tags': keys } } };
          };
          await writer.apply(
            new TestJournal('a', storage.summaries).batch([
              of(500, 10, 'x', 'y'),
              of(200, 30, 'y'),
              of(503, 200, 'z', 'y'),
              of(200, 4_000),
            ]),
          );
          const client = await location.openClient(storage);
          // Each key of a record counts it in full: hits, transfer, errors and duration.
          equal(await rows(client, 'blog-tags'), [
            ['y', 3, 240, 2, 21],
            ['x', 1, 10, 1, 7],
            ['z', 1, 200, 1, 7],
            [null, 1, 4_000, 0, 7],
          ]);
          const other = await location.openClient(location.storage([]));
          equal(
            (await other.site()).summaries.map(({ name, custom }) => [name, custom]),
            [
              ['status', false],
              ['blog-tags', true],
            ],
          );
          equal((await rows(other, 'blog-tags')).length, 4);
          equal((await other.top('blog-tags')).count, 4);
          await rejects(other.sums('blog-tag', { period: 'day' }), { code: 'SUMMARY_UNKNOWN' });
          await rejects(other.top('blog-tag'), { code: 'SUMMARY_UNKNOWN' });
        }),
    },
    {
      name: 'sums: hours, days and months are those of the site’s zone',
      run: () =>
        at(subject, async (location) => {
          const timeZone = 'Europe/Berlin';
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage, { timeZone }));
          const journal = new TestJournal('a', storage.summaries, timeZone);
          // Around the repeated hour, and the end of the month.
          const dates = [
            '2026-10-24T21:59:59Z',
            '2026-10-24T22:00:00Z',
            '2026-10-25T00:30:00Z',
            '2026-10-25T01:30:00Z',
            '2026-10-31T22:59:59Z',
            '2026-10-31T23:00:00Z',
          ];
          await writer.apply(journal.batch(dates.map((date) => ({ date: Date.parse(date) }))));
          const client = await location.openClient(storage);
          const list = async (period: Period) =>
            (await client.sums('urls', { period })).map(({ date, hits }) => [date, hits]);
          equal(await list('hour'), [
            ['2026-11-01T00:00:00+01:00', 1],
            ['2026-10-31T23:00:00+01:00', 1],
            ['2026-10-25T02:00:00+01:00', 1],
            ['2026-10-25T02:00:00+02:00', 1],
            ['2026-10-25T00:00:00+02:00', 1],
            ['2026-10-24T23:00:00+02:00', 1],
          ]);
          equal(await list('day'), [
            ['2026-11-01T00:00:00+01:00', 1],
            ['2026-10-31T00:00:00+01:00', 1],
            ['2026-10-25T00:00:00+02:00', 3],
            ['2026-10-24T00:00:00+02:00', 1],
          ]);
          equal(await list('month'), [
            ['2026-11-01T00:00:00+01:00', 1],
            ['2026-10-01T00:00:00+02:00', 5],
          ]);
          equal((await client.site()).timeZone, timeZone);
          await rejects(openWriter(storage, { timeZone: 'UTC' }), { code: 'STORAGE_TIME_ZONE' });
        }),
    },
    {
      name: 'sums: a large random workload gives what the storage in memory gives, rows and order',
      run: () =>
        at(subject, async (location) => {
          const random = new Random(20_261_124);
          const storage = location.storage(STANDARD_SUMMARIES);
          const memory = location.keep(new MemoryStorage({ hooks: STANDARD_SUMMARIES }));
          const writers = [storage, memory].map(async (each) => location.keep(await openWriter(each)));
          const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
          for (const size of [10_000, 1, 0, 500, 1_500, 3]) {
            const batch = journals[random.below(2)]!.batch(
              shareOf(
                subject,
                Array.from({ length: size }, () => random.record()),
              ),
            );
            for (const writer of writers) equal(await (await writer).apply(batch), true);
          }
          const client = await location.openClient(storage, { rows: 5_000 });
          const wanted = await openQueryClient(memory, { rows: 0 });
          for (const { name } of STANDARD_SUMMARIES) {
            for (const period of PERIODS) {
              equal(
                await rows(client, name, period),
                await rows(wanted, name, period),
                `${name} by ${period}`,
              );
            }
          }
          if (!subject.cannot?.records) {
            const urls = async (each: QueryClient) => (await each.usage()).map(({ url }) => url).sort();
            equal(await urls(client), await urls(wanted));
          }
        }),
    },
  ];
}
