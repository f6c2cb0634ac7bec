import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { type Storage, TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { CuttingProxy, type TestServer } from '../../src/testing/index.ts';
import { load, newOutcomes, type RequestOutcomes } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { journalsOf, storageOf } from '../support/tracked-app.ts';

const APP = join(import.meta.dirname, '../support/tracked-app.ts');
const ROUNDS = 10;
const CONNECTIONS = 8;
const PATHS = 300;

export interface Faults {
  /** Number of connections of the load. Defaults to 8. */
  connections?: number;
  /** Maximum number of messages before an armed connection is cut. Defaults to 6. */
  messages?: number;
  /** Maximum pauses, in ms: after each cut, and before the app is killed. Default to 600 and 1,200. */
  pauses?: { cut: number; kill: number };
  /** Timeout for the adoption of all journals by the last app, in ms. Defaults to 60,000. */
  adoptionTimeout?: number;
}

/** Result of the rounds: the directory of the journals, and the responses that the clients received. */
interface RoundsResult {
  directory: string;
  outcomes: RequestOutcomes;
}

/**
 * Runs ten rounds of lost connections, and of SIGKILL on the server and the app, at random moments under load. Expects
 * that each response received is stored exactly once.
 * @param urlAt Returns the storage's URL with another port.
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
  const result = await killRounds(
    url,
    async () => {
      for (const moment of ['before', 'after'] as const) {
        proxy.arm(Math.floor(Math.random() * messages), moment);
        await sleep(Math.random() * pauses.cut);
      }
      await server.stop();
      await sleep(Math.random() * 300);
      await server.start();
      await sleep(Math.random() * pauses.kill);
    },
    faults.connections,
  );
  // The last armed cut may not have happened.
  proxy.arm(Number.POSITIVE_INFINITY, 'before');
  await expectExact(result, await storageOf(url), faults);
}

/** Runs ten apps under load. Each adopts the journal of the previous one, and is killed after `injectFault`. */
export async function killRounds(
  url: string,
  injectFault: (round: number) => Promise<void>,
  connections = CONNECTIONS,
): Promise<RoundsResult> {
  const directory = temporaryDirectory();
  const outcomes = newOutcomes();
  let unique = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { child, port, ended } = await startApp(directory, url);
    const loaded = load(port, connections, outcomes, () => `/page/${unique++ % PATHS}`);
    await injectFault(round);
    child.kill('SIGKILL');
    await loaded;
    await ended;
  }
  expect(outcomes.received.size).toBe(PATHS);
  return { directory, outcomes };
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

/** Expects each received response to be stored once. A response that a kill cut off may be stored or not. */
export async function expectExact(
  { directory, outcomes }: RoundsResult,
  storage: Storage,
  { adoptionTimeout = 60_000 }: Faults = {},
): Promise<void> {
  const usage = new TrackUsage(undefined, storage, { journal: { dir: join(directory, 'journals') } });
  onTestFinished(() => usage.close());
  await usage.ready();
  // Only this app's journal remains when all others are adopted.
  await expect.poll(() => listJournals(journalsOf(directory)).length, { timeout: adoptionTimeout }).toBe(1);
  const stored = new Map<string, number>();
  for (const { key, hits } of await usage.getSum('urls', { period: 'month', limit: 0 })) {
    // Each app used another port.
    const { pathname } = new URL(key!);
    stored.set(pathname, (stored.get(pathname) ?? 0) + hits);
  }
  const deviations: string[] = [];
  for (const [path, { hits }] of outcomes.received) {
    const surplus = (stored.get(path) ?? 0) - hits;
    if (surplus < 0 || surplus > (outcomes.cut.get(path) ?? 0)) {
      deviations.push(`${path}: received ${hits}, stored ${stored.get(path)}`);
    }
  }
  expect(deviations).toEqual([]);
  const total = [...stored.values()].reduce((sum, hits) => sum + hits, 0);
  const server = await usage.getSum('server', { period: 'hour', limit: 0 });
  const records = await usage.getUsage({ limit: 0 });
  expect({ server: server.reduce((sum, { hits }) => sum + hits, 0), records: records.length }).toEqual({
    server: total,
    records: total,
  });
}
