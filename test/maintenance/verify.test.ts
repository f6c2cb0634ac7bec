import { describe, expect, test } from 'vitest';
import { defineSummary, STANDARD_SUMMARIES, sumUrls, sumVisitors } from '../../src/index.ts';
import { verify } from '../../src/maintenance/verify.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { withCompanions } from '../../src/summaries/latency.ts';
import { NOON } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { change, storageWith } from './support.ts';

const HOUR = 3_600_000;
const URL = 'http://localhost/';

describe('verify', () => {
  test('finds no difference in what an app has stored, in any time zone', async () => {
    const random = new Random(3);
    const records = Array.from({ length: 300 }, () => ({ ...random.record(), agent: 'Mozilla/5.0 (X11)' }));
    const { storage } = await storageWith(STANDARD_SUMMARIES, records, { timeZone: 'Australia/Lord_Howe' });
    const result = await verify({ storage });
    expect(result).toMatchObject({
      count: 0,
      differences: [],
      notCounted: [],
      notCovered: [],
      uncountable: [],
    });
    expect(result.summaries.toSorted()).toEqual(
      withCompanions(STANDARD_SUMMARIES)
        .map(({ name }) => name)
        .toSorted(),
    );
    expect(result.compared).toBeGreaterThan(1_000);
  });

  test('a range that ends before it starts is refused', async () => {
    const { storage } = await storageWith([sumUrls], [{}]);
    const range = { from: '2026-11-25', to: '2026-11-24' };
    await expect(verify({ storage, ...range })).rejects.toMatchObject({ code: 'QUERY_INVALID' });
    expect(await verify({ storage, from: '2026-11-24', to: '2026-11-24' })).toMatchObject({ count: 0 });
  });

  test('names each key that differs, in the bucket where it differs', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}, { status: 500, contentLength: 7 }]);
    await change(writer, 'urls', 'day', NOON, { [URL]: 3, 'http://localhost/invented': 1 });
    const { count, differences } = await verify({ storage });
    expect(count).toBe(2);
    expect(differences).toEqual([
      {
        summary: 'urls',
        period: 'day',
        date: '2026-11-24T00:00:00+00:00',
        key: URL,
        stored: { hits: 5, transfer: 12, errors: 1, duration: 3_000 },
        counted: { hits: 2, transfer: 12, errors: 1, duration: 3_000 },
      },
      {
        summary: 'urls',
        period: 'day',
        date: '2026-11-24T00:00:00+00:00',
        key: 'http://localhost/invented',
        stored: { hits: 1, transfer: 0, errors: 0, duration: 0 },
        counted: { hits: 0, transfer: 0, errors: 0, duration: 0 },
      },
    ]);
  });

  test('finds a bucket whose sums are lost altogether', async () => {
    const { storage, writer } = await storageWith(
      [sumUrls],
      [{}, { date: NOON - HOUR, bot: true, agent: 'b' }],
    );
    for (const [summary, key] of [
      ['urls', URL],
      ['coverage', 'urls'],
    ] as const) {
      await change(writer, summary, 'hour', NOON, {
        [key]: { hits: -1, transfer: -5, errors: 0, duration: -1_500 },
      });
    }
    const { differences } = await verify({ storage });
    expect(differences.map(({ summary, period, key }) => [summary, period, key])).toEqual([
      ['urls', 'hour', URL],
      ['coverage', 'hour', null],
    ]);
  });

  test('finds requests of bots that are counted as those of people', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{ bot: true, agent: 'b' }, {}]);
    const one = { hits: 1, transfer: 5, errors: 0, duration: 1_500 };
    const less = { hits: -1, transfer: -5, errors: 0, duration: -1_500 };
    await change(writer, 'coverage', 'month', NOON, { 'urls|bot': less, urls: one });
    const { differences } = await verify({ storage });
    expect(differences.map(({ key, stored, counted }) => [key, stored.hits, counted.hits])).toEqual([
      [null, 2, 1],
      ['bot', 0, 1],
    ]);
  });

  test('lists the requests that a summary does not count, which is no difference', async () => {
    const { storage, apply } = await storageWith([sumUrls, sumVisitors], [{ visitor: 'a' }]);
    await apply([{ visitor: 'b', date: NOON + HOUR }, { date: NOON + 2 * HOUR }], [sumUrls]);
    const { count, notCounted } = await verify({ storage });
    expect(count).toBe(0);
    expect(notCounted).toEqual([
      {
        summary: 'visitors',
        period: 'hour',
        from: '2026-11-24T13:00:00+00:00',
        to: '2026-11-24T14:00:00+00:00',
        buckets: 2,
        hits: 2,
      },
      expect.objectContaining({ summary: 'visitors', period: 'day', hits: 2 }),
      expect.objectContaining({ summary: 'visitors', period: 'month', hits: 2 }),
    ]);
  });

  test('finds damage among requests that a summary counts only in part', async () => {
    const { storage, apply, writer } = await storageWith([sumUrls, sumVisitors], [{ visitor: 'a' }]);
    await apply([{ visitor: 'b' }], [sumUrls]);
    await change(writer, 'visitors', 'month', NOON, { a: 1 });
    const { differences } = await verify({ storage });
    expect(differences.map(({ summary, period, key }) => [summary, period, key])).toEqual([
      ['visitors', 'month', 'a'],
      ['visitors', 'month', 'b'],
    ]);
  });

  test('accepts keys beyond the budget that add up to the others, and no other sum', async () => {
    const { storage, writer } = await storageWith(
      [sumUrls],
      [{ url: 'a' }, { url: 'b' }, { url: 'c' }, { url: 'c' }],
    );
    const all = { hits: -1, transfer: -5, errors: 0, duration: -1_500 };
    const twice = { hits: 2, transfer: 10, errors: 0, duration: 3_000 };
    // c was beyond the budget first, and was admitted later.
    await change(writer, 'urls', 'day', NOON, { b: all, c: all, [OTHERS]: twice });
    expect(await verify({ storage })).toMatchObject({ count: 0 });
    await change(writer, 'urls', 'day', NOON, { [OTHERS]: 1 });
    const { differences } = await verify({ storage });
    expect(differences.map(({ key, stored, counted }) => [key, stored.hits, counted.hits])).toEqual([
      ['c', 1, 2],
      [OTHERS, 3, 1],
    ]);
    await change(writer, 'urls', 'day', NOON, { [OTHERS]: -1, a: 1 });
    expect((await verify({ storage })).count).toBeGreaterThan(0);
  });

  test('counts the keys of custom summaries from what the app captured, and from their module', async () => {
    const captured = defineSummary({ name: 'plans', key: () => null });
    const computed = defineSummary({
      name: 'shops',
      module: new globalThis.URL('fixtures/hosts.js', import.meta.url),
    });
    const records = [
      { extra: { keys: { plans: ['gold', 'new'], shops: ['localhost'] } } },
      { extra: { keys: { shops: ['localhost'] } } },
      { url: 'http://shop/', status: 503, extra: { keys: { plans: ['gold'], shops: ['shop'] } } },
    ];
    const { storage, writer } = await storageWith([captured, computed], records);
    expect(await verify({ storage })).toMatchObject({ count: 0, uncountable: [], notCounted: [] });
    await change(writer, 'plans', 'hour', NOON, { new: -1 });
    await change(writer, 'shops', 'month', NOON, { shop: 1 });
    const { differences } = await verify({ storage });
    expect(
      differences.map(({ summary, period, key, counted }) => [summary, period, key, counted.hits]),
    ).toEqual([
      ['plans', 'hour', 'new', 1],
      ['shops', 'month', 'shop', 1],
    ]);
  });

  test('does not compare a custom summary whose keys are unknown', async () => {
    const computed = defineSummary({
      name: 'shops',
      module: new globalThis.URL('fixtures/hosts.js', import.meta.url),
    });
    const { storage, apply } = await storageWith([sumUrls, computed], []);
    // The records of an app contain the keys of functions, but not those of modules.
    await apply([{ extra: { keys: { shops: ['localhost'] } } }]);
    const { uncountable } = await verify({ storage, summaries: [{ name: 'shops', title: 'shops' }] });
    expect(uncountable).toEqual([]);
  });

  test('compares the buckets of a range, and a date without a time is a whole day', async () => {
    const day = 24 * HOUR;
    const { storage, writer } = await storageWith(
      [sumUrls],
      [{}, { date: NOON - day }, { date: NOON - 2 * day }],
    );
    for (const days of [0, 1, 2]) await change(writer, 'urls', 'hour', NOON - days * day, { [URL]: 1 });
    const { differences } = await verify({ storage, from: '2026-11-23', to: '2026-11-23' });
    expect(differences.map(({ date }) => date)).toEqual(['2026-11-23T12:00:00+00:00']);
  });

  test('does not compare a custom summary whose function fails', async () => {
    const shops = defineSummary({
      name: 'shops',
      module: new globalThis.URL('fixtures/hosts.js', import.meta.url),
    });
    const { storage } = await storageWith([sumUrls, shops], [{ url: 'no URL' }]);
    const { uncountable } = await verify({ storage });
    expect(uncountable).toEqual([
      { summary: 'shops', reason: expect.stringMatching(/^cannot count the summary "shops" .* Invalid URL/) },
    ]);
    const request = { site: 'default', summary: { name: 'shops', title: 'shops', module: shops.module! } };
    const bucket = { period: 'day', from: 0, to: 2e12 } as const;
    await expect(storage.reader.recount({ ...request, ...bucket })).rejects.toMatchObject({
      code: 'SUMMARY_UNCOUNTABLE',
    });
  });

  test('refuses a site without data and an unknown summary', async () => {
    const { storage } = await storageWith([sumUrls], [{}]);
    await expect(verify({ storage, site: 'nobody' })).rejects.toMatchObject({ code: 'SITE_EMPTY' });
    await expect(verify({ storage, summaries: ['ruls'] })).rejects.toMatchObject({ code: 'SUMMARY_UNKNOWN' });
  });
});
