import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test, vi } from 'vitest';
import { wallClock } from '../../src/platform/clock.ts';
import { Storage } from '../../src/query/storage.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { codes, serverHits, trackedServer } from './support.ts';

describe('whatever the storage does, requests are answered and nothing is lost', () => {
  test('the database is locked for 30 s', { timeout: 120_000 }, async () => {
    const { usage, database, getMany, errors } = await trackedServer();
    await usage.ready();
    await getMany(10);
    await usage.flush();
    const rival = new DatabaseSync(database);
    rival.exec('BEGIN EXCLUSIVE');
    const until = performance.now() + 30_000;
    let asked = 10;
    let slowest = 0;
    while (performance.now() < until) {
      const began = performance.now();
      expect(new Set(await getMany(20))).toEqual(new Set(['200 hello']));
      slowest = Math.max(slowest, performance.now() - began);
      asked += 20;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(slowest).toBeLessThan(1_000);
    const [storage] = usage.status().storages;
    expect(storage).toMatchObject({ ok: false, committed: 10, lag: { records: asked - 10 } });
    expect(storage!.lag.seconds).toBeGreaterThan(25);
    expect(storage!.lag.seconds).toBeLessThan(40);
    expect(storage!.error?.message).toMatch(/locked/);
    expect(codes(errors)).toEqual(['STORAGE_FAILED']);
    rival.exec('ROLLBACK');
    rival.close();
    await usage.flush();
    expect(await serverHits(usage)).toBe(asked);
    expect(usage.status().storages[0]).toMatchObject({
      ok: true,
      committed: asked,
      lag: { records: 0, seconds: 0 },
    });
  });

  test('the directory of the database does not exist and is created later', async () => {
    const directory = temporaryDirectory();
    const database = join(directory, 'later', 'usage.db');
    const { usage, getMany } = await trackedServer({ directory, database });
    await expect(usage.ready()).rejects.toThrow(/unable to open database/);
    expect(await getMany(5)).toEqual(Array(5).fill('200 hello'));
    expect(await usage.getUsage()).toEqual([]);
    expect(usage.status().storages[0]).toMatchObject({ ok: false, committed: 0, lag: { records: 5 } });
    mkdirSync(join(directory, 'later'));
    await usage.flush();
    expect(await serverHits(usage)).toBe(5);
    await usage.ready();
  });

  test('the file is not a database, or belongs to another program', async () => {
    const directory = temporaryDirectory();
    const text = join(directory, 'text.db');
    writeFileSync(text, 'This is not a database. '.repeat(100));
    const foreign = join(directory, 'foreign.db');
    new DatabaseSync(foreign).exec('CREATE TABLE precious (id); INSERT INTO precious VALUES (1)');
    for (const database of [text, foreign]) {
      const { usage, getMany } = await trackedServer({ database });
      await expect(usage.ready()).rejects.toThrow(/not a (track-usage )?database/);
      expect(await getMany(3)).toEqual(Array(3).fill('200 hello'));
    }
    expect(readFileSync(text, 'utf8')).toMatch(/^This is not a database/);
    expect(new DatabaseSync(foreign).prepare('SELECT name FROM sqlite_master').all()).toHaveLength(1);
  });

  test('the site is stored in another time zone, or by a newer release', async () => {
    const directory = temporaryDirectory();
    const first = await trackedServer({ directory, timeZone: 'Europe/Berlin' });
    await first.usage.ready();
    await first.usage.close();
    const second = await trackedServer({ directory, timeZone: 'Asia/Kathmandu' });
    await expect(second.usage.ready()).rejects.toMatchObject({ code: 'STORAGE_TIME_ZONE' });
    expect(await second.getMany(3)).toEqual(Array(3).fill('200 hello'));
    await second.usage.close({ timeout: 200 });
    const database = new DatabaseSync(first.database);
    database.exec('PRAGMA user_version = 99');
    database.close();
    const third = await trackedServer({ directory, timeZone: 'Europe/Berlin' });
    await expect(third.usage.ready()).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
  });

  test('the engine rejects records: they are set aside with the reason, the others are stored', async () => {
    const directory = temporaryDirectory();
    const database = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server', 'urls'] });
    const picky = new Storage({
      label: 'picky',
      identity: database.identity,
      module: new URL('./rejecting-storage.ts', import.meta.url).href,
      options: database.threadOptions(),
      hooks: ['server', 'urls'],
    });
    const { usage, get } = await trackedServer({ directory, storages: [picky] });
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => get(i % 10 === 3 ? `/poison/${i}` : `/good/${i}`)),
    );
    await usage.flush();
    expect(await serverHits(usage)).toBe(45);
    expect((await usage.getUsage({ limit: 0 })).length).toBe(45);
    expect(usage.status().storages[0]).toMatchObject({
      ok: true,
      committed: 45,
      rejected: 5,
      lag: { records: 0 },
    });
    const [identity] = readdirSync(join(directory, 'journals'));
    const lines = readFileSync(join(directory, 'journals', identity!, 'rejected.ndjson'), 'utf8')
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line).record.path).sort()).toEqual(
      [3, 13, 23, 33, 43].map((i) => `/poison/${i}`).sort(),
    );
  });

  test('two storages: one is down, the other stays current, and the first catches up', async () => {
    const directory = temporaryDirectory();
    const up = new SqliteStorage(join(directory, 'up.db'), { hooks: ['server'] });
    const down = new SqliteStorage(join(directory, 'down', 'usage.db'), { hooks: ['urls'] });
    const { usage, getMany } = await trackedServer({ directory, storages: [up, down] });
    await getMany(20);
    await vi.waitFor(
      () => expect(usage.status().storages[0]).toMatchObject({ ok: true, committed: 20 }),
      10_000,
    );
    expect(usage.status().storages[1]).toMatchObject({ ok: false, committed: 0, lag: { records: 20 } });
    await expect(usage.flush({ timeout: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    mkdirSync(join(directory, 'down'));
    await usage.flush();
    expect(await down.getSum('urls', { period: 'day' })).toMatchObject([{ hits: 20 }]);
  });

  test('records that a process could not store are stored once by the next process', async () => {
    const directory = temporaryDirectory();
    const database = join(directory, 'later', 'usage.db');
    const first = await trackedServer({ directory, database });
    await first.getMany(7);
    await first.usage.close({ timeout: 100 });
    expect(codes(first.errors)).toContain('TIMEOUT');
    mkdirSync(join(directory, 'later'));
    const second = await trackedServer({ directory, database });
    await second.getMany(2);
    await vi.waitFor(() => expect(second.usage.status().storages[0]!.adopted).toBe(7), 10_000);
    await second.usage.flush();
    expect(await serverHits(second.usage)).toBe(9);
  });
});

describe('whatever the journal’s disk does, requests are answered and status() reports it', () => {
  test('the directory cannot be written: records reach the storage through memory', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), '');
    const { usage, getMany, errors } = await trackedServer({
      directory,
      journal: { dir: join(directory, 'file', 'journals') },
    });
    expect(await getMany(50)).toEqual(Array(50).fill('200 hello'));
    await usage.flush();
    expect(await serverHits(usage)).toBe(50);
    expect(usage.status()).toMatchObject({ captured: 50, journaled: 50, journal: { state: 'memory' } });
    expect(codes(errors)).toEqual(['JOURNAL_UNWRITABLE']);
  });

  test('the directory is deleted while the app runs', async () => {
    const { usage, directory, getMany } = await trackedServer();
    await getMany(5);
    await usage.flush();
    renameSync(join(directory, 'journals'), join(directory, 'gone'));
    chmodSync(join(directory, 'gone'), 0o700);
    expect(await getMany(5)).toEqual(Array(5).fill('200 hello'));
    await vi.waitFor(() => expect(usage.status().storages[0]!.lost).toBe(5), 15_000);
    await getMany(5);
    await usage.flush();
    expect(await serverHits(usage)).toBe(10);
    expect(usage.status()).toMatchObject({
      captured: 15,
      storages: [{ committed: 10, lost: 5, lag: { records: 0 } }],
    });
  });

  test('the disk is full: a small file system', { timeout: 60_000 }, async () => {
    const script = join(import.meta.dirname, 'full-disk.ts');
    const disk = temporaryDirectory();
    const asRoot = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
    const child = spawn(
      'unshare',
      [
        ...asRoot,
        'sh',
        '-c',
        `mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"`,
        disk,
        process.execPath,
        script,
        disk,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
    const { asked, answered, whileFull, after, hits } = JSON.parse(output);
    expect(answered).toBe(asked);
    expect(whileFull).toMatchObject({ journal: { state: 'memory' }, captured: asked - 100 });
    expect(after.storages[0]).toMatchObject({ ok: true, lag: { records: 0 } });
    expect(after.captured).toBe(asked);
    expect(hits).toBe(asked - after.dropped.journal);
  });
});

test('a clock that jumps back: every request is counted, under the time of the clock', async () => {
  const { usage, getMany } = await trackedServer();
  const { now } = wallClock;
  await getMany(3);
  vi.spyOn(wallClock, 'now').mockImplementation(() => now() - 3 * 86_400_000);
  try {
    await getMany(4);
  } finally {
    vi.restoreAllMocks();
  }
  await getMany(2);
  await usage.flush();
  const days = await usage.getSum('server', { period: 'day' });
  expect(days.map(({ hits }) => hits)).toEqual([5, 4]);
  expect((await usage.getUsage({ limit: 0 })).every(({ duration }) => duration >= 0 && duration < 60e6)).toBe(
    true,
  );
});

test('the writer’s thread dies: it is restarted, and nothing is lost', async () => {
  const directory = temporaryDirectory();
  const database = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] });
  const fragile = new Storage({
    label: 'fragile',
    identity: database.identity,
    module: new URL('./fragile-storage.ts', import.meta.url).href,
    options: { ...(database.threadOptions() as object), marker: join(directory, 'died') },
    hooks: ['server'],
  });
  const { usage, errors, getMany } = await trackedServer({ directory, storages: [fragile] });
  expect(await getMany(30)).toEqual(Array(30).fill('200 hello'));
  await usage.flush();
  expect(usage.status()).toMatchObject({ writerRestarts: 1, storages: [{ committed: 30 }] });
  expect(codes(errors)).toEqual(['WRITER_STOPPED']);
  expect(await serverHits(usage)).toBe(30);
});
