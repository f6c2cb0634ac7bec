import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { CuttingProxy, type TestServer } from '../../src/testing/index.ts';
import { type Ledger, load, newLedger } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';

const APP = join(import.meta.dirname, 'fault-app.ts');
const ROUNDS = 10;
const CONNECTIONS = 8;
const PATHS = 300;

/**
 * Ten rounds of lost connections, and of SIGKILL on the server and on the app, at random moments under load: afterwards
 * hits = responses received. @param urlAt The storage by way of a port.
 */
export async function faultRounds(server: TestServer, urlAt: (port: number) => string): Promise<void> {
  const proxy = await CuttingProxy.start(server.port);
  onTestFinished(() => proxy.close());
  const directory = temporaryDirectory();
  const url = urlAt(proxy.port);
  const ledger = newLedger();
  let unique = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { child, port, ended } = await startApp(directory, url);
    const loaded = load(port, CONNECTIONS, ledger, () => `/page/${unique++ % PATHS}`);
    await breakAll(child, proxy, server);
    await loaded;
    await ended;
  }
  proxy.arm(Number.POSITIVE_INFINITY, 'before');
  expect(ledger.received.size).toBe(PATHS);
  await expectExact(directory, url, ledger);
}

/** The app of the next round, which adopts what the one before left. */
async function startApp(directory: string, url: string) {
  const child = spawn(process.execPath, [APP, directory, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(/^listening (\d+)$/.exec(line)?.[1]), ended: once(child, 'exit') };
}

/** At moments that differ from round to round. */
async function breakAll(child: ChildProcess, proxy: CuttingProxy, server: TestServer): Promise<void> {
  for (const how of ['before', 'after'] as const) {
    proxy.arm(Math.floor(Math.random() * 6), how);
    await sleep(Math.random() * 600);
  }
  await server.stop();
  await sleep(Math.random() * 300);
  await server.start();
  await sleep(Math.random() * 1_200);
  child.kill('SIGKILL');
}

/** What was received is stored once; a response that a kill cut off may be there or not. */
async function expectExact(directory: string, url: string, ledger: Ledger): Promise<void> {
  const storage = await storageAt(url).open(['urls', 'server']);
  const usage = new TrackUsage(undefined, storage, { geo: false, journal: { dir: directory } });
  onTestFinished(() => usage.close());
  await usage.ready();
  const [identity] = readdirSync(directory);
  // Only the own journal remains when all others are adopted.
  await expect.poll(() => listJournals(join(directory, identity!)).length, { timeout: 60_000 }).toBe(1);
  const stored = new Map<string, number>();
  for (const { key, hits } of await usage.getSum('urls', { period: 'month', limit: 0 })) {
    // Each app had a port of its own.
    const { pathname } = new URL(key!);
    stored.set(pathname, (stored.get(pathname) ?? 0) + hits);
  }
  const wrong = [...ledger.received].filter(([path, { hits }]) => {
    const surplus = (stored.get(path) ?? 0) - hits;
    return surplus < 0 || surplus > (ledger.cut.get(path) ?? 0);
  });
  expect(wrong).toEqual([]);
  const total = [...stored.values()].reduce((sum, hits) => sum + hits, 0);
  const server = await usage.getSum('server', { period: 'hour', limit: 0 });
  const records = await usage.getUsage({ limit: 0 });
  expect({ server: server.reduce((sum, { hits }) => sum + hits, 0), records: records.length }).toEqual({
    server: total,
    records: total,
  });
}
