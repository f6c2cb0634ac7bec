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
import { shop, VISIT, visit } from './shop.ts';
import type { Manner } from './steered-storage.ts';
import { valuesOf } from './values.ts';

/** The sum of a metric's series that have these labels. */
function figure(usage: TrackUsage, name: string, labels: Record<string, string> = {}): number {
  let sum = 0;
  for (const [series, value] of valuesOf(usage.metrics())) {
    const [found, has] = JSON.parse(series) as [string, Record<string, string>];
    const matches = Object.entries(labels).every(([label, text]) => has[label] === text);
    if (found === `track_usage_${name}` && matches) sum += value;
  }
  return sum;
}
const requests = (usage: TrackUsage) => figure(usage, 'http_requests_total');

/** A storage, and how to steer it. */
function steered(directory: string, name = 'steered') {
  const manner = join(directory, `${name}.manner`);
  const steer = (to: Manner) => writeFileSync(manner, to);
  steer('well');
  const { identity } = new SqliteStorage(join(directory, `${name}.db`));
  const storage = new Storage({
    label: name,
    identity,
    module: new URL('./steered-storage.ts', import.meta.url).href,
    options: { path: join(directory, `${name}.db`), manner },
    hooks: ['server'],
  });
  return { storage, steer };
}

async function steeredServer(options: TrackUsageOptions = {}) {
  const directory = temporaryDirectory();
  const { storage, steer } = steered(directory);
  const server = await trackedServer({ directory, storages: [storage], ...options });
  await server.usage.ready();
  return { ...server, steer };
}

describe('the requests', () => {
  test('are those that were answered, at once, each once for both storages', async () => {
    const { usage, ask } = await shop();
    await visit(ask);
    const { text, type } = await ask('/metrics');
    expect(type).toBe(METRICS_CONTENT_TYPE);
    const values = valuesOf(text);
    const of = (name: string, labels: object) =>
      values.get(JSON.stringify([`track_usage_http_${name}`, labels]));
    for (const [route, method, status, count, bytes] of VISIT) {
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
    expect(figure(usage, 'captured_requests_total')).toBe(15);
    expect(figure(usage, 'storage_committed_records_total')).toBe(30);
  });

  test('are the same in OpenMetrics', async () => {
    const { usage, ask } = await shop();
    await visit(ask);
    await usage.flush();
    const plain = valuesOf(usage.metrics());
    const { text, type } = await ask('/metrics?open');
    expect(type).toBe(OPENMETRICS_CONTENT_TYPE);
    expect(text).toMatch(/\n# EOF\n$/);
    expect(text.match(/# EOF/g)).toHaveLength(1);
    expect(valuesOf(text)).toEqual(plain);
  });

  test.each(['append', 'group', 'power'] as const)('are counted once under load (mode %s)', async (mode) => {
    const { usage, getMany } = await trackedServer({ journal: { mode } });
    for (let i = 1; i <= 40; i++) {
      await getMany(50);
      // What a client has received is counted.
      expect(requests(usage)).toBe(50 * i);
    }
    await usage.flush();
    expect(requests(usage)).toBe(2_000);
  });

  test('count once when a batch comes again, and while nothing is stored', async () => {
    const { usage, getMany, steer } = await steeredServer();
    await getMany(10);
    steer('forgets');
    await getMany(10);
    await vi.waitFor(() => expect(usage.status().storages[0]!.error?.message).toMatch(/What was it/), 5_000);
    expect(requests(usage)).toBe(20);
    steer('refuses');
    await getMany(10);
    await vi.waitFor(() => expect(usage.status().storages[0]!.error?.message).toMatch(/nothing/), 5_000);
    expect(requests(usage)).toBe(30);
    await getMany(5);
    expect(requests(usage)).toBe(35);
    expect(figure(usage, 'storage_up')).toBe(0);
    expect(figure(usage, 'storage_lag_records')).toBeGreaterThanOrEqual(15);
    steer('well');
    await usage.flush();
    expect(requests(usage)).toBe(35);
    expect(await serverHits(usage)).toBe(35);
    expect(figure(usage, 'storage_up')).toBe(1);
  });

  test('go on while the writer’s thread dies, and the storage’s counts do not fall', async () => {
    const { usage, getMany, steer } = await steeredServer();
    await getMany(207);
    await usage.flush();
    steer('dies');
    await getMany(5);
    await vi.waitFor(
      () => expect(usage.status().storages[0]!.error?.message).toMatch(/I do not open/),
      10_000,
    );
    expect(figure(usage, 'writer_restarts_total')).toBeGreaterThan(0);
    expect(figure(usage, 'storage_committed_records_total')).toBe(207);
    expect(figure(usage, 'storage_lag_records')).toBe(5);
    expect(requests(usage)).toBe(212);
    steer('well');
    await usage.flush();
    await getMany(3);
    expect(requests(usage)).toBe(215);
  });

  test('count once where one storage is down, and catches up', async () => {
    const directory = temporaryDirectory();
    const [up, down] = [steered(directory, 'up'), steered(directory, 'down')];
    down.steer('refuses');
    const { usage, getMany } = await trackedServer({ directory, storages: [down.storage, up.storage] });
    await getMany(12);
    await vi.waitFor(() => expect(usage.status().storages[1]!.committed).toBe(12), 5_000);
    expect(requests(usage)).toBe(12);
    expect(figure(usage, 'storage_up', { storage: 'up' })).toBe(1);
    // The other storage may report its failure later.
    await vi.waitFor(() => expect(figure(usage, 'storage_up', { storage: 'down' })).toBe(0), 5_000);
    await getMany(3);
    down.steer('well');
    await usage.flush();
    expect(requests(usage)).toBe(15);
    expect(usage.status().storages.map(({ committed }) => committed)).toEqual([15, 15]);
  });

  test('of a dead process are not this one’s', async () => {
    const directory = temporaryDirectory();
    const { storage, steer } = steered(directory);
    steer('refuses');
    const before = await trackedServer({ directory, storages: [storage] });
    await before.getMany(8);
    await before.usage.close({ timeout: 100 });
    steer('well');
    const { usage, getMany } = await trackedServer({ directory, storages: [steered(directory).storage] });
    await getMany(2);
    await vi.waitFor(() => expect(usage.status().storages[0]!.adopted).toBe(8), 10_000);
    expect(requests(usage)).toBe(2);
    expect(figure(usage, 'storage_adopted_records_total')).toBe(8);
  });

  test('are complete while the writer’s thread is blocked', async () => {
    const { usage, getMany, steer } = await steeredServer();
    steer('blocks');
    await getMany(5);
    expect(requests(usage)).toBe(5);
    expect(figure(usage, 'storage_committed_records_total')).toBe(0);
    steer('well');
    await usage.flush();
    expect(requests(usage)).toBe(5);
  });

  test('are counted without any storage', async () => {
    const { usage, getMany } = await trackedServer({ storages: [] });
    await getMany(3);
    expect(requests(usage)).toBe(3);
  });

  test('include those whose records found no room in the journal', async () => {
    const directory = temporaryDirectory();
    const { storage, steer } = steered(directory);
    steer('refuses');
    // With a file in place of the journal directory, records wait in memory, whose size is limited.
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

  test('leave out what became no record: after close(), and where reading the request failed', async () => {
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
    expect(figure(usage, 'dropped_records_total', { reason: 'capture' })).toBe(1);
    await usage.close();
    await getMany(3);
    expect(figure(usage, 'captured_requests_total')).toBe(3);
    expect(requests(usage)).toBe(2);
  });
});

test('whatever is passed to metrics(), it does not throw', async () => {
  const { usage } = await trackedServer();
  for (const options of [null, 'x', 1, { openMetrics: 'yes' }, {}]) {
    expect(usage.metrics(options as never)).not.toMatch(/# EOF/);
  }
  await usage.close();
  expect(usage.metrics({ openMetrics: true })).toMatch(/\n# EOF\n$/);
});
