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
import type { Manner } from '../metrics/steered-storage.ts';
import { codes, serverHits, trackedServer } from '../resilience/support.ts';

vi.mock(import('../../src/platform/threads.ts'), async (original) => {
  const module = await original();
  return { ...module, startThread: vi.fn(module.startThread) };
});

/** SQLite in the writer's thread, steered from here. */
function steered(directory: string) {
  const manner = join(directory, 'manner');
  const steer = (value: Manner) => writeFileSync(manner, value);
  steer('well');
  const path = join(directory, 'usage.db');
  const storage = new Storage({
    label: 'steered',
    identity: path,
    module: new URL('../metrics/steered-storage.ts', import.meta.url).href,
    options: { path, manner },
    hooks: ['server'],
  });
  return { steer, storage };
}

async function steeredServer() {
  const directory = temporaryDirectory();
  const { steer, storage } = steered(directory);
  return { ...(await trackedServer({ directory, storages: [storage] })), steer };
}

const started = () => vi.mocked(startThread).mock.calls.length;

describe('several instances in one process', () => {
  test('share a thread, which ends with the last of them', async () => {
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

  test('that cannot open its storage yet keeps none of the others waiting', async () => {
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

  test('when one ends the thread, it is restarted for all, and each stores all of its own', async () => {
    const { steer, ...dying } = await steeredServer();
    const other = await trackedServer();
    const ask = () => Promise.all([dying.getMany(50), other.getMany(30)]);
    await ask();
    await dying.usage.flush();
    steer('dies');
    await ask();
    await vi.waitFor(() => expect(dying.usage.status().writerRestarts).toBe(1), 5_000);
    await vi.waitFor(() => expect(other.usage.status().writerRestarts).toBe(1), 5_000);
    await ask();
    await other.usage.flush();
    expect(await serverHits(other.usage)).toBe(90);
    expect(codes(other.errors)).toEqual(['WRITER_STOPPED']);
    steer('well');
    await dying.usage.flush();
    expect(await serverHits(dying.usage)).toBe(150);
    for (const { usage } of [dying, other]) {
      expect(usage.status().storages[0]).toMatchObject({ adopted: 0, lost: 0, rejected: 0 });
    }
  });

  test('one whose storage fails closes in its time, and the thread goes on for the others', async () => {
    const { steer, ...failing } = await steeredServer();
    const other = await trackedServer();
    await Promise.all([failing.usage.ready(), other.usage.ready()]);
    steer('refuses');
    await Promise.all([failing.getMany(5), other.getMany(5)]);
    await failing.usage.close({ timeout: 200 });
    expect(codes(failing.errors)).toContain('TIMEOUT');
    await other.getMany(5);
    await other.usage.flush();
    expect(other.usage.status()).toMatchObject({ writerRestarts: 0, storages: [{ committed: 10 }] });
  });

  test('one that hangs in the thread is ended with it, and the others go on in another', async () => {
    const { steer, ...hanging } = await steeredServer();
    const other = await trackedServer();
    await Promise.all([hanging.usage.ready(), other.usage.ready()]);
    steer('blocks');
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

  test('neither keep the process alive nor make Node warn of listeners', { timeout: 30_000 }, async () => {
    const script = join(import.meta.dirname, 'several-instances.ts');
    const child = fork(script, [temporaryDirectory()], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    const [stderr, exit] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
    expect(stderr).toBe('');
    expect(exit).toEqual([0, null]);
  });

  test('one whose options cannot be sent to the thread says so, and the others go on', async () => {
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
