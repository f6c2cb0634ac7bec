import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TrackUsageError } from '../../src/errors.ts';
import { verify } from '../../src/maintenance/verify.ts';
import { monotonicClock, wallClock } from '../../src/platform/clock.ts';
import type { VerifyDay } from '../../src/server/verification.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { ALL_SUMMARIES, fillStorage, HOST, NOW, serve, sourceOf, type TestServer, TOKEN } from './support.ts';

let server: TestServer | undefined;
beforeEach(() => void vi.spyOn(wallClock, 'now').mockReturnValue(NOW));
afterEach(async () => {
  vi.restoreAllMocks();
  await server?.close();
});

/** Starts a handler for requests of yesterday, and counts the verifications. */
async function start(of: (verify: VerifyDay) => VerifyDay = (same) => same, timeout = 30_000) {
  const records = [10, 11].map((hour) => ({ date: Date.parse(`2026-11-24T${hour}:00:00Z`) }));
  const storage = await fillStorage(new MemoryStorage({ hooks: ALL_SUMMARIES }), records);
  const days: string[] = [];
  const verifyDay = of((site, date) => verify({ storage, site, from: date, to: date }));
  const counted: VerifyDay = (site, date) => {
    days.push(`${site} ${date}`);
    return verifyDay(site, date);
  };
  server = await serve(sourceOf(storage, { verify: counted }), { token: TOKEN, timeout }, HOST);
  const get = async (path: string) => {
    const response = await server!.request(`/usage/api/v1/${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    return { status: response.status, ...JSON.parse(response.body.toString()) };
  };
  return { get, days };
}

test('yesterday is verified in the time zone of the site, and the result is reused for a minute', async () => {
  const { get, days } = await start();
  // In addition: all requests, and the durations by server and by route.
  const buckets = 3 * (ALL_SUMMARIES.length + 3);
  const expected = { date: '2026-11-24', compared: buckets, count: 0, differences: [], notCovered: 0 };
  expect(await get('verify')).toMatchObject({ status: 200, site: 'shop', ...expected });
  const now = monotonicClock.now();
  const clock = vi.spyOn(monotonicClock, 'now').mockImplementation(() => now + 50_000);
  await get('verify?site=shop');
  expect(days).toEqual(['shop 2026-11-24']);
  clock.mockImplementation(() => now + 70_000);
  await get('verify');
  expect(days.length).toBe(2);
  expect(await get('site')).toMatchObject({ verify: true });
});

test('a site without data has nothing to compare', async () => {
  const { get } = await start();
  const nothing = { compared: 0, count: 0, differences: [], notCovered: 0 };
  expect(await get('verify?site=other')).toMatchObject({ status: 200, ...nothing });
  await server!.close();
  const isMissing = new TrackUsageError('STORAGE_NOT_FOUND', { value: 'usage.db' });
  const missing = await start(() => () => Promise.reject(isMissing));
  expect(await missing.get('verify')).toMatchObject({ status: 200, ...nothing });
});

test('differences are returned, at most 20', async () => {
  const sums = { hits: 1, transfer: 0, errors: 0, duration: 0 };
  const differences = Array.from({ length: 25 }, (_, n) => ({
    ...{ summary: 'urls', period: 'hour' as const, date: '2026-11-24T10:00:00+00:00' },
    ...{ key: `${n}`, stored: sums, counted: sums },
  }));
  const { get } = await start(() => async () => ({
    compared: 1,
    count: 25,
    differences,
    notCovered: [{ buckets: 3 }],
  }));
  const { count, differences: some, notCovered } = await get('verify');
  expect([count, some.length, notCovered]).toEqual([25, 20, 3]);
});

test('one verification runs at a time, and continues after a timeout; a failure is not reused', async () => {
  const waiting = Promise.withResolvers<void>();
  const { get, days } = await start(
    (verifyDay) => async (site, date) => {
      await waiting.promise;
      return verifyDay(site, date);
    },
    50,
  );
  expect(await get('verify')).toMatchObject({ status: 503, code: 'QUERY_SLOW' });
  expect(await get('verify')).toMatchObject({ status: 503, code: 'QUERY_SLOW' });
  expect(days.length).toBe(1);
  waiting.resolve();
  await expect.poll(async () => (await get('verify')).status).toBe(200);
  expect(days.length).toBe(1);
  await server!.close();
  const failing = await start(() => () => Promise.reject(new Error('offline')));
  for (const times of [1, 2]) {
    expect(await failing.get('verify')).toMatchObject({ status: 503, code: 'STORAGE_SILENT' });
    expect(failing.days.length).toBe(times);
  }
});

test('without a storage that can be verified, there is no such path', async () => {
  const storage = new MemoryStorage({ hooks: ALL_SUMMARIES });
  server = await serve(sourceOf(storage), { token: TOKEN });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const response = await server.request('/usage/api/v1/verify', { headers });
  expect(response.status).toBe(404);
});
