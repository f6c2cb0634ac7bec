import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { rebuild, sumRemotes, sumUrls, verify } from '../../src/index.ts';
import { wallClock } from '../../src/platform/clock.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { NOON } from '../../src/testing/batches.ts';
import { change, storageWith, sumsOf } from './support.ts';

const HOOKS = [sumUrls, sumRemotes];
/** Longer than the lease of a killed process. In ms. */
const LEASE = 61_000;

test('a rebuild that is killed twice is completed by the next one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-killed-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'usage.db');
  const records = Array.from({ length: 20 }, (_, n) => ({
    url: `/${n % 4}`,
    remoteAddr: `10.0.0.${n % 3}`,
    date: NOON - n * 3_600_000,
  }));
  const { storage, writer, apply } = await storageWith(HOOKS, records, {
    storage: new SqliteStorage(path, { hooks: HOOKS }),
  });
  const wanted = await sumsOf(storage, HOOKS);
  for (let n = 0; n < 6; n++) {
    await change(writer, 'urls', 'hour', NOON - n * 3_600_000, {
      '/0': { hits: 2, transfer: 1, errors: 1, duration: 3 },
    });
  }
  const now = wallClock.now();
  const clock = vi.spyOn(wallClock, 'now');
  onTestFinished(() => clock.mockRestore());
  for (const [runs, [moment, commits]] of (
    [
      ['before', 4],
      ['after', 5],
    ] as const
  ).entries()) {
    const child = fork(join(import.meta.dirname, 'killed-rebuild.ts'), [path, moment, String(commits)]);
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
    // The lease of the killed process ends by itself.
    const database = new DatabaseSync(path);
    database.exec(`UPDATE leases SET until = ${now}`);
    database.close();
    expect((await verify({ storage })).count, `run ${runs}`).toBeGreaterThan(0);
    await apply([{ url: '/new', date: NOON }]);
  }
  clock.mockImplementation(() => now + LEASE);
  expect((await rebuild({ storage })).rebuilt).toBeGreaterThan(0);
  expect((await verify({ storage })).count).toBe(0);
  const added = Array.from({ length: 2 }, () => ({ url: '/new', date: NOON }));
  const { storage: straight } = await storageWith(HOOKS, [...records, ...added]);
  expect(await sumsOf(storage, HOOKS)).toEqual(await sumsOf(straight, HOOKS));
  expect(await sumsOf(storage, HOOKS)).not.toEqual(wanted);
  const database = new DatabaseSync(path);
  // Only the journal of the app, the number of the last run and those of the damage are left.
  const journals = database.prepare("SELECT count(*) AS n FROM journals WHERE id NOT LIKE 'ccc%'").get();
  database.close();
  expect(journals).toEqual({ n: 2 });
});
