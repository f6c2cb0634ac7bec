import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import { freePort } from '../support/servers/free-port.ts';
import { Load } from './client.ts';
import type { Settings } from './server.ts';
import { expectExact, journalsIn, SERVER, signalTo } from './support.ts';

const BIN = createRequire(import.meta.url).resolve('pm2/bin/pm2');
const INSTANCES = 3;

/** A separate PM2, with the app in cluster mode. Both are ended after the test. */
async function startPm2(settings: Settings) {
  const home = join(settings.directory, 'pm2');
  const env = {
    ...process.env,
    PM2_HOME: home,
    PM2_DISABLE_VERSION_CHECK: 'true',
    // Its daemon starts the first `node` in the PATH.
    PATH: dirname(process.execPath) + delimiter + process.env.PATH,
  };
  const run = promisify(execFile);
  const pm2 = (...args: string[]) => run(process.execPath, [BIN, ...args], { env, timeout: 30_000 });
  const file = join(settings.directory, 'ecosystem.json');
  const app = {
    name: 'app',
    script: SERVER,
    args: [JSON.stringify(settings)],
    exec_mode: 'cluster',
    instances: INSTANCES,
    kill_timeout: 10_000,
  };
  writeFileSync(file, JSON.stringify({ apps: [app] }));
  let daemon: number | undefined;
  // Its workers end when they are disconnected from it.
  onTestFinished(() =>
    pm2('kill').then(
      () => {},
      () => {
        if (daemon) signalTo(daemon, 'SIGKILL');
      },
    ),
  );
  await pm2('start', file);
  daemon = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
  return { pm2, log: () => readFileSync(join(home, 'pm2.log'), 'utf8') };
}

describe('PM2, cluster mode', () => {
  test('pm2 reload under load is a rolling restart: nothing is lost, nothing counted twice', async () => {
    const settings = { directory: temporaryDirectory(), port: await freePort(), closes: true };
    const { pm2, log } = await startPm2(settings);
    // New connections, so that all workers get some.
    const load = new Load(settings.port, 16, false);
    await load.processes(INSTANCES);
    for (let i = 0; i < 2; i++) {
      await pm2('reload', 'app');
      await load.processes((2 + i) * INSTANCES);
    }
    await load.stop();
    await pm2('delete', 'app');
    expect(load.byPid.size).toBe(3 * INSTANCES);
    expect(load.received.size).toBeGreaterThan(500);
    // None was killed: each closed in time and left no journal.
    expect(log()).not.toMatch(/SIGKILL/);
    expect(journalsIn(join(settings.directory, 'journals'))).toEqual([]);
    await expectExact(settings, load);
  });

  test('a worker is killed under load: PM2 replaces it, another adopts its journal', async () => {
    const settings = { directory: temporaryDirectory(), port: await freePort(), closes: true };
    const { pm2 } = await startPm2(settings);
    const load = new Load(settings.port, 16, false);
    for (let i = 0; i < 2; i++) {
      await load.processes(INSTANCES + i);
      await load.more(300);
      signalTo(Number([...load.byPid.keys()].at(-1)), 'SIGKILL');
    }
    await load.processes(INSTANCES + 2);
    await load.stop();
    await expect
      .poll(() => journalsIn(join(settings.directory, 'journals')).length, { timeout: 15_000 })
      .toBe(INSTANCES);
    await pm2('delete', 'app');
    expect(journalsIn(join(settings.directory, 'journals'))).toEqual([]);
    await expectExact(settings, load, { cut: true });
  });
});
