import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { backup } from '../../src/storages/sqlite/backup.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter, put, rows } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';

function openStorage(path: string) {
  const storage = new SqliteStorage(path, { hooks: ['urls'] });
  onTestFinished(() => storage.close());
  return storage;
}

async function openFilled(count = 3) {
  const directory = temporaryDirectory();
  const path = join(directory, 'usage.db');
  const storage = openStorage(path);
  const writer = await openWriter(storage);
  onTestFinished(() => writer.close());
  const journal = new TestJournal('a', storage.summaries);
  const add = () =>
    put(writer, journal.batch(Array.from({ length: count }, (_, n) => ({ url: `/${n}`, date: NOON + n }))));
  await add();
  return { directory, path, storage, writer, journal, add };
}

describe('a backup', () => {
  test('has the data of an open database, and can be written to', async () => {
    const { directory, path, storage, journal, add } = await openFilled();
    const to = join(directory, 'copy.db');
    const made = await backup(path, to);
    expect(made).toEqual({ path: to, bytes: statSync(to).size });
    await add();
    const copy = openStorage(to);
    expect(await copy.getUsage()).toHaveLength(3);
    expect(await rows(copy, 'urls', 'month')).toEqual([
      ['/0', 1, 5, 0, 1_500],
      ['/1', 1, 5, 0, 1_500],
      ['/2', 1, 5, 0, 1_500],
    ]);
    const writer = await openWriter(copy);
    onTestFinished(() => writer.close());
    expect(await writer.position(journal.id)).toMatchObject({ ordinal: 3 });
    expect(await storage.getUsage()).toHaveLength(6);
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const database = new DatabaseSync(to);
    onTestFinished(() => database.close());
    expect({ ...database.prepare('PRAGMA auto_vacuum').get() }).toEqual({ auto_vacuum: 2 });
  });

  test('contains whole batches while another thread writes', async () => {
    const { directory, path } = await openFilled();
    // A batch here is one row in each of two tables.
    const worker = new Worker(
      `const { DatabaseSync } = require('node:sqlite');
       const { parentPort, workerData } = require('node:worker_threads');
       const database = new DatabaseSync(workerData);
       database.exec('PRAGMA busy_timeout = 60000; CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER, filler TEXT)');
       let isDone = false;
       parentPort.once('message', () => { isDone = true; parentPort.close(); });
       parentPort.postMessage('started');
       (function write() {
         if (isDone) return database.close();
         database.exec("BEGIN IMMEDIATE; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, hex(randomblob(500))); COMMIT");
         setImmediate(write);
       })();`,
      { eval: true, workerData: path },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    try {
      for (let n = 0; n < 3; n++) {
        const { path: file } = await backup(path, join(directory, `copy-${n}.db`));
        const copy = new DatabaseSync(file);
        const { a, b } = copy
          .prepare('SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b')
          .get() as { a: number; b: number };
        expect(a).toBe(b);
        expect(copy.prepare('PRAGMA integrity_check').all()).toHaveLength(1);
        copy.close();
      }
    } finally {
      worker.postMessage('stop');
      await ended;
    }
  });

  test('never replaces a file, nor follows a link', async () => {
    const { directory, path } = await openFilled();
    const taken = join(directory, 'taken.db');
    writeFileSync(taken, 'mine');
    const dangling = join(directory, 'dangling.db');
    symlinkSync(join(directory, 'nowhere'), dangling);
    for (const to of [taken, dangling, path, directory]) {
      await expect(backup(path, to)).rejects.toThrow(/^cannot write .*: it exists already; /);
    }
    expect(readFileSync(taken, 'utf8')).toBe('mine');
    expect(existsSync(join(directory, 'nowhere'))).toBe(false);
  });

  test('of two at the same time, one gets the name', async () => {
    const { directory, path } = await openFilled();
    const to = join(directory, 'copy.db');
    const made = await Promise.allSettled([backup(path, to), backup(path, to)]);
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.skipIf(process.platform === 'win32')('has the permissions of the database', async () => {
    const { directory, path } = await openFilled();
    chmodSync(path, 0o600);
    const { path: file } = await backup(path, join(directory, 'copy.db'));
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('leaves nothing behind if the database or the directory is missing or foreign', async () => {
    const directory = temporaryDirectory();
    const to = join(directory, 'copy.db');
    const path = join(directory, 'usage.db');
    await expect(backup(path, to)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    const foreign = new DatabaseSync(path);
    foreign.exec('CREATE TABLE t (x)');
    foreign.close();
    await expect(backup(path, to)).rejects.toMatchObject({ code: 'STORAGE_FOREIGN' });
    const { path: own } = await openFilled();
    await expect(backup(own, join(directory, 'missing', 'copy.db'))).rejects.toThrow(
      /^cannot write .*copy\.db: no such file or directory \(ENOENT\); /,
    );
    expect(readdirSync(directory)).toEqual(['usage.db']);
  });
});
