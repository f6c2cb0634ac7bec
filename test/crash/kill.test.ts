import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { load, newOutcomes, type RequestOutcomes } from './load.ts';

const CONNECTIONS = 16;

/** Starts the app in its own process group, so that all its workers can be killed at the same moment. */
async function start(directory: string, kind: string, mode: string, dies = '') {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'server.ts'), directory, kind, mode, dies],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => kill(child, 'SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(/listening (\d+)/.exec(line)![1]), ended: once(child, 'exit') };
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // It has ended.
  }
}

/** Returns what the storage contains after all journals of dead processes were adopted. */
async function stored(directory: string) {
  const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['urls', 'server'] });
  const usage = new TrackUsage(undefined, storage, { journal: { dir: join(directory, 'journals') } });
  await usage.ready();
  const [identity] = readdirSync(join(directory, 'journals'));
  // Only the own journal remains when all others are adopted.
  await expect
    .poll(() => listJournals(join(directory, 'journals', identity!)).length, { timeout: 20_000 })
    .toBe(1);
  const sums = await usage.getSum('urls', { period: 'month', limit: 0 });
  const records = await usage.getUsage({ limit: 0 });
  const server = await usage.getSum('server', { period: 'hour' });
  await usage.close();
  return { sums, records, hits: server.reduce((sum, { hits }) => sum + hits, 0) };
}

/** The storage contains exactly the received responses; one that was cut off by the kill may be missing. */
async function expectExact(directory: string, outcomes: RequestOutcomes): Promise<void> {
  const { sums, records, hits } = await stored(directory);
  // Each start has its own port, and therefore its own URLs.
  const byPath = new Map<string, { hits: number; transfer: number }>();
  for (const { key, hits, transfer } of sums) {
    const path = new URL(key!).pathname;
    const before = byPath.get(path) ?? { hits: 0, transfer: 0 };
    byPath.set(path, { hits: before.hits + hits, transfer: before.transfer + transfer });
  }
  const wrong: string[] = [];
  for (const [path, received] of outcomes.received) {
    const sum = byPath.get(path);
    const spare = outcomes.cut.get(path) ?? 0;
    const surplus = (sum?.hits ?? 0) - received.hits;
    if (surplus < 0 || surplus > spare)
      wrong.push(`${path}: received ${received.hits}, stored ${sum?.hits ?? 0}`);
    if (surplus === 0 && sum?.transfer !== received.bytes) wrong.push(`${path}: ${sum?.transfer} bytes`);
  }
  for (const [path, { hits }] of byPath) {
    if (!outcomes.received.has(path) && hits > (outcomes.cut.get(path) ?? 0))
      wrong.push(`${path}: never received`);
  }
  expect(wrong).toEqual([]);
  const total = sums.reduce((sum, { hits }) => sum + hits, 0);
  expect({ hits, records: records.length }).toEqual({ hits: total, records: total });
}

let unique = 0;
const PATHS: Record<string, () => string> = {
  node: () => (unique % 3 === 0 ? `/late/${unique++}` : `/page/${unique++ % 500}`),
  express: () => ['/late/x', `/page/${unique % 500}`, `/static/file-${unique % 20}.txt`][unique++ % 3]!,
  cluster: () => `/page/${unique++ % 500}`,
};

function prepare(): string {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'files'));
  for (let i = 0; i < 20; i++) writeFileSync(join(directory, 'files', `file-${i}.txt`), 'x'.repeat(100 * i));
  return directory;
}

describe.each([
  { kind: 'node', mode: 'append', kills: 20 },
  { kind: 'express', mode: 'append', kills: 20 },
  { kind: 'cluster', mode: 'append', kills: 20 },
  { kind: 'node', mode: 'group', kills: 10 },
  { kind: 'express', mode: 'group', kills: 10 },
])('SIGKILL, $kills times at random moments under load', ({ kind, mode, kills }) => {
  test(`${kind}, mode ${mode}: every response received is counted once`, { timeout: 240_000 }, async () => {
    const directory = prepare();
    const outcomes = newOutcomes();
    for (let i = 0; i < kills; i++) {
      const { child, port, ended } = await start(directory, kind, mode);
      const loaded = load(port, CONNECTIONS, outcomes, PATHS[kind]!);
      setTimeout(() => kill(child, 'SIGKILL'), 20 + Math.random() * 700);
      await loaded;
      await ended;
    }
    expect(outcomes.received.size).toBeGreaterThan(100);
    await expectExact(directory, outcomes);
  });
});

describe.each(['before', 'within', 'after'])('SIGKILL %s the commit of the storage', (moment) => {
  test('nothing is lost or counted twice', { timeout: 120_000 }, async () => {
    const directory = prepare();
    const outcomes = newOutcomes();
    for (let i = 0; i < 5; i++) {
      const { port, ended } = await start(directory, 'node', 'append', moment);
      await load(port, CONNECTIONS, outcomes, PATHS.node!);
      await ended;
    }
    await expectExact(directory, outcomes);
  });
});

test('workers of a cluster are killed in turn under load, while the others adopt their journals', {
  timeout: 120_000,
}, async () => {
  const directory = prepare();
  const outcomes = newOutcomes();
  const { child, port, ended } = await start(directory, 'cluster', 'append');
  let stop = false;
  // A client whose worker was killed reconnects.
  const loaded = (async () => {
    while (!stop) await load(port, CONNECTIONS, outcomes, () => (stop ? undefined : PATHS.cluster!()));
  })();
  for (let i = 0; i < 12; i++) {
    const pids = readdirSync(directory).flatMap((name) => /^pid-(\d+)$/.exec(name)?.[1] ?? []);
    const pid = Number(pids[i % pids.length]);
    await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 300));
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was killed before.
    }
  }
  stop = true;
  await loaded;
  kill(child, 'SIGKILL');
  await ended;
  await expectExact(directory, outcomes);
});
