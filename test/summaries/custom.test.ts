import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  type CapturedRecord,
  defineSummary,
  type KeyFunction,
  type Summary,
  sumStatus,
  TrackUsage,
} from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { MAX_KEY_LENGTH } from '../../src/summaries/keys.ts';

const MODULE = new URL('./fixtures/network.js', import.meta.url);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server that results with the status in the path, and a storage that keeps the summaries. */
async function track(hooks: Summary[]) {
  const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  const errors: Error[] = [];
  const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks });
  const server = http.createServer((request, response) => {
    usage.vars(request).plan = request.headers['x-plan'];
    response.statusCode = Number(/^.(\d{3})/.exec(request.url ?? '')?.[1] ?? 200);
    response.end('hello');
  });
  const usage = new TrackUsage(server, storage, {
    geo: false,
    journal: { dir: directory },
    onError: (error) => errors.push(error),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    server.close();
    await usage.close();
    await rm(directory, { recursive: true, force: true });
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    usage,
    storage,
    errors,
    async request(path: string, headers: Record<string, string> = {}) {
      await (await fetch(base + path, { headers })).text();
    },
    /** Returns the hits of today by key. */
    async hits(summary: Summary | string) {
      await usage.flush();
      const rows = await usage.getSum(summary, { period: 'day' });
      return Object.fromEntries(rows.map(({ key, hits }) => [key, hits]));
    },
  };
}

describe('a closure', () => {
  test('receives the captured record, and its keys are counted', async () => {
    const seen: CapturedRecord[] = [];
    const plans = defineSummary({
      name: 'plans',
      key(record) {
        seen.push(record);
        return record.vars?.plan as string | undefined;
      },
    });
    const app = await track([plans, sumStatus]);
    await app.request('/200?token=x&a=1', { 'x-plan': 'gold', 'user-agent': 'test/1' });
    await app.request('/500', { 'x-plan': 'gold' });
    await app.request('/200', { 'x-plan': 'free' });
    await app.request('/200');
    expect(await app.hits(plans)).toEqual({ gold: 2, free: 1, null: 1 });
    expect(await app.hits('plans')).toEqual({ gold: 2, free: 1, null: 1 });
    const [gold] = await app.usage.getSum(plans, { period: 'month', target: 'gold' });
    expect(gold).toMatchObject({ hits: 2, transfer: 10, errors: 1 });
    expect(seen[0]).toMatchObject({
      method: 'GET',
      path: '/200',
      query: { token: 'REDACTED', a: '1' },
      status: 200,
      contentLength: 5,
      remoteAddr: '127.0.0.1',
      userAgent: { string: 'test/1' },
      vars: { plan: 'gold' },
      site: 'default',
      serverName: 'default',
      route: null,
    });
    expect(app.errors).toEqual([]);
  });

  test('can return several keys, each counted once', async () => {
    const tags = defineSummary({
      name: 'tags',
      key: ({ query }) => [query?.tag ?? []].flat(),
    });
    const app = await track([tags]);
    await app.request('/?tag=a&tag=b&tag=a');
    await app.request('/?tag=b');
    await app.request('/');
    expect(await app.hits(tags)).toEqual({ a: 1, b: 2, null: 1 });
  });

  test('that throws or returns an invalid key is reported, and the request is counted without a key', async () => {
    const results: unknown[] = [
      () => {
        throw new Error('not today');
      },
      () => 7,
      () => Promise.resolve('later'),
      () => ['fine', 3],
      () => Array.from({ length: 17 }, (_, n) => `key ${n}`),
      () => 'good',
    ];
    const odd = defineSummary({ name: 'odd', key: () => (results.shift() as () => string)() });
    const app = await track([odd, sumStatus]);
    const count = results.length;
    for (let n = 0; n < count; n++) await app.request('/');
    expect(await app.hits(odd)).toEqual({ null: count - 1, good: 1 });
    expect(await app.hits(sumStatus)).toEqual({ 200: count });
    expect(app.usage.status().lastError?.code).toBe('HOOK_FAILED');
    expect(app.errors[0]?.message).toContain('the key function of the summary "odd" failed: not today');
  });

  test('that returns rejected promises does not end the process, and the report omits returned values', async () => {
    const late = async () => {
      throw new Error('late');
    };
    const results: [() => unknown, string][] = [
      [late, 'it returned a promise,'],
      [() => ['fine', late(), late()], 'it returned a list with a promise,'],
      [() => ({ password: 'x' }), 'it returned an object,'],
      [() => new Array(4e9), 'it returned a list with undefined,'],
      [() => Array.from({ length: 1e6 }, (_, n) => `${n}`), 'it returned more than 16 keys'],
    ];
    for (const [key, message] of results) {
      const odd = defineSummary({ name: 'odd', key: key as () => string });
      const app = await track([odd]);
      await app.request('/');
      expect(await app.hits(odd)).toEqual({ null: 1 });
      expect(app.errors[0]?.message).toContain(message);
    }
  });

  test('can return hostile and long keys', async () => {
    const long = 'x'.repeat(100_000);
    const keys = [
      `${long}1`,
      `${long}2`,
      'null',
      '__proto__',
      "'; DROP TABLE records; --",
      'a\0b',
      'lone \ud800',
      'ä ',
      'Ä ',
    ];
    const hostile = defineSummary({ name: 'hostile', key: ({ path }) => keys[Number(path.slice(1))] });
    const app = await track([hostile]);
    for (const index of keys.keys()) await app.request(`/${index}`);
    const hits = await app.hits(hostile);
    expect(Object.values(hits)).toEqual(keys.map(() => 1));
    expect(
      Object.keys(hits).filter((key) => key.startsWith('xxx') && key.length === MAX_KEY_LENGTH),
    ).toHaveLength(2);
    expect(hits).toMatchObject({ 'a\ufffdb': 1, 'lone \ufffd': 1, 'ä ': 1, 'Ä ': 1, null: 1 });
  });
});

describe('a module', () => {
  test('is called in the writer thread with the complete record', async () => {
    const clients = defineSummary({ name: 'clients', module: MODULE });
    const classes = defineSummary({ name: 'status-classes', module: MODULE, export: 'statusClass' });
    const app = await track([clients, classes]);
    await app.request('/200', { 'user-agent': 'Googlebot/2.1 (+http://www.google.com/bot.html)' });
    await app.request('/404', { 'user-agent': 'curl/8.5.0' });
    await app.request('/418', { 'user-agent': '' });
    expect(await app.hits(clients)).toMatchObject({ bot: expect.any(Number) });
    expect(await app.hits(classes)).toEqual({ '2xx': 1, '4xx': 1, null: 1 });
    expect(app.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('the key function of the summary "status-classes" failed: a teapot'),
    ]);
  });

  test('that returns rejected promises does not end the writer thread', async () => {
    const app = await track([defineSummary({ name: 'late', module: MODULE, export: 'late' }), sumStatus]);
    await app.request('/');
    expect(await app.hits('late')).toEqual({ null: 1 });
    expect(app.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('the key function of the summary "late" failed: it returned a promise'),
    ]);
    expect(app.usage.status().writerRestarts).toBe(0);
  });

  test.each([
    ['a file that does not exist', new URL('./fixtures/nothing.js', import.meta.url), 'default'],
    ['an export that does not exist', MODULE, 'nothing'],
    ['an export that is not a function', MODULE, 'notAFunction'],
  ])('reports %s, and loses nothing', async (_, module, name) => {
    const app = await track([defineSummary({ name: 'broken', module, export: name }), sumStatus]);
    await app.request('/');
    await expect(app.usage.ready()).rejects.toMatchObject({ code: 'SUMMARY_MODULE' });
    await vi.waitFor(() =>
      expect(app.usage.status().storages[0]).toMatchObject({ ok: false, lag: { records: 1 } }),
    );
    // The record cannot be stored, so closing would wait for its whole timeout.
    await app.usage.close({ timeout: 100 });
  });
});

describe('defineSummary', () => {
  test('refuses duplicate names', () => {
    const define = (name: string) => defineSummary({ name, key: () => name });
    const one = define('plans');
    expect(() => new SqliteStorage('x.db', { hooks: [define('urls')] })).toThrow(
      'another summary is already named "urls"',
    );
    expect(() => new SqliteStorage('x.db', { hooks: [one, define('plans')] })).toThrow(
      'another summary is already named "plans"',
    );
    const storages = [one, define('plans')].map((summary) => new SqliteStorage('x.db', { hooks: [summary] }));
    expect(() => new SqliteStorage('x.db', { hooks: [define('coverage')] })).toThrow(
      'another summary is already named "coverage"',
    );
    expect(() => new TrackUsage(null, storages)).toThrow('another summary is already named "plans"');
  });

  test('accepts the same function for both forms', () => {
    const shared = ({ path }: CapturedRecord) => path.split('/')[1] ?? null;
    const inWriter: KeyFunction = shared;
    expect(defineSummary({ name: 'areas', key: shared }).key).toBe(inWriter);
  });
});

describe('queries', () => {
  test('before the first record return nothing', async () => {
    const plans = defineSummary({ name: 'plans', key: () => 'gold' });
    const app = await track([plans]);
    for (const summary of [plans, 'plans']) {
      expect(await app.usage.getSum(summary, { period: 'day' })).toEqual([]);
      expect(await app.storage.getSum(summary)).toEqual({ hour: [], day: [], month: [] });
    }
    await app.usage.ready();
    expect(await app.usage.getSum('plans', { period: 'day' })).toEqual([]);
  });

  test('distinguish an unknown name from a summary that is not kept', async () => {
    const app = await track([defineSummary({ name: 'plans', key: () => 'gold' })]);
    await app.request('/');
    await app.usage.flush();
    await expect(app.usage.getSum('plan', { period: 'day' })).rejects.toMatchObject({
      code: 'SUMMARY_UNKNOWN',
      hint: expect.stringContaining('plans'),
    });
    await expect(app.usage.getSum('urls', { period: 'day' })).rejects.toMatchObject({
      code: 'SUMMARY_NOT_KEPT',
    });
    const elsewhere = new SqliteStorage((app.storage.threadOptions() as { path: string }).path);
    cleanups.push(() => elsewhere.close());
    expect(await elsewhere.getSum('plans', { period: 'day' })).toHaveLength(1);
    await expect(elsewhere.getSum('plan', { period: 'day' })).rejects.toMatchObject({
      code: 'SUMMARY_UNKNOWN',
    });
  });
});
