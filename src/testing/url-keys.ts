import { deepStrictEqual as equal } from 'node:assert';
import { PERIODS } from '../summaries/periods.ts';
import { sumUrls } from '../summaries/standard.ts';
import { NOT_FOUND } from '../summaries/url-key.ts';
import { NOON, type TestRecord } from './batches.ts';
import type { Subject, TestCase } from './subject.ts';
import { besideMemory, rows } from './support.ts';

const HOUR = 3_600_000;

/** Records with a key of their own in `sumUrls`, and without: then it is the URL. */
const RECORDS: readonly TestRecord[] = [
  { url: 'http://localhost/a?n=1', urlKey: '/a' },
  { url: 'http://localhost/a?n=2', urlKey: '/a' },
  { url: 'http://localhost/a?n=2' },
  // The key of one is the URL of another.
  { url: '/a' },
  { url: 'http://localhost/x', urlKey: NOT_FOUND, status: 404 },
  { url: 'http://localhost/y', urlKey: NOT_FOUND, status: 404 },
  { url: 'http://localhost/A', urlKey: '/A' },
].map((record, n) => ({ ...record, date: NOON + n }));

/** Keys in `sumUrls` that differ from the URL: see the option `urlKey`. */
export function urlKeyCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'keys of URLs: sums, filters and keys from the records use the key of a record, or its URL',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ apply, compare }) => {
          await apply(RECORDS);
          const { tested, same } = await compare();
          const keys = [
            ['/a', 3],
            [NOT_FOUND, 2],
            ['/A', 1],
            ['http://localhost/a?n=2', 1],
          ] as const;
          const hitsOf = (found: readonly { key: string | null; hits: number }[]) =>
            found.map(({ key, hits }) => [key, hits]);
          for (const period of PERIODS) {
            equal(
              (await rows(tested, 'urls', period)).map(([key, hits]) => [key, hits]),
              keys,
            );
          }
          equal(hitsOf((await tested.top('urls', { filter: { server: 'default' } })).rows), keys);
          for (const [urls, hits] of [keys[0], keys[1], ['http://localhost/x', 0], [null, 0]] as const) {
            const filter = { urls };
            equal((await tested.totals({ filter })).totals.hits, hits);
          }
          const filter = { urls: '/a' };
          await same('series', (of) => of.series({ filter, period: 'month' }));
          const urls = (await tested.records({ filter })).map(({ url }) => url);
          equal(urls, ['/a', 'http://localhost/a?n=2', 'http://localhost/a?n=1']);
        }),
    },
    {
      name: 'keys of URLs: a scan returns those that differ from the URL, and a recount finds them',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ apply, readers }) => {
          await apply(RECORDS);
          for (const reader of readers) {
            const { records } = await reader.scan({ site: 'default', after: undefined, limit: 100 });
            equal(
              records.map((row) => row.url_key),
              RECORDS.map(({ urlKey = null }) => urlKey),
            );
            const from = NOON - (NOON % HOUR);
            const bucket = { period: 'hour', from, to: from + HOUR - 1 } as const;
            const recount = await reader.recount({ site: 'default', summary: sumUrls, ...bucket });
            equal(recount.stored.length, 4);
            equal(recount.counted, recount.stored);
            const where = [{ column: 'urlKey', value: '/a', not: true }] as const;
            const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
            const others = { site: 'default', from: NOON, to: NOON + HOUR, where, ...page } as const;
            const found = await reader.matchingKeys({ ...others, column: 'urlKey' });
            equal(
              found.rows.map(({ key }) => key),
              [NOT_FOUND, '/A', 'http://localhost/a?n=2'],
            );
          }
        }),
    },
  ];
}
