import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import { App, expectExact, journalsIn, signalTo } from './support.ts';

describe.each([
  { mode: 'append', keepAlive: true },
  { mode: 'append', keepAlive: false },
  { mode: 'group', keepAlive: true },
] as const)('a rolling restart under load, mode $mode, keep-alive $keepAlive', ({ mode, keepAlive }) => {
  test('the new process listens before the old one closes: nothing is lost, nothing counted twice', async () => {
    const settings = { directory: temporaryDirectory(), mode, reusePort: true, closes: true };
    let old = new App(settings);
    const port = await old.port();
    const load = new Load(port, 8, keepAlive);
    const apps = [old];
    for (let generation = 0; generation < 3; generation++) {
      await load.more(300);
      const next = new App({ ...settings, port });
      apps.push(next);
      await next.waitFor('listening');
      signalTo(old.pid, 'SIGTERM');
      expect(await old.ended).toEqual([0, null]);
      old = next;
    }
    await load.more(300);
    await load.stop();
    signalTo(old.pid, 'SIGTERM');
    expect(await old.ended).toEqual([0, null]);
    const statuses = await Promise.all(apps.map(async (app) => (await app.waitFor('closed'))[0]!.status));
    const committed = statuses.map(({ storages }) => storages[0]!.committed);
    expect(committed.reduce((sum, records) => sum + records, 0)).toBe(load.received.size);
    expect(load.byPid.size).toBe(apps.length);
    expect(apps.flatMap(({ problems }) => problems)).toEqual([]);
    // Each process stored its own records, so nothing is left to adopt.
    expect(journalsIn(`${settings.directory}/journals`)).toEqual([]);
    await expectExact(settings, load);
  });
});

test('a restart with a gap: refused clients retry, and each response is counted once', async () => {
  const settings = { directory: temporaryDirectory(), closes: true };
  let app = new App(settings);
  const port = await app.port();
  const load = new Load(port, 8);
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
    await load.more(300);
    signalTo(app.pid, signal);
    await app.ended;
    app = new App({ ...settings, port });
    await app.waitFor('listening');
  }
  await load.more(300);
  await load.stop();
  expect(load.refused).toBeGreaterThan(0);
  signalTo(app.pid, 'SIGTERM');
  await app.ended;
  await expectExact(settings, load, { cut: true });
});
