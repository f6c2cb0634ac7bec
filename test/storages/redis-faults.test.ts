import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import { CuttingProxy } from '../../src/testing/index.ts';
import { type Ledger, load, newLedger } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { agreed, RedisServer, redisCluster } from '../support/servers/redis.ts';
import { journalsOf } from '../support/tracked-app.ts';

const APP = join(import.meta.dirname, '../support/tracked-app.ts');
const CONNECTIONS = 8;
const PATHS = 300;

test('10 rounds of lost connections, and of SIGKILL on the server and the app: hits = responses received', {
  timeout: 180_000,
}, async () => {
  const server = await RedisServer.start();
  onTestFinished(() => server.close());
  const proxy = await CuttingProxy.start(server.port);
  onTestFinished(() => proxy.close());
  const url = `redis://127.0.0.1:${proxy.port}`;
  const { directory, ledger } = await roundsOf(10, url, async () => {
    for (const how of ['before', 'after'] as const) {
      // A batch takes about a dozen messages.
      proxy.arm(Math.floor(Math.random() * 12), how);
      await sleep(Math.random() * 800);
    }
    await server.stop();
    await sleep(Math.random() * 300);
    await server.start();
    await sleep(Math.random() * 800);
  });
  proxy.arm(Number.POSITIVE_INFINITY, 'before');
  await expectExact(directory, new RedisStorage(url, { hooks: ['urls', 'server'] }), ledger);
});

test('10 rounds of SIGKILL on a node of a cluster and the app: hits = responses received', {
  timeout: 240_000,
}, async () => {
  const nodes = await redisCluster();
  onTestFinished(async () => {
    for (const node of nodes) await node.close();
  });
  const { directory, ledger } = await roundsOf(10, nodes[0]!.url, async (round) => {
    const node = nodes[round % nodes.length]!;
    await sleep(Math.random() * 1_500);
    await node.stop();
    await sleep(Math.random() * 300);
    await node.start();
    await sleep(Math.random() * 800);
  });
  await agreed(nodes);
  const urls = nodes.map(({ url }) => url);
  // Of several nodes the first names the place.
  await expectExact(directory, new RedisStorage(urls, { hooks: ['urls', 'server'] }), ledger);
});

/** Each round an app that adopts what the one before left, and that is killed in the end. */
async function roundsOf(rounds: number, url: string, breakIt: (round: number) => Promise<void>) {
  const directory = temporaryDirectory();
  const ledger = newLedger();
  let unique = 0;
  for (let round = 0; round < rounds; round++) {
    const child = spawn(process.execPath, [APP, directory, url], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const port = Number(/^listening (\d+)$/.exec(line)?.[1]);
    const loaded = load(port, CONNECTIONS, ledger, () => `/page/${unique++ % PATHS}`);
    await breakIt(round);
    child.kill('SIGKILL');
    await loaded;
    await ended;
  }
  expect(ledger.received.size).toBe(PATHS);
  return { directory, ledger };
}

/** What was received is stored once; a response that a kill cut off may be there or not. */
async function expectExact(directory: string, storage: RedisStorage, ledger: Ledger): Promise<void> {
  const usage = new TrackUsage(undefined, storage, { journal: { dir: join(directory, 'journals') } });
  onTestFinished(() => usage.close());
  await usage.ready();
  // Only the own journal remains when all others are adopted.
  await expect.poll(() => listJournals(journalsOf(directory)).length, { timeout: 60_000 }).toBe(1);
  const hits = new Map<string, number>();
  for (const { key, hits: more } of await usage.getSum('urls', { period: 'month', limit: 0 })) {
    // Each app had a port of its own.
    const { pathname } = new URL(key!);
    hits.set(pathname, (hits.get(pathname) ?? 0) + more);
  }
  const wrong: string[] = [];
  for (const [path, received] of ledger.received) {
    const surplus = (hits.get(path) ?? 0) - received.hits;
    if (surplus < 0 || surplus > (ledger.cut.get(path) ?? 0)) {
      wrong.push(`${path}: received ${received.hits}, stored ${hits.get(path)}`);
    }
  }
  expect(wrong).toEqual([]);
  const total = [...hits.values()].reduce((sum, more) => sum + more, 0);
  const ofServer = await usage.getSum('server', { period: 'hour', limit: 0 });
  const records = await usage.getUsage({ limit: 0 });
  expect({ server: ofServer.reduce((sum, row) => sum + row.hits, 0), records: records.length }).toEqual({
    server: total,
    records: Math.min(total, 100_000),
  });
}
