import { expect, test } from 'vitest';
import { defineSummary, type Summary, sumRoutes, sumUrls } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

async function queryOf(hooks: Summary[]) {
  const storage = new MemoryStorage({ hooks });
  const writer = await openWriter(storage);
  const durations = [1_000, 1_000, 1_000, 80_000];
  const records = durations.map((duration, i) => ({ date: NOON + i, duration, route: '/a' }));
  await writer.apply(new TestJournal('a', storage.summaries).batch(records));
  return storage.query;
}
const range = { from: NOON, to: NOON };

test('latency and threshold are checked', async () => {
  const query = await queryOf([sumRoutes]);
  for (const options of [
    { latency: 'yes' },
    { threshold: -1 },
    { threshold: Number.NaN },
    { threshold: '5' },
  ]) {
    for (const run of [
      query.totals({ ...range, ...(options as object) }),
      query.series({ ...range, ...(options as object) }),
      query.top('routes', { ...range, ...(options as object) }),
    ]) {
      await expect(run).rejects.toMatchObject({ code: 'QUERY_INVALID' });
    }
  }
  expect(() => defineSummary({ name: 'a', key: () => null, latency: 1 as unknown as boolean })).toThrow(
    '"defineSummary.latency" is 1',
  );
});

test('threshold implies latency, and latency: false wins', async () => {
  const query = await queryOf([sumRoutes]);
  expect((await query.totals({ ...range, threshold: 2_000 })).totals.latency).toMatchObject({
    hits: 4,
    above: 0.25,
  });
  expect((await query.totals({ ...range, latency: true })).totals.latency?.above).toBeNull();
  expect('latency' in (await query.totals({ ...range, latency: false, threshold: 5 })).totals).toBe(false);
});

test('a storage without sumServer and sumRoutes has none, and a companion cannot be queried', async () => {
  const query = await queryOf([sumUrls]);
  expect((await query.totals({ ...range, latency: true })).totals.latency).toBeNull();
  expect((await query.series({ ...range, latency: true })).buckets.map(({ latency }) => latency)).toEqual([
    null,
  ]);
  const routes = await queryOf([sumRoutes]);
  await expect(routes.top('routes|latency', range)).rejects.toMatchObject({ code: 'SUMMARY_UNKNOWN' });
  expect((await routes.site()).summaries.map(({ name }) => name)).toEqual(['routes']);
});
