import { describe, expect, test } from 'vitest';
import { STANDARD_SUMMARIES, type Summary, sumUrls } from '../../src/index.ts';
import { CachedSums } from '../../src/storage/cached-sums.ts';
import {
  type KeysRequest,
  ORDERS,
  type Span,
  type SumRow,
  type SumsRequest,
} from '../../src/storage/contract.ts';
import { FoldedSums } from '../../src/storage/fold-sums.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { CHANGES } from '../../src/summaries/coverage.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter } from '../../src/testing/support.ts';

const DAY = 24 * 60 * 60_000;
const NOW = Date.UTC(2026, 10, 24, 12);
const TODAY = Date.UTC(2026, 10, 24);
const PAGE = { order: 'hits', search: undefined, limit: 10, offset: 0 } as const;
const YEAR: Span[] = [
  { period: 'day', from: Date.UTC(2025, 10, 20), to: Date.UTC(2025, 11, 1) - 1 },
  { period: 'month', from: Date.UTC(2025, 11, 1), to: Date.UTC(2026, 11, 1) - 1 },
];
const DAYS: Span[] = [{ period: 'day', from: Date.UTC(2026, 9, 5), to: Date.UTC(2026, 11, 1) - 1 }];
const HOURS: Span[] = [{ period: 'hour', from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 10, 2) - 1 }];

/** Opens an engine that only returns rows, its cache, and a log of reads of past spans. */
async function openSums(hooks: readonly Summary[]) {
  const storage = new MemoryStorage({ hooks });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  const add = (records: readonly TestRecord[]) => writer.apply(journal.batch(records));
  const read: SumsRequest[] = [];
  const hidden = { rows: undefined as Promise<SumRow[]> | undefined };
  const engine = {
    sums: (request: SumsRequest): Promise<SumRow[]> => {
      if (request.summary === 'coverage') return storage.reader.sums(request);
      if (request.from < TODAY) read.push(request);
      return hidden.rows ?? storage.reader.sums(request);
    },
  };
  const sums = new CachedSums(
    new FoldedSums(engine),
    (site) => storage.reader.timeZone(site),
    () => NOW,
  );
  return { add, read, hidden, sums, plain: new FoldedSums(storage.reader) };
}

function requests(count: number): TestRecord[] {
  const random = new Random(7);
  return Array.from({ length: count }, () => ({
    date: NOW - random.below(370) * DAY - random.below(DAY),
    url: `/${random.below(300)}${random.of(['\u{1F600}', '\uFFFD', 'ä', 'Kk'])}`,
    visitor: random.below(9) === 0 ? null : `v${random.below(200)}`,
    status: random.of([200, 404, 500]),
    duration: random.below(5) * 1_000,
    contentLength: random.below(4) * 100,
  }));
}

describe('sums of an engine that only returns rows', () => {
  test('are the same from the cache, for every order, search and page', async () => {
    const { add, sums, plain } = await openSums(STANDARD_SUMMARIES);
    await add(requests(1_500));
    for (const spans of [YEAR, DAYS, HOURS, [...HOURS, ...DAYS.slice(1)]]) {
      for (const summary of ['urls', 'visitors', 'status', 'coverage', 'nothing']) {
        const query = { site: 'default', summary, spans };
        for (const order of ORDERS) {
          for (const page of [
            { search: undefined, limit: 50, offset: 100 },
            { search: 'V1', limit: 0, offset: 3 },
            { search: '\u212a', limit: 10, offset: 0 },
          ]) {
            const request: KeysRequest = { ...query, ...page, order };
            expect(await sums.keys(request)).toEqual(await plain.keys(request));
          }
        }
        for (const target of [undefined, null, 'v3']) {
          expect(await sums.total({ ...query, target })).toEqual(await plain.total({ ...query, target }));
        }
        for (const { period, from, to } of spans) {
          const request = { site: 'default', summary, period, from, to, target: undefined };
          expect(await sums.series(request)).toEqual(await plain.series(request));
        }
      }
    }
  });

  test('are read once for past days, for any query', async () => {
    const { add, read, sums } = await openSums([sumUrls]);
    await add(requests(3_000));
    const query = { site: 'default', summary: 'urls', spans: YEAR };
    await sums.keys({ ...query, ...PAGE });
    expect(read.length).toBeGreaterThan(0);
    read.length = 0;
    await add([{ date: NOW, url: '/now' }]);
    for (const order of ORDERS) await sums.keys({ ...query, ...PAGE, order });
    await sums.total({ ...query, target: undefined });
    const found = await sums.keys({ ...query, ...PAGE, search: '/now' });
    expect(found.rows).toMatchObject([{ key: '/now', hits: 1 }]);
    // Only the marker of changes is read each time.
    expect(read.filter(({ summary }) => summary !== CHANGES.name)).toEqual([]);
  });

  test('include records added to an earlier month', async () => {
    const { add, sums } = await openSums([sumUrls]);
    await add([
      { date: Date.UTC(2026, 2, 5), url: '/each' },
      { date: NOW, url: '/each' },
    ]);
    const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
    expect((await sums.keys(request)).rows).toMatchObject([{ key: '/each', hits: 2 }]);
    await add([{ date: Date.UTC(2026, 2, 6), url: '/each' }]);
    expect((await sums.keys(request)).rows).toMatchObject([{ key: '/each', hits: 3 }]);
  });

  test('are not cached while a batch is stored only in part, as in an engine without transactions', async () => {
    const { add, hidden, sums, plain } = await openSums([sumUrls]);
    await add([{ date: Date.UTC(2026, 2, 5), url: '/each' }]);
    const request = { site: 'default', summary: 'urls', spans: YEAR.slice(1), ...PAGE };
    // The coverage already has the batch; the summary does not have it yet.
    hidden.rows = Promise.resolve([]);
    await sums.keys(request);
    hidden.rows = undefined;
    expect((await plain.keys(request)).rows).toMatchObject([{ key: '/each', hits: 1 }]);
    expect((await sums.keys(request)).rows).toMatchObject([{ key: '/each', hits: 1 }]);
  });
});
