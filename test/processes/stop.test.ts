import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import { App, expectExact, journalsIn, signalTo } from './support.ts';

async function underLoad(settings: ConstructorParameters<typeof App>[0]) {
  const app = new App(settings);
  const load = new Load(await app.port(), 8);
  await load.more(300);
  return { app, load };
}

describe.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('a process is stopped by %s', (signal) => {
  test.each(['append', 'group'] as const)(
    'no handler, mode %s: it dies immediately, and the next start stores its journal',
    async (mode) => {
      const settings = { directory: temporaryDirectory(), mode };
      const { app, load } = await underLoad(settings);
      signalTo(app.pid, signal);
      expect(await app.ended).toEqual([null, signal]);
      await load.stop();
      await expectExact(settings, load, { cut: true });
    },
  );
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a handler of %s closes: everything is stored when the process ends',
  async (signal) => {
    const settings = { directory: temporaryDirectory(), closes: true };
    const { app, load } = await underLoad(settings);
    signalTo(app.pid, signal);
    expect(await app.ended).toEqual([0, null]);
    await load.stop();
    const [closed] = await app.waitFor('closed');
    expect(closed!.status.storages[0]).toMatchObject({ committed: load.received.size, lag: { records: 0 } });
    expect(journalsIn(join(settings.directory, 'journals'))).toEqual([]);
    await expectExact(settings, load);
  },
);

test('docker stop: SIGTERM, and SIGKILL after the grace period while the database is locked', async () => {
  const settings = { directory: temporaryDirectory(), closes: true };
  const { app, load } = await underLoad(settings);
  const rival = new DatabaseSync(join(settings.directory, 'usage.db'));
  onTestFinished(() => {
    if (rival.isOpen) rival.close();
  });
  // It may just be written to.
  rival.exec('PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE');
  await load.more(100);
  signalTo(app.pid, 'SIGTERM');
  const grace = setTimeout(() => signalTo(app.pid, 'SIGKILL'), 1_000);
  expect(await app.ended).toEqual([null, 'SIGKILL']);
  clearTimeout(grace);
  await load.stop();
  expect(app.events.some(({ event }) => event === 'closed')).toBe(false);
  rival.exec('ROLLBACK');
  rival.close();
  await expectExact(settings, load, { cut: true });
});
