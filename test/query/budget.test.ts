import { expect, test } from 'vitest';
import { UsageQuery } from '../../src/query/query.ts';
import { maxKeysOf } from '../../src/storage/key-budget.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

const at = (text: string) => Date.parse(text);
const NOW = at('2026-11-25T20:36:00Z');

/** Stores records with a budget of two keys. */
async function openQuery(records: readonly TestRecord[]): Promise<UsageQuery> {
  const storage = new MemoryStorage({ hooks: ['urls', 'visitors', 'referrers'] });
  const writer = await openWriter(storage, { site: 'shop', maxKeys: maxKeysOf(2) });
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(records));
  return new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
}

const visits = (date: string, names: readonly (string | null)[]): TestRecord[] =>
  names.map((name) => ({ date: at(date), url: `http://shop/${name}`, visitor: name, referrer: name }));

test('keys beyond the budget are one row, which is not a visitor, and the result says so', async () => {
  const query = await openQuery([
    ...visits('2026-11-23T10:00:00Z', ['a', 'b', null]),
    ...visits('2026-11-24T10:00:00Z', ['a', 'c', 'd', 'e', null]),
  ]);
  const range = { from: '2026-11-23', to: '2026-11-24' };
  const { totals, budget } = await query.totals(range);
  // Of the days, at most two keys each are known: a and b, then a and c.
  expect([totals.hits, totals.visitors, budget]).toEqual([8, 3, { reached: true }]);
  expect((await query.totals({ from: '2026-11-23', to: '2026-11-23' })).budget).toEqual({ reached: false });

  const series = await query.series({ ...range, period: 'day' });
  expect(series.buckets.map(({ visitors }) => visitors)).toEqual([2, 2]);
  expect(series.budget).toEqual({ reached: true });

  const top = await query.top('referrers', range);
  expect(top.rows.map(({ key, hits }) => [key, hits])).toEqual([
    ['', 2],
    ['a', 2],
    [null, 2],
    ['b', 1],
    ['c', 1],
  ]);
  expect([top.count, top.total.hits, top.budget]).toEqual([5, 8, { reached: true }]);
  // Also if the row is on another page, or not among the results of a search.
  expect((await query.top('referrers', { ...range, limit: 1, page: 5 })).budget).toEqual({ reached: true });
  expect((await query.top('referrers', { ...range, search: 'b' })).budget).toEqual({ reached: true });
  const day = { from: '2026-11-23', to: '2026-11-23' };
  expect((await query.top('referrers', day)).budget).toEqual({ reached: false });

  for (const [key, hits] of [
    ['', [0, 2]],
    [null, [1, 1]],
    ['a', [1, 1]],
    ['d', [0, 0]],
  ] as const) {
    const one = await query.series({ ...range, period: 'day', summary: 'referrers', key });
    expect(one.buckets.map((bucket) => bucket.hits)).toEqual(hits);
    expect(one.budget).toEqual({ reached: true });
  }
});

test('records with texts beyond a budget: the empty text differs from none, and is not a visitor', async () => {
  const storage = new MemoryStorage({ hooks: [] });
  const writer = await openWriter(storage, { site: 'shop' });
  const batch = new TestJournal('a', [], 'UTC', 'shop').batch([
    ...visits('2026-11-23T10:00:00Z', ['a', null]),
    ...visits('2026-11-24T10:00:00Z', ['a', 'b', null]),
  ]);
  batch.records.text.visitor[3] = batch.records.others();
  await writer.apply(batch);
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const of = { from: '2026-11-23', to: '2026-11-24', filter: { status: '200' } };
  expect(await query.totals(of)).toMatchObject({ totals: { visitors: 1 }, budget: { reached: true } });
  const series = await query.series({ ...of, period: 'day' });
  expect(series.buckets.map(({ visitors }) => visitors)).toEqual([1, 1]);
  expect(series.budget).toEqual({ reached: true });
  for (const [key, hits] of [
    ['', 1],
    [null, 2],
    ['a', 2],
  ] as const) {
    expect((await query.totals({ ...of, filter: { visitors: key } })).totals.hits).toBe(hits);
  }
  expect((await query.top('visitors', { ...of, limit: 1 })).budget).toEqual({ reached: true });
  expect((await query.top('urls', { ...of, limit: 1 })).budget).toEqual({ reached: false });
});

test('a bucket whose first request is stored between two queries does not fail the series', async () => {
  const storage = new MemoryStorage({ hooks: [] });
  const writer = await openWriter(storage, { site: 'shop' });
  const journal = new TestJournal('a', [], 'UTC', 'shop');
  const store = async (date: string) => {
    const batch = journal.batch(visits(date, ['a', 'b']));
    batch.records.text.visitor[1] = batch.records.others();
    await writer.apply(batch);
  };
  await store('2026-11-23T10:00:00Z');
  const { reader } = storage;
  const { matchingSeries } = reader;
  let isLater = false;
  reader.matchingSeries = async (request) => {
    const rows = await matchingSeries.call(reader, request);
    if (!isLater) await store('2026-11-24T10:00:00Z');
    isLater = true;
    return rows;
  };
  const query = new UsageQuery(reader, { site: 'shop', now: () => NOW });
  const of = { from: '2026-11-23', to: '2026-11-24', filter: { status: '200' }, period: 'day' } as const;
  const { buckets } = await query.series(of);
  expect(buckets.map(({ visitors }) => visitors)).toEqual([1, 0]);
});

test('most days of a month are not read from the month if its budget was reached', async () => {
  const storage = new MemoryStorage({ hooks: ['visitors'] });
  const maxKeys = maxKeysOf({ hour: 100, day: 100, month: 10 });
  const writer = await openWriter(storage, { site: 'shop', maxKeys });
  const records = Array.from({ length: 31 }, (_, day) => ({
    date: Date.UTC(2026, 9, day + 1),
    visitor: `v${day}`,
  }));
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(records));
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const range = { from: '2026-10-01', to: '2026-10-29' };
  // The days know each visitor, the month only ten.
  expect(await query.totals(range)).toMatchObject({ totals: { visitors: 29 }, budget: { reached: false } });
  const { rows } = await query.top('visitors', { ...range, limit: 0 });
  expect(rows.map(({ hits }) => hits)).toEqual(Array(29).fill(1));
  const month = await query.totals({ from: '2026-10', to: '2026-10' });
  expect(month).toMatchObject({ totals: { visitors: 10 }, budget: { reached: true } });
});

/** Stores visitors of two hours on several days, a few of them on both hours, with a month budget of 5. */
async function openVisitors(kindOf: (day: number) => 'daily' | 'cookie', retained = {}) {
  const storage = new MemoryStorage({ hooks: ['visitors'] });
  const maxKeys = maxKeysOf({ hour: 10, day: 10, month: 5 });
  const writer = await openWriter(storage, { site: 'shop', maxKeys });
  const journal = new TestJournal('a', storage.summaries, 'UTC', 'shop');
  for (const month of [8, 9, 10]) {
    for (const day of [1, 2, 3, 20]) {
      // A person has the same cookie every day.
      const of = (n: number) => (kindOf(100 * month + day) === 'daily' ? `d:${month}-${day}-${n}` : `${n}`);
      const records = [null, 1, 2, 3].flatMap((n) =>
        [9, 17].map((hour) => ({
          date: Date.UTC(2026, month, day, hour),
          visitor: n === null ? null : of(n + (hour === 17 ? 1 : 0)),
        })),
      );
      await writer.apply(journal.batch(records));
    }
  }
  await writer.maintenance!.retain(retained);
  return new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
}

test('daily visitors of a month that reached its budget are the sum of its days', async () => {
  const query = await openVisitors(() => 'daily');
  // 4 visitors on each of the 4 days.
  const visitorsIn = async (from: string, to: string) => {
    const { totals, budget, dailyVisitors } = await query.totals({ from, to });
    return [totals.visitors, budget.reached, dailyVisitors];
  };
  expect(await visitorsIn('2026-09', '2026-09')).toEqual([16, false, true]);
  expect(await visitorsIn('2026-09', '2026-11')).toEqual([48, false, true]);
  // Whole months beside single days and hours.
  expect(await visitorsIn('2026-09-20', '2026-11-02')).toEqual([4 + 16 + 8, false, true]);
  expect(await visitorsIn('2026-09-20T17:00', '2026-11-01T09:00')).toEqual([3 + 16 + 3, false, true]);
  const all = await query.totals({ range: 'all', compare: true });
  expect([all.totals.visitors, all.budget.reached]).toEqual([48, false]);
  const month = await query.totals({ from: '2026-11', to: '2026-11', compare: true });
  expect([month.totals.visitors, month.previous?.totals.visitors]).toEqual([16, 16]);

  const series = await query.series({ from: '2026-09-02', to: '2026-11-30', period: 'month' });
  expect(series.buckets.map(({ visitors }) => visitors)).toEqual([12, 16, 16]);
  expect(series.budget).toEqual({ reached: false });
  // The days of a month that reached its budget did not reach theirs.
  const days = await query.series({ from: '2026-10-01', to: '2026-10-31', period: 'day' });
  expect(days.buckets.slice(0, 4).map(({ visitors }) => visitors)).toEqual([4, 4, 4, 0]);
  expect(days.budget).toEqual({ reached: false });
});

test('daily visitors of a day that reached its budget are a lower bound', async () => {
  const storage = new MemoryStorage({ hooks: ['visitors'] });
  const maxKeys = maxKeysOf({ hour: 10, day: 3, month: 4 });
  const writer = await openWriter(storage, { site: 'shop', maxKeys });
  const records = [1, 2].flatMap((day) =>
    [1, 2, 3, 4].map((n) => ({ date: Date.UTC(2026, 9, day), visitor: `d:${day}-${n}` })),
  );
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(records));
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const month = await query.totals({ from: '2026-10', to: '2026-10' });
  expect(month).toMatchObject({ totals: { visitors: 6 }, budget: { reached: true } });
  const series = await query.series({ from: '2026-10', to: '2026-10', period: 'month' });
  expect(series.buckets.map(({ visitors }) => visitors)).toEqual([6]);
  expect(series.budget).toEqual({ reached: true });
});

test('daily visitors of a month whose days have expired are a lower bound', async () => {
  const before = Date.UTC(2026, 9, 1);
  const query = await openVisitors(() => 'daily', { day: { keep: '1m', before } });
  const range = { from: '2026-09', to: '2026-11' };
  // September has 5 keys. The other months have their days.
  expect(await query.totals(range)).toMatchObject({ totals: { visitors: 37 }, budget: { reached: true } });
  const { buckets, budget } = await query.series({ ...range, period: 'month' });
  expect(buckets.map(({ visitors }) => visitors)).toEqual([5, 16, 16]);
  expect(budget).toEqual({ reached: true });
});

test('cookies of a month that reached its budget are not added up', async () => {
  const storage = new MemoryStorage({ hooks: ['visitors'] });
  const maxKeys = maxKeysOf({ hour: 10, day: 10, month: 2 });
  const writer = await openWriter(storage, { site: 'shop', maxKeys });
  const records = [1, 2, 3].flatMap((day) =>
    ['a', 'b', 'c'].map((visitor) => ({ date: Date.UTC(2026, 9, day), visitor })),
  );
  await writer.apply(new TestJournal('a', storage.summaries, 'UTC', 'shop').batch(records));
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const { totals, budget } = await query.totals({ from: '2026-10', to: '2026-10' });
  expect([totals.visitors, budget]).toEqual([2, { reached: true }]);
});

test('cookies before daily visitors are counted once', async () => {
  // From 3 October on, visitors are daily: cookies 1 to 4, then 4 visitors a day.
  const query = await openVisitors((day) => (day < 903 ? 'cookie' : 'daily'));
  const range = { from: '2026-09', to: '2026-11' };
  const { totals, budget, dailyVisitors } = await query.totals(range);
  expect([totals.visitors, budget.reached, dailyVisitors]).toEqual([4 + 8 + 16, false, true]);
  const series = await query.series({ ...range, period: 'month' });
  expect(series.buckets.map(({ visitors }) => visitors)).toEqual([4, 4 + 8, 16]);
  expect(series.budget).toEqual({ reached: false });
});
