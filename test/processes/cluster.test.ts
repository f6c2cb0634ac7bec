import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import { App, expectExact, journalsIn, signalTo } from './support.ts';

const WORKERS = 4;

describe('a cluster shares one port, one database and one directory of journals', () => {
  test('every received response is stored once, whichever worker sent it', async () => {
    const settings = { directory: temporaryDirectory(), workers: WORKERS, closes: true };
    const app = new App(settings);
    await app.waitFor('listening', WORKERS);
    const load = new Load(await app.port());
    await load.more(4_000);
    await load.stop();
    expect(load.byPid.size).toBe(WORKERS);
    signalTo(app.pid, 'SIGTERM');
    expect(await app.ended).toEqual([0, null]);
    const closed = await app.waitFor('closed', WORKERS);
    expect(closed.reduce((sum, { status }) => sum + status.storages[0]!.committed, 0)).toBe(
      load.received.size,
    );
    expect(journalsIn(join(settings.directory, 'journals'))).toEqual([]);
    expect(load.cut.size).toBe(0);
    await expectExact(settings, load);
    expect(app.problems).toEqual([]);
  });

  test('workers that are killed under load, or disconnect, are replaced and their journals adopted', async () => {
    const settings = { directory: temporaryDirectory(), workers: WORKERS };
    const app = new App(settings);
    await app.waitFor('listening', WORKERS);
    const load = new Load(await app.port());
    for (const [gone, signal] of (['SIGKILL', 'SIGUSR2', 'SIGKILL', 'SIGTERM'] as const).entries()) {
      await load.more(800);
      const [{ pid } = { pid: 0 }] = (await app.waitFor('listening')).slice(gone);
      signalTo(pid, signal);
      await app.waitFor('exit', gone + 1);
      // The replacement has its own journal; any process may adopt that of the dead one.
      await app.waitFor('listening', WORKERS + gone + 1);
    }
    await load.stop();
    expect((await app.waitFor('exit')).map(({ code, signal }) => signal ?? code)).toEqual([
      'SIGKILL',
      0,
      'SIGKILL',
      'SIGTERM',
    ]);
    const journals = join(settings.directory, 'journals');
    await expect.poll(() => journalsIn(journals).length, { timeout: 15_000 }).toBe(WORKERS);
    const living = (await app.waitFor('listening')).slice(-WORKERS);
    for (const { pid } of living) signalTo(pid, 'SIGHUP');
    const statuses = await app.waitFor('status', WORKERS);
    expect(statuses.reduce((sum, { status }) => sum + status.storages[0]!.adopted, 0)).toBeGreaterThan(0);
    expect(app.problems).toEqual([]);
    app.kill('SIGKILL');
    await app.ended;
    await expectExact(settings, load, { cut: true });
  });
});
