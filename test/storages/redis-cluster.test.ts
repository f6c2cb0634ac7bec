import { randomUUID } from 'node:crypto';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RedisClient, RedisStorage } from '../../src/storages/redis/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { type RedisServer, redisCluster } from '../support/servers/redis.ts';

let nodes: RedisServer[] = [];
beforeAll(async () => {
  nodes = await redisCluster();
});
afterAll(async () => {
  for (const node of nodes) await node.close();
});

/** Creates a location. It need not be removed, because the cluster is temporary. */
async function newLocation(): Promise<TestLocation> {
  const prefix = randomUUID();
  return {
    storage: (hooks) => new RedisStorage(nodes[0]!.url, { prefix, ...(hooks && { hooks }) }),
    contains: async (text) => nodes.some((node) => node.contains(text)),
    remove: async () => {},
  };
}

describe('opened by the URL of one node', () => {
  const cases = storageCases({
    name: 'redis cluster',
    createLocation: newLocation,
    cannot: {
      records: 'a stream holds the newest ones, by default 100,000',
    },
  });
  test.each(cases)('$name', ({ run }) => run());
});

test('each call uses one slot, and all nodes hold some keys', async () => {
  const prefix = randomUUID();
  const storage = new RedisStorage(nodes[1]!.url, { prefix, hooks: ['basic'] });
  onTestFinished(() => storage.close());
  // Sites whose names could end a hash tag.
  for (const [n, site] of ['a', '}', '{', '{}', 'a}b', 'ü:%'].entries()) {
    const writer = await openWriter(storage, { site });
    const journal = new TestJournal(`c${n}`, storage.summaries, 'UTC', site);
    expect(await writer.apply(journal.batch([{ url: 'x' }, { url: 'y' }]))).toBe(true);
    expect(await rows(storage, 'urls', 'day', { site })).toHaveLength(2);
    expect(await storage.getUsage({ site })).toHaveLength(2);
    await writer.close();
  }
  for (const node of nodes) expect(node.cli('keys', `${prefix}:*`)).toContain(':tops');
});

const openNodeRedis = async () => {
  const client = createCluster({ rootNodes: [{ url: nodes[2]!.url }] });
  client.on('error', () => {});
  await client.connect();
  return { client, close: () => client.destroy() };
};
const openIoRedis = async () => {
  const client = new Cluster([{ host: '127.0.0.1', port: nodes[2]!.port }]);
  return { client, close: () => client.disconnect() };
};
test.each<[string, () => Promise<{ client: RedisClient; close(): void }>]>([
  ['redis', openNodeRedis],
  ['ioredis', openIoRedis],
])('opened by a client of %s', async (_, open) => {
  const { client, close } = await open();
  onTestFinished(close);
  const storage = new RedisStorage(client, { prefix: randomUUID(), hooks: ['basic', 'visitors'] });
  const writer = await openWriter(storage);
  const random = new Random(5);
  const journal = new TestJournal('a', storage.summaries);
  for (let n = 0; n < 3; n++) {
    const batch = journal.batch(Array.from({ length: 2_000 }, () => random.record()));
    expect(await writer.apply(batch)).toBe(true);
    expect(await writer.apply(batch)).toBe(false);
  }
  // Some of the records are dated ahead of the clock.
  const found = await rows(storage, 'urls', 'month', { to: '2027-12-31' });
  const hits = found.map(([, count]) => count as number);
  expect(hits.reduce((sum, count) => sum + count)).toBe(6_000);
  expect(await storage.getUsage({ limit: 0, to: '2027-12-31' })).toHaveLength(6_000);
  const rewrites = () =>
    nodes.map((node) => Number(/aof_rewrites:(\d+)/.exec(node.cli('info', 'persistence'))?.[1]));
  const before = rewrites();
  await writer.maintenance!.scrub();
  expect(rewrites()).toEqual(before.map((count) => count + 1));
  expect(await storage.getUsage({ limit: 0, to: '2027-12-31' })).toHaveLength(6_000);
});
