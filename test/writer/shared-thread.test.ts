import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test, vi } from 'vitest';
import { startThread } from '../../src/platform/threads.ts';
import { Storage } from '../../src/query/storage.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import type { Behavior } from '../metrics/controlled-storage.ts';
import { codes, serverHits, trackedServer } from '../resilience/support.ts';

vi.mock(import('../../src/platform/threads.ts'), async (original) => {
  const module = await original();
  return { ...module, startThread: vi.fn(module.startThread) };
});

/** Creates a SQLite storage in the writer thread, and a function that sets its behavior. */
function controlledStorage(directory: string) {
  const behaviorFile = join(directory, 'behavior');
  const setBehavior = (value: Behavior) => writeFileSync(behaviorFile, value);
  setBehavior('works');
  const path = join(directory, 'usage.db');
  const storage = new Storage({
    label: 'controlled',
    identity: path,
    module: new URL('../metrics/controlled-storage.ts', import.meta.url).href,
    options: { path, behavior: behaviorFile },
    hooks: ['server'],
  });
  return { setBehavior, storage };
}

async function controlledServer() {
  const directory = temporaryDirectory();
  const { setBehavior, storage } = controlledStorage(directory);
  return { ...(await trackedServer({ directory, storages: [storage] })), setBehavior };
}

const started = () => vi.mocked(startThread).mock.calls.length;

describe('several instances in one process', () => {
  test('share a thread, which ends when the last one closes', async () => {
    const before = started();
    const apps = [await trackedServer(), await trackedServer(), await trackedServer()];
    const [first, ...others] = apps;
    await first!.getMany(10);
    await first!.usage.close();
    for (const app of others) {
      await app.getMany(20);
      await app.usage.flush();
      expect(app.usage.status()).toMatchObject({ writerRestarts: 0, storages: [{ committed: 20 }] });
    }
    expect(started()).toBe(before + 1);
    await Promise.all(others.map(({ usage }) => usage.close()));
    const next = await trackedServer();
    await next.usage.ready();
    expect(started()).toBe(before + 2);
  });

  test('do not wait for one that cannot open its storage yet', async () => {
    const never = new MemoryStorage();
    Object.assign(never, { openWriter: () => new Promise(() => {}) });
    const slow = await trackedServer({ storages: [never] });
    const { usage, getMany } = await trackedServer();
    await usage.ready();
    await getMany(10);
    await usage.flush();
    expect(slow.usage.status().storages[0]).toMatchObject({ ok: false });
    expect(await serverHits(usage)).toBe(10);
  });

  test('get a new thread if one ends it, and store all of their records', async () => {
    const { setBehavior, ...dying } = await controlledServer();
    const other = await trackedServer();
    const requestBoth = () => Promise.all([dying.getMany(50), other.getMany(30)]);
    await requestBoth();
    await dying.usage.flush();
    setBehavior('exits');
    await requestBoth();
    await vi.waitFor(() => expect(dying.usage.status().writerRestarts).toBe(1), 5_000);
    await vi.waitFor(() => expect(other.usage.status().writerRestarts).toBe(1), 5_000);
    await requestBoth();
    await other.usage.flush();
    expect(await serverHits(other.usage)).toBe(90);
    expect(codes(other.errors)).toEqual(['WRITER_STOPPED']);
    setBehavior('works');
    await dying.usage.flush();
    expect(await serverHits(dying.usage)).toBe(150);
    for (const { usage } of [dying, other]) {
      expect(usage.status().storages[0]).toMatchObject({ adopted: 0, lost: 0, rejected: 0 });
    }
  });

  test('continue if one whose storage fails is closed', async () => {
    const { setBehavior, ...failing } = await controlledServer();
    const other = await trackedServer();
    await Promise.all([failing.usage.ready(), other.usage.ready()]);
    setBehavior('rejects');
    await Promise.all([failing.getMany(5), other.getMany(5)]);
    await failing.usage.close({ timeout: 200 });
    expect(codes(failing.errors)).toContain('TIMEOUT');
    await other.getMany(5);
    await other.usage.flush();
    expect(other.usage.status()).toMatchObject({ writerRestarts: 0, storages: [{ committed: 10 }] });
  });

  test('continue in a new thread if one that hangs is closed', async () => {
    const { setBehavior, ...hanging } = await controlledServer();
    const other = await trackedServer();
    await Promise.all([hanging.usage.ready(), other.usage.ready()]);
    setBehavior('blocks');
    await hanging.getMany(5);
    const began = performance.now();
    await hanging.usage.close({ timeout: 1_500 });
    expect(performance.now() - began).toBeLessThan(3_800);
    await other.getMany(5);
    await other.usage.flush();
    expect(other.usage.status()).toMatchObject({ writerRestarts: 1, storages: [{ committed: 5 }] });
    expect(other.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('another TrackUsage of this process did not close in time'),
    ]);
  });

  test('neither keep the process alive nor cause warnings about listeners', { timeout: 30_000 }, async () => {
    const script = join(import.meta.dirname, 'several-instances.ts');
    const child = fork(script, [temporaryDirectory()], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    const [stderr, exit] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
    expect(stderr).toBe('');
    expect(exit).toEqual([0, null]);
  });

  test('continue if the options of one cannot be sent to the thread', async () => {
    const { usage, getMany } = await trackedServer();
    const odd = await trackedServer({
      storages: [
        new Storage({ label: 'odd', identity: 'odd', module: 'file:///odd.js', options: { call: () => {} } }),
      ],
    });
    await expect(odd.usage.ready()).rejects.toThrow(expect.objectContaining({ code: 'WRITER_FILE' }));
    await getMany(5);
    await usage.flush();
    expect(usage.status().storages[0]).toMatchObject({ ok: true, committed: 5 });
  });
});
