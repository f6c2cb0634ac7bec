import { deepStrictEqual as equal } from 'node:assert';
import { ORDERS } from '../storage/contract.ts';
import { sumReferrers, sumUrls } from '../summaries/standard.ts';
import { NOON } from './batches.ts';
import type { Subject, TestCase } from './index.ts';
import { type Interface, openQueryClient, type QueryClient } from './query-client.ts';
import { Random } from './random.ts';
import { besideMemory } from './support.ts';

/** What users ask, by each interface of the subject, page by page to the end. */
export function interfaceCases(subject: Subject): TestCase[] {
  return (subject.interfaces ?? ['library']).map((by) => pages(subject, by));
}

function pages(subject: Subject, by: Interface): TestCase {
  return {
    name: `interfaces: ${by}: all pages of every question are those of the storage in memory`,
    run: () =>
      besideMemory(subject, [sumUrls, sumReferrers], async (both) => {
        const random = new Random(20_261_130);
        const referrers = [null, 'https://a.example/', 'https://b.example/', 'A'];
        const store = (prefix: string) =>
          both.apply(
            Array.from({ length: 30 }, (_, n) => ({
              // Ten in each millisecond, so that pages end within one.
              date: NOON + Math.floor(n / 10),
              url: `http://localhost/${prefix}/${n % 13}`,
              referrer: random.of(referrers),
              status: random.of([200, 404, 503]),
              duration: random.below(1_000),
            })),
          );
        await store('a');
        await store('b');
        const [storage, memory] = await Promise.all([
          openQueryClient(both.storage, by, both.url),
          openQueryClient(both.memory),
        ]);
        both.keep(storage);
        const same = async (what: string, ask: (of: QueryClient) => Promise<unknown>) =>
          equal(await ask(storage), await ask(memory), what);
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
        const day = { from: '2026-11-24', to: '2026-11-24' };
        await same('totals', (of) => of.totals({ ...day, filter }));
        await same('series', (of) => of.series({ ...day, period: 'hour', filter }));
        await same('a key’s series', (of) => of.series({ ...day, summary: 'referrers', key: null }));
        // Newer records between the pages change none of them.
        const before = await storage.records();
        const during = await storage.records({ limit: 17 }, () =>
          both.apply([{ date: NOON + 60_000, url: 'later' }]),
        );
        equal(during, before);
      }),
  };
}
