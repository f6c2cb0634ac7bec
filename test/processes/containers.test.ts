/** Containers, simulated by a PID namespace and a host name each, in which every app is process 1. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import type { Settings } from './server.ts';
import { App, expectExact, journalsIn, signalTo, stored } from './support.ts';

const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const UNSHARE = ['unshare', ...asRoot, '--pid', '--fork', '--mount-proc', '--uts', '--kill-child'];

/** A container with the host name `web`, which all replicas may have. */
const container = (settings: Settings) =>
  new App(settings, [...UNSHARE, 'sh', '-c', 'hostname web && exec "$0" "$@"']);

/** Returns the ID of its process 1 outside of the container. */
function processOne({ pid }: App): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
}

test('containers on one volume, with equal process ids and host names, adopt the journal that one of them left', async () => {
  const settings = { directory: temporaryDirectory() };
  const journals = join(settings.directory, 'journals');
  const apps = [container(settings), container(settings), container(settings)];
  const ports = await Promise.all(apps.map((app) => app.port()));
  for (const app of apps) expect(await app.waitFor('listening')).toMatchObject([{ pid: 1, host: 'web' }]);
  expect(journalsIn(journals)).toHaveLength(3);
  const load = new Load(ports, 12);
  await load.more(600);
  // The host, or the kernel when memory is short.
  signalTo(processOne(apps[0]!), 'SIGKILL');
  await apps[0]!.ended;
  const again = container({ ...settings, port: ports[0]! });
  await again.waitFor('listening');
  await load.more(600);
  // docker stop. A signal without a handler does not end process 1, except SIGKILL.
  const one = processOne(apps[1]!);
  signalTo(one, 'SIGTERM');
  await load.more(300);
  signalTo(one, 'SIGKILL');
  await apps[1]!.ended;
  await load.stop();
  await expect.poll(() => journalsIn(journals).length, { timeout: 15_000 }).toBe(2);
  for (const app of [again, apps[2]!]) signalTo(processOne(app), 'SIGHUP');
  const statuses = await Promise.all([again, apps[2]!].map(async (app) => (await app.waitFor('status'))[0]!));
  const adopted = statuses.reduce((sum, { status }) => sum + status.storages[0]!.adopted, 0);
  expect(adopted).toBeGreaterThan(0);
  const all = [...apps, again];
  expect(all.flatMap(({ problems }) => problems)).toEqual([]);
  for (const app of all) app.kill('SIGKILL');
  await Promise.all(all.map(({ ended }) => ended));
  await expectExact(settings, load, { cut: true });
});

test('replicas with separate journal directories share a database, and resume their own journals', async () => {
  const directory = temporaryDirectory();
  const replicas = ['a', 'b', 'c'].map((name) => ({
    directory,
    journals: join(directory, name),
    closes: true,
  }));
  const apps = replicas.map(container);
  const ports = await Promise.all(apps.map((app) => app.port()));
  const load = new Load(ports, 12);
  await load.more(600);
  signalTo(processOne(apps[0]!), 'SIGKILL');
  await apps[0]!.ended;
  const [left = ''] = journalsIn(replicas[0]!.journals);
  await load.more(300);
  // Only the next start of the replica looks there.
  expect(journalsIn(replicas[0]!.journals)).toEqual([left]);
  const again = container({ ...replicas[0]!, port: ports[0]! });
  await again.waitFor('listening');
  await load.more(300);
  await expect.poll(() => journalsIn(replicas[0]!.journals), { timeout: 15_000 }).not.toContain(left);
  await load.stop();
  const living = [again, apps[1]!, apps[2]!];
  for (const app of living) signalTo(processOne(app), 'SIGTERM');
  for (const app of living) expect(await app.ended).toEqual([0, null]);
  expect([...apps, again].flatMap(({ problems }) => problems)).toEqual([]);
  for (const replica of replicas) expect(await stored(replica)).toMatchObject({ adopted: 0 });
  await expectExact(replicas[1]!, load, { cut: true });
});
