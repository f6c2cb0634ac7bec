import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { CuttingProxy } from '../../src/testing/index.ts';
import { type Ledger, load, newLedger } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { clickhouseServer } from '../support/servers/clickhouse.ts';
import { journalsOf } from '../support/tracked-app.ts';

const APP = join(import.meta.dirname, '../support/tracked-app.ts');
const ROUNDS = 10;
const CONNECTIONS = 8;

/** The app of the next round, which adopts what the one before left. */
async function startApp(directory: string, url: string) {
  const child = spawn(process.execPath, [APP, directory, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(/^listening (\d+)$/.exec(line)?.[1]), ended: once(child, 'exit') };
}

/** At moments that differ from round to round: messages are lost, the server dies and comes back, the app dies. */
async function break_(
  child: ChildProcess,
  proxy: CuttingProxy,
  server: { stop(): Promise<void>; start(): Promise<void> },
) {
  const random = () => Math.floor(Math.random() * 6);
  for (const how of ['before', 'after'] as const) {
    proxy.arm(random(), how);
    await sleep(Math.random() * 600);
  }
  await server.stop();
  await sleep(Math.random() * 300);
  await server.start();
  await sleep(Math.random() * 1_200);
  child.kill('SIGKILL');
}

test(`${ROUNDS} rounds of lost connections, and of SIGKILL on the server and the app: hits = responses received`, {
  timeout: 180_000,
}, async () => {
  const clickhouse = await clickhouseServer();
  onTestFinished(() => clickhouse.close());
  const server = clickhouse.server!;
  const proxy = await CuttingProxy.start(server.port);
  onTestFinished(() => proxy.close());
  const directory = temporaryDirectory();
  const url = clickhouse.url('usage', proxy.port);
  const ledger = newLedger();
  let unique = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { child, port, ended } = await startApp(directory, url);
    const loaded = load(port, CONNECTIONS, ledger, () => `/page/${unique++ % 300}`);
    await break_(child, proxy, server);
    await loaded;
    await ended;
  }
  proxy.arm(Number.POSITIVE_INFINITY, 'before');
  expect(ledger.received.size).toBe(300);
  await expectExact(directory, new ClickhouseStorage(url, { hooks: ['urls', 'server'] }), ledger);
});

/** What was received is stored once; a response that a kill cut off may be there or not. */
async function expectExact(directory: string, storage: ClickhouseStorage, ledger: Ledger): Promise<void> {
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
    records: total,
  });
}
