import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  METRICS_CONTENT_TYPE,
  OPENMETRICS_CONTENT_TYPE,
  Storage,
  type TrackUsage,
  type TrackUsageOptions,
} from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { serverHits, trackedServer } from '../resilience/support.ts';
import type { Behavior } from './controlled-storage.ts';
import { parseExposition } from './parse-exposition.ts';
import { EXPECTED_VISITS, shop, visitPages } from './shop.ts';

/** Returns the sum of the series of a metric that have these labels. */
function metricSum(usage: TrackUsage, name: string, labels: Record<string, string> = {}): number {
  let sum = 0;
  for (const [series, value] of parseExposition(usage.metrics())) {
    const [found, has] = JSON.parse(series) as [string, Record<string, string>];
    const matches = Object.entries(labels).every(([label, text]) => has[label] === text);
    if (found === `track_usage_${name}` && matches) sum += value;
  }
  return sum;
}
const requests = (usage: TrackUsage) => metricSum(usage, 'http_requests_total');

/** Creates a storage, and a function that sets its behavior. */
function controlledStorage(directory: string, name = 'controlled') {
  const behaviorFile = join(directory, `${name}.behavior`);
  const setBehavior = (to: Behavior) => writeFileSync(behaviorFile, to);
  setBehavior('works');
  const { identity } = new SqliteStorage(join(directory, `${name}.db`));
  const storage = new Storage({
    label: name,
    identity,
    module: new URL('./controlled-storage.ts', import.meta.url).href,
    options: { path: join(directory, `${name}.db`), behavior: behaviorFile },
    hooks: ['server'],
  });
  return { storage, setBehavior };
}

async function controlledServer(options: TrackUsageOptions = {}) {
  const directory = temporaryDirectory();
  const { storage, setBehavior } = controlledStorage(directory);
  const server = await trackedServer({ directory, storages: [storage], ...options });
  await server.usage.ready();
  return { ...server, setBehavior };
}

describe('request metrics', () => {
  test('count completed requests immediately, once for both storages', async () => {
    const { usage, request: ask } = await shop();
    await visitPages(ask);
    const { text, type } = await ask('/metrics');
    expect(type).toBe(METRICS_CONTENT_TYPE);
    const values = parseExposition(text);
    const of = (name: string, labels: object) =>
      values.get(JSON.stringify([`track_usage_http_${name}`, labels]));
    for (const [route, method, status, count, bytes] of EXPECTED_VISITS) {
      const labels = { route, method, status };
      expect(of('requests_total', labels)).toBe(count);
      expect(of('response_bytes_total', labels)).toBe(bytes);
      expect(of('request_duration_seconds_count', labels)).toBe(count);
      expect(of('request_duration_seconds_bucket', { ...labels, le: '+Inf' })).toBe(count);
      expect(of('request_duration_seconds_sum', labels)).toBeLessThan(5);
    }
    expect(of('requests_total', { route: '', method: 'GET', status: '4xx' })).toBe(4);
    await usage.flush();
    // /metrics itself is excluded.
    expect(requests(usage)).toBe(15);
    expect(await serverHits(usage)).toBe(15);
    expect(metricSum(usage, 'captured_requests_total')).toBe(15);
    expect(metricSum(usage, 'storage_committed_records_total')).toBe(30);
  });

  test('have the same values in OpenMetrics', async () => {
    const { usage, request: ask } = await shop();
    await visitPages(ask);
    await usage.flush();
    const plain = parseExposition(usage.metrics());
    const { text, type } = await ask('/metrics?open');
    expect(type).toBe(OPENMETRICS_CONTENT_TYPE);
    expect(text).toMatch(/\n# EOF\n$/);
    expect(text.match(/# EOF/g)).toHaveLength(1);
    expect(parseExposition(text)).toEqual(plain);
  });

  test.each(['append', 'group', 'power'] as const)(
    'count requests once under load (mode %s)',
    async (mode) => {
      const { usage, getMany } = await trackedServer({ journal: { mode } });
      for (let i = 1; i <= 40; i++) {
        await getMany(50);
        // Responses that a client has received are counted.
        expect(requests(usage)).toBe(50 * i);
      }
      await usage.flush();
      expect(requests(usage)).toBe(2_000);
    },
  );

  test('count requests once if a batch is repeated or nothing is stored', async () => {
    const { usage, getMany, setBehavior } = await controlledServer();
    await getMany(10);
    setBehavior('loses-response');
    await getMany(10);
    await vi.waitFor(
      () => expect(usage.status().storages[0]!.error?.message).toMatch(/response lost/),
      5_000,
    );
    expect(requests(usage)).toBe(20);
    setBehavior('rejects');
    await getMany(10);
    await vi.waitFor(
      () => expect(usage.status().storages[0]!.error?.message).toMatch(/storing failed/),
      5_000,
    );
    expect(requests(usage)).toBe(30);
    await getMany(5);
    expect(requests(usage)).toBe(35);
    expect(metricSum(usage, 'storage_up')).toBe(0);
    expect(metricSum(usage, 'storage_lag_records')).toBeGreaterThanOrEqual(15);
    setBehavior('works');
    await usage.flush();
    expect(requests(usage)).toBe(35);
    expect(await serverHits(usage)).toBe(35);
    expect(metricSum(usage, 'storage_up')).toBe(1);
  });

  test('continue after the writer thread exits, and storage counts do not decrease', async () => {
    const { usage, getMany, setBehavior } = await controlledServer();
    await getMany(207);
    await usage.flush();
    setBehavior('exits');
    await getMany(5);
    await vi.waitFor(
      () => expect(usage.status().storages[0]!.error?.message).toMatch(/opening failed/),
      10_000,
    );
    expect(metricSum(usage, 'writer_restarts_total')).toBeGreaterThan(0);
    expect(metricSum(usage, 'storage_committed_records_total')).toBe(207);
    expect(metricSum(usage, 'storage_lag_records')).toBe(5);
    expect(requests(usage)).toBe(212);
    setBehavior('works');
    await usage.flush();
    await getMany(3);
    expect(requests(usage)).toBe(215);
  });

  test('count requests once if one storage is down and catches up', async () => {
    const directory = temporaryDirectory();
    const [up, down] = [controlledStorage(directory, 'up'), controlledStorage(directory, 'down')];
    down.setBehavior('rejects');
    const { usage, getMany } = await trackedServer({ directory, storages: [down.storage, up.storage] });
    await getMany(12);
    await vi.waitFor(() => expect(usage.status().storages[1]!.committed).toBe(12), 5_000);
    expect(requests(usage)).toBe(12);
    expect(metricSum(usage, 'storage_up', { storage: 'up' })).toBe(1);
    // The other storage may report its failure later.
    await vi.waitFor(() => expect(metricSum(usage, 'storage_up', { storage: 'down' })).toBe(0), 5_000);
    await getMany(3);
    down.setBehavior('works');
    await usage.flush();
    expect(requests(usage)).toBe(15);
    expect(usage.status().storages.map(({ committed }) => committed)).toEqual([15, 15]);
  });

  test('do not include requests of a dead process', async () => {
    const directory = temporaryDirectory();
    const { storage, setBehavior } = controlledStorage(directory);
    setBehavior('rejects');
    const before = await trackedServer({ directory, storages: [storage] });
    await before.getMany(8);
    await before.usage.close({ timeout: 100 });
    setBehavior('works');
    const { usage, getMany } = await trackedServer({
      directory,
      storages: [controlledStorage(directory).storage],
    });
    await getMany(2);
    await vi.waitFor(() => expect(usage.status().storages[0]!.adopted).toBe(8), 10_000);
    expect(requests(usage)).toBe(2);
    expect(metricSum(usage, 'storage_adopted_records_total')).toBe(8);
  });

  test('are complete while the writer thread is blocked', async () => {
    const { usage, getMany, setBehavior } = await controlledServer();
    setBehavior('blocks');
    await getMany(5);
    expect(requests(usage)).toBe(5);
    expect(metricSum(usage, 'storage_committed_records_total')).toBe(0);
    setBehavior('works');
    await usage.flush();
    expect(requests(usage)).toBe(5);
  });

  test('count requests without any storage', async () => {
    const { usage, getMany } = await trackedServer({ storages: [] });
    await getMany(3);
    expect(requests(usage)).toBe(3);
  });

  test('include requests whose records were dropped by the journal', async () => {
    const directory = temporaryDirectory();
    const { storage, setBehavior } = controlledStorage(directory);
    setBehavior('rejects');
    // If the journal directory is a file, records wait in limited memory.
    const file = join(directory, 'no-directory');
    writeFileSync(file, '');
    const { server, usage, getMany } = await trackedServer({
      directory,
      storages: [storage],
      journal: { dir: file },
    });
    server.prependListener('request', (request) => {
      usage.vars(request).text = '漢'.repeat(16_000);
    });
    let sent = 0;
    for (; usage.status().dropped.journal === 0 && sent < 1_000; sent += 50) await getMany(50);
    expect(usage.status().dropped.journal).toBeGreaterThan(0);
    expect(usage.status().journaled).toBeLessThan(sent);
    expect(requests(usage)).toBe(sent);
  });

  test('exclude requests without a record: after close(), or if reading the request failed', async () => {
    const { server, usage, get, getMany } = await trackedServer();
    server.prependListener('request', (request) => {
      if (request.url !== '/odd') return;
      Object.defineProperty(request, 'rawHeaders', {
        get() {
          throw new Error('no headers');
        },
      });
    });
    await getMany(2);
    await get('/odd');
    expect(metricSum(usage, 'dropped_records_total', { reason: 'capture' })).toBe(1);
    await usage.close();
    await getMany(3);
    expect(metricSum(usage, 'captured_requests_total')).toBe(3);
    expect(requests(usage)).toBe(2);
  });
});

test('metrics() does not throw for invalid options', async () => {
  const { usage } = await trackedServer();
  for (const options of [null, 'x', 1, { openMetrics: 'yes' }, {}]) {
    expect(usage.metrics(options as never)).not.toMatch(/# EOF/);
  }
  await usage.close();
  expect(usage.metrics({ openMetrics: true })).toMatch(/\n# EOF\n$/);
});
