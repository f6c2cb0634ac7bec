import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { ADOPTION_TIMEOUT_MS } from '../../src/journal/heartbeat.ts';
import { DirectoryLock } from '../../src/journal/lock.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import type { Settings } from './server.ts';
import { App, expectExact, journalsIn, signalTo } from './support.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Two apps that share a database, where the first one is under load. */
async function twoApps(settings: Settings) {
  const owner = new App(settings);
  const load = new Load(await owner.port(), 8);
  await load.more(100);
  const [journal = ''] = journalsIn(join(settings.directory, 'journals'));
  const other = new App({ ...settings, reads: 0 });
  await other.waitFor('listening');
  return { owner, other, load, journal };
}

/** Returns whether no process is writing to a database. */
function isFree(file: string): boolean {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK');
    return true;
  } catch {
    return false;
  } finally {
    database.close();
  }
}

async function end(apps: App[]): Promise<void> {
  for (const app of apps) app.kill('SIGKILL');
  await Promise.all(apps.map(({ ended }) => ended));
}

test('apps that read their own journals, as a backup does, keep them', async () => {
  const settings = { directory: temporaryDirectory(), reads: 40 };
  const apps = [new App(settings), new App(settings)];
  const load = new Load(await Promise.all(apps.map((app) => app.port())), 8);
  await load.more(100);
  const journals = journalsIn(join(settings.directory, 'journals'));
  // Long enough for an adopter that only checks the lock, or a heartbeat that does not change.
  await pause(2 * ADOPTION_TIMEOUT_MS);
  await load.stop();
  for (const app of apps) {
    const { storages, journal } = await app.status();
    expect(storages[0]).toMatchObject({ adopted: 0, lost: 0 });
    expect(journals).toContain(journal.directory);
    expect(app.problems).toEqual([]);
  }
  await end(apps);
  await expectExact(settings, load, { cut: true });
});

test('apps that read their adopted journals store them once, even if the database is locked for long', async () => {
  const settings = { directory: temporaryDirectory() };
  const dead = [new App(settings), new App(settings), new App(settings)];
  const load = new Load(await Promise.all(dead.map((app) => app.port())), 8);
  await load.more(100);
  const database = new DatabaseSync(join(settings.directory, 'usage.db'));
  database.exec('PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE');
  await load.more(500);
  await end(dead);
  await load.stop();
  const left = journalsIn(join(settings.directory, 'journals'));
  const adopters = Array.from({ length: 3 }, () => new App({ ...settings, reads: 40 }));
  await Promise.all(adopters.map((app) => app.waitFor('listening')));
  // Each has enough time to adopt the journals of the others.
  await pause(2 * ADOPTION_TIMEOUT_MS);
  database.exec('ROLLBACK');
  database.close();
  await expect.poll(() => left.filter(existsSync), { timeout: 20_000 }).toEqual([]);
  const statuses = await Promise.all(adopters.map((app) => app.status()));
  expect(statuses.map(({ storages }) => storages[0]!.lost)).toEqual([0, 0, 0]);
  expect(adopters.flatMap(({ problems }) => problems.filter((problem) => !/locked/.test(problem)))).toEqual(
    [],
  );
  await end(adopters);
  await expectExact(settings, load, { cut: true });
});

test('a paused process keeps its journal, because it holds the lock', async () => {
  const settings = { directory: temporaryDirectory() };
  const { owner, other, load, journal } = await twoApps(settings);
  signalTo(owner.pid, 'SIGSTOP');
  await pause(ADOPTION_TIMEOUT_MS + 2_000);
  expect(existsSync(journal)).toBe(true);
  expect((await other.status()).storages[0]).toMatchObject({ adopted: 0 });
  signalTo(owner.pid, 'SIGCONT');
  await load.more(200);
  await load.stop();
  expect((await owner.status()).journal.directory).toBe(journal);
  expect([...owner.problems, ...other.problems]).toEqual([]);
  await end([owner, other]);
  await expectExact(settings, load, { cut: true });
});

// The moment at which the lock is dropped and nothing is written is not always reached.
test('a process paused after its lock was dropped detects the adoption, and starts another journal', {
  retry: 2,
}, async () => {
  const settings = { directory: temporaryDirectory(), reads: 5 };
  const { owner, other, load, journal } = await twoApps(settings);
  const deadline = performance.now() + 20_000;
  for (let round = 1; ; round++) {
    if (performance.now() > deadline) throw new Error(`the lock was not seen free in ${round} rounds`);
    signalTo(owner.pid, 'SIGSTOP');
    const lock = DirectoryLock.take(journal);
    const free = lock !== undefined && isFree(join(settings.directory, 'usage.db'));
    lock?.release();
    // It has just renewed the lock, or is in a transaction, for which the other one waits.
    if (free) break;
    signalTo(owner.pid, 'SIGCONT');
    await load.more(1);
  }
  await expect.poll(() => existsSync(journal), { timeout: 20_000 }).toBe(false);
  signalTo(owner.pid, 'SIGCONT');
  await load.more(300);
  await load.stop();
  const { journal: now, storages, ...status } = await owner.status();
  expect(now.directory).not.toBe(journal);
  expect(owner.problems).toEqual([expect.stringContaining(`another process adopted the journal ${journal}`)]);
  expect(status).toMatchObject({ dropped: { journal: 0, capture: 0 }, writerRestarts: 0 });
  expect(storages[0]).toMatchObject({ lost: 0, adopted: 0, error: null });
  const { adopted } = (await other.status()).storages[0]!;
  // Each record of the process is in one of these counts.
  await expect
    .poll(async () => {
      const { storages, journaled } = await owner.status();
      return journaled - storages[0]!.committed - adopted;
    })
    .toBe(0);
  expect(other.problems).toEqual([]);
  await end([owner, other]);
  await expectExact(settings, load, { cut: true });
});
