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
async function figure(usage: TrackUsage, name: string, labels: Record<string, string> = {}): Promise<number> {
  let sum = 0;
  for (const [series, value] of valuesOf(await usage.metrics())) {
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
    expect(await requests(usage)).toBe(15);
    expect(await serverHits(usage)).toBe(15);
    expect(await figure(usage, 'captured_requests_total')).toBe(15);
    expect(await figure(usage, 'storage_committed_records_total')).toBe(30);
  });

  test('are the same in OpenMetrics', async () => {
    const { usage, ask } = await shop();
    await visit(ask);
    await usage.flush();
    const plain = valuesOf(await usage.metrics());
    const { text, type } = await ask('/metrics?open');
    expect(type).toBe(OPENMETRICS_CONTENT_TYPE);
    expect(text).toMatch(/\n# EOF\n$/);
    expect(text.match(/# EOF/g)).toHaveLength(1);
    expect(valuesOf(text)).toEqual(plain);
  });

  test('are counted under load while somebody asks and asks', async () => {
    const { usage, getMany } = await trackedServer();
    let asking = true;
    let last = 0;
    const asked = (async () => {
      while (asking) {
        const now = await requests(usage);
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
    })();
    for (let i = 0; i < 40; i++) await getMany(50);
    asking = false;
    await asked;
    expect(await requests(usage)).toBe(2_000);
    await usage.flush();
    expect(await requests(usage)).toBe(2_000);
  });

  test('count once when a batch comes again, and while nothing is stored', async () => {
    const { usage, getMany, steer } = await steeredServer();
    await getMany(10);
    steer('forgets');
    await getMany(10);
    await vi.waitFor(() => expect(usage.status().storages[0]!.error?.message).toMatch(/What was it/), 5_000);
    expect(await requests(usage)).toBe(20);
    steer('refuses');
    await getMany(10);
    await vi.waitFor(() => expect(usage.status().storages[0]!.error?.message).toMatch(/nothing/), 5_000);
    expect(await requests(usage)).toBe(30);
    await getMany(5);
    expect(await requests(usage)).toBe(35);
    expect(await figure(usage, 'storage_up')).toBe(0);
    expect(await figure(usage, 'storage_lag_records')).toBeGreaterThanOrEqual(15);
    steer('well');
    await usage.flush();
    expect(await requests(usage)).toBe(35);
    expect(await serverHits(usage)).toBe(35);
    expect(await figure(usage, 'storage_up')).toBe(1);
  });

  test('go on where the thread died, and the storage’s counts do not fall', async () => {
    const { usage, getMany, steer } = await steeredServer({ journal: { maxBytes: 1024 ** 2 } });
    // More than a segment of the journal, which is deleted when it is stored.
    await getMany(200, `/${'x'.repeat(1_000)}`);
    await usage.flush();
    expect(await requests(usage)).toBe(200);
    // Stored, and not asked for before the thread dies.
    await getMany(7);
    await usage.flush();
    steer('dies');
    await getMany(5);
    await vi.waitFor(
      () => expect(usage.status().storages[0]!.error?.message).toMatch(/I do not open/),
      10_000,
    );
    expect(await figure(usage, 'writer_restarts_total')).toBeGreaterThan(0);
    expect(await figure(usage, 'storage_committed_records_total')).toBe(207);
    expect(await figure(usage, 'storage_lag_records')).toBe(5);
    expect(await requests(usage)).toBe(212);
    steer('well');
    await usage.flush();
    await getMany(3);
    expect(await requests(usage)).toBe(215);
  });

  test('go on where the thread died, if nobody asks before the next one has stored more', async () => {
    const { usage, getMany, steer } = await steeredServer();
    await getMany(10);
    expect(await requests(usage)).toBe(10);
    await getMany(7);
    await usage.flush();
    steer('dies');
    await getMany(5);
    await vi.waitFor(() => expect(usage.status().writerRestarts).toBeGreaterThan(0), 10_000);
    steer('well');
    await getMany(3);
    await usage.flush();
    expect(await serverHits(usage)).toBe(25);
    expect(await requests(usage)).toBe(25);
  });

  test('count once where one storage is down, and catches up', async () => {
    const directory = temporaryDirectory();
    const [up, down] = [steered(directory, 'up'), steered(directory, 'down')];
    down.steer('refuses');
    const { usage, getMany } = await trackedServer({ directory, storages: [down.storage, up.storage] });
    await getMany(12);
    await vi.waitFor(() => expect(usage.status().storages[1]!.committed).toBe(12), 5_000);
    expect(await requests(usage)).toBe(12);
    expect(await figure(usage, 'storage_up', { storage: 'up' })).toBe(1);
    expect(await figure(usage, 'storage_up', { storage: 'down' })).toBe(0);
    await getMany(3);
    down.steer('well');
    await usage.flush();
    expect(await requests(usage)).toBe(15);
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
    expect(await requests(usage)).toBe(2);
    expect(await figure(usage, 'storage_adopted_records_total')).toBe(8);
  });
});

describe('without an answer of the thread', () => {
  const health = async (usage: TrackUsage) => {
    const names = [...valuesOf(await usage.metrics()).keys()].map(
      (series) => JSON.parse(series)[0] as string,
    );
    expect(names.filter((name) => name.startsWith('track_usage_http'))).toEqual([]);
    expect(await usage.metrics({ openMetrics: true })).toMatch(/^# EOF$/m);
    return figure(usage, 'metrics_complete');
  };

  test('the health alone comes within 2 s, and the requests the next time', async () => {
    const { usage, getMany, steer } = await steeredServer();
    expect(await figure(usage, 'metrics_complete')).toBe(1);
    steer('blocks');
    await getMany(5);
    // Until the thread has it.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    steer('well');
    const began = performance.now();
    const asked = Array.from({ length: 50 }, () => usage.metrics());
    const texts = new Set(await Promise.all(asked));
    expect(performance.now() - began).toBeLessThan(2_500);
    const [text = ''] = texts;
    expect(text).toMatch(/^track_usage_metrics_complete 0$/m);
    expect(text).toMatch(/^track_usage_captured_requests_total 5$/m);
    expect(text).not.toMatch(/track_usage_http/);
    await usage.flush();
    expect(await figure(usage, 'metrics_complete')).toBe(1);
    expect(await requests(usage)).toBe(5);
  });

  test('it comes at once where there is no thread, or no more', async () => {
    const { usage, getMany } = await trackedServer({ storages: [] });
    await getMany(1);
    const { usage: closed } = await trackedServer();
    const asked = closed.metrics();
    await closed.close();
    await asked;
    for (const each of [usage, closed]) {
      const began = performance.now();
      expect(await health(each)).toBe(0);
      // A thread is waited for longer.
      expect(performance.now() - began).toBeLessThan(1_500);
    }
  });

  test('whatever is passed, it does not reject', async () => {
    const { usage } = await trackedServer();
    for (const options of [null, 'x', 1, { openMetrics: 'yes' }, {}]) {
      expect(await usage.metrics(options as never)).not.toMatch(/# EOF/);
    }
  });
});
