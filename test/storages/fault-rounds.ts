import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { type Storage, TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { CuttingProxy, type TestServer } from '../../src/testing/index.ts';
import { type Ledger, load, newLedger } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { journalsOf } from '../support/tracked-app.ts';

const APP = join(import.meta.dirname, '../support/tracked-app.ts');
const ROUNDS = 10;
const CONNECTIONS = 8;
const PATHS = 300;

export interface Faults {
  /** Of the load. Defaults to 8. */
  connections?: number;
  /** How many messages the connection may live for once it is to be cut. Defaults to 6. */
  messages?: number;
  /** The longest pauses, in ms: after each cut, and before the app dies. Default to 600 and 1,200. */
  pauses?: { cut: number; kill: number };
  /** How long the last app may take to adopt all journals. In ms, defaults to 60,000. */
  patience?: number;
  /** The most records that the storage keeps. Defaults to all. */
  mostRecords?: number;
}

/** What the rounds left: where the journals are, and what the clients got. */
interface Left {
  directory: string;
  ledger: Ledger;
}

/**
 * Ten rounds of lost connections, and of SIGKILL on the server and on the app, at random moments under load: afterwards
 * hits = responses received.
 * @param urlAt The storage by way of a port.
 */
export async function faultRounds(
  server: TestServer,
  urlAt: (port: number) => string,
  faults: Faults = {},
): Promise<void> {
  const { messages = 6, pauses = { cut: 600, kill: 1_200 } } = faults;
  const proxy = await CuttingProxy.start(server.port);
  onTestFinished(() => proxy.close());
  const url = urlAt(proxy.port);
  const left = await killRounds(
    url,
    async () => {
      for (const how of ['before', 'after'] as const) {
        proxy.arm(Math.floor(Math.random() * messages), how);
        await sleep(Math.random() * pauses.cut);
      }
      await server.stop();
      await sleep(Math.random() * 300);
      await server.start();
      await sleep(Math.random() * pauses.kill);
    },
    faults.connections,
  );
  // What it was told to lose last may not have come.
  proxy.arm(Number.POSITIVE_INFINITY, 'before');
  await expectExact(left, await storageAt(url).open(['urls', 'server']), faults);
}

/** Ten apps under load, each of which adopts what the one before left and is killed after `breakIt`. */
export async function killRounds(
  url: string,
  breakIt: (round: number) => Promise<void>,
  connections = CONNECTIONS,
): Promise<Left> {
  const directory = temporaryDirectory();
  const ledger = newLedger();
  let unique = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { child, port, ended } = await startApp(directory, url);
    const loaded = load(port, connections, ledger, () => `/page/${unique++ % PATHS}`);
    await breakIt(round);
    child.kill('SIGKILL');
    await loaded;
    await ended;
  }
  expect(ledger.received.size).toBe(PATHS);
  return { directory, ledger };
}

async function startApp(
  directory: string,
  url: string,
): Promise<{ child: ChildProcess; port: number; ended: Promise<unknown> }> {
  const child = spawn(process.execPath, [APP, directory, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(/^listening (\d+)$/.exec(line)?.[1]), ended };
}

/** What was received is stored once; a response that a kill cut off may be there or not. */
export async function expectExact(
  { directory, ledger }: Left,
  storage: Storage,
  { patience = 60_000, mostRecords = Number.POSITIVE_INFINITY }: Faults = {},
): Promise<void> {
  const usage = new TrackUsage(undefined, storage, { journal: { dir: join(directory, 'journals') } });
  onTestFinished(() => usage.close());
  await usage.ready();
  // Only the own journal remains when all others are adopted.
  await expect.poll(() => listJournals(journalsOf(directory)).length, { timeout: patience }).toBe(1);
  const stored = new Map<string, number>();
  for (const { key, hits } of await usage.getSum('urls', { period: 'month', limit: 0 })) {
    // Each app had a port of its own.
    const { pathname } = new URL(key!);
    stored.set(pathname, (stored.get(pathname) ?? 0) + hits);
  }
  const wrong: string[] = [];
  for (const [path, { hits }] of ledger.received) {
    const surplus = (stored.get(path) ?? 0) - hits;
    if (surplus < 0 || surplus > (ledger.cut.get(path) ?? 0)) {
      wrong.push(`${path}: received ${hits}, stored ${stored.get(path)}`);
    }
  }
  expect(wrong).toEqual([]);
  const total = [...stored.values()].reduce((sum, hits) => sum + hits, 0);
  const server = await usage.getSum('server', { period: 'hour', limit: 0 });
  const records = await usage.getUsage({ limit: 0 });
  expect({ server: server.reduce((sum, { hits }) => sum + hits, 0), records: records.length }).toEqual({
    server: total,
    records: Math.min(total, mostRecords),
  });
}
