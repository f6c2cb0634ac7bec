import { deepStrictEqual as equal } from 'node:assert';
import { ORDERS } from '../storage/contract.ts';
import { sumReferrers, sumUrls } from '../summaries/standard.ts';
import { NOON } from './batches.ts';
import { SMALL } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { besideMemory } from './support.ts';

/** Every query, page by page, with page boundaries within a millisecond and records that arrive between pages. */
export function interfaceCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'interfaces: all pages of every query are those of the storage in memory',
      run: () =>
        besideMemory(
          subject,
          [sumUrls, sumReferrers],
          async ({ tested: storage, apply, openClient, compare }) => {
            const random = new Random(20_261_130);
            const referrers = [null, 'https://a.example/', 'https://b.example/', 'A'];
            const store = (prefix: string) =>
              apply(
                Array.from({ length: 30 }, (_, n) => ({
                  date: NOON + Math.floor(n / 10),
                  url: `http://localhost/${prefix}/${n % 13}`,
                  referrer: random.of(referrers),
                  status: random.of([200, 404, 503]),
                  duration: random.below(1_000),
                })),
              );
            await store('a');
            await store('b');
            const { same } = await compare(SMALL);
            const filter = { status: '200', referrers: null };
            await same('usage', (of) => of.usage());
            await same('records', (of) => of.records());
            await same('filtered records', (of) => of.records({ filter }));
            await same('hours', (of) => of.sums('urls', { period: 'hour' }));
            await same('one key', (of) => of.sums('referrers', { period: 'month', target: 'A' }));
            await same('no key', (of) => of.sums('referrers', { period: 'day', target: null }));
            for (const order of [ORDERS[0], ORDERS[4]]) await same(order, (of) => of.top('urls', { order }));
            await same('search', (of) => of.top('urls', { search: 'LOCALHOST/A' }));
            await same('filtered keys', (of) => of.top('urls', { filter }));
            const day = { from: '2026-11-24', to: '2026-11-24', compare: true };
            await same('totals', (of) => of.totals({ ...day, filter }));
            await same('series', (of) => of.series({ ...day, period: 'hour', filter }));
            await same('series of a key', (of) => of.series({ ...day, summary: 'referrers', key: null }));
            await same('site', (of) => of.site());
            for (const by of subject.interfaces ?? ['library']) {
              const client = await openClient(storage, { ...SMALL, interfaces: [by] });
              const before = await client.records();
              const during = await client.records({ limit: 17 }, () =>
                apply([{ date: NOON + 60_000, url: 'later' }]),
              );
              equal(during, before, by);
            }
          },
        ),
    },
  ];
}
