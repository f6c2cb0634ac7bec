import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, test } from 'vitest';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import { agreed, RedisServer, redisCluster } from '../support/servers/redis.ts';
import { MAX_RECORDS } from '../support/tracked-app.ts';
import { expectExact, faultRounds, killRounds } from './fault-rounds.ts';

test('stores each response once in 10 rounds of lost connections and SIGKILL on the server and the app', {
  timeout: 180_000,
}, async () => {
  const server = await RedisServer.start();
  onTestFinished(() => server.close());
  await faultRounds(server, (port) => `redis://127.0.0.1:${port}`, {
    // A batch takes about a dozen messages.
    messages: 12,
    pauses: { cut: 800, kill: 800 },
  });
});

test('stores each response once in 10 rounds of SIGKILL on a cluster node and the app', {
  timeout: 240_000,
}, async () => {
  const nodes = await redisCluster();
  onTestFinished(async () => {
    for (const node of nodes) await node.close();
  });
  const result = await killRounds(nodes[0]!.url, async (round) => {
    const node = nodes[round % nodes.length]!;
    await sleep(Math.random() * 1_500);
    await node.stop();
    await sleep(Math.random() * 300);
    await node.start();
    await sleep(Math.random() * 800);
  });
  await agreed(nodes);
  const urls = nodes.map(({ url }) => url);
  // The first of several nodes identifies the storage.
  const storage = new RedisStorage(urls, { hooks: ['urls', 'server'], maxRecords: MAX_RECORDS });
  await expectExact(result, storage);
});
