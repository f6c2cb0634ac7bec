import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { TrackUsageError } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { eventually, startServer } from '../sinks/support.ts';

/** Smallest segments, of a few records each, so that stored records soon leave the journal. */
const SMALL = { maxBytes: 1024 * 1024 };
/** Suffix of a path that makes its record about 8 KiB long. */
const LONG = 'x'.repeat(8_000);

function files(path: string): string[] {
  return [path, `${path}-wal`, `${path}-shm`];
}

function removeDatabase(path: string): void {
  for (const file of files(path)) rmSync(file, { force: true });
}

/** Copies a database, as `sqlite3 usage.db ".backup …"` does. */
function copyDatabase(path: string, to: string): void {
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec(`VACUUM INTO '${to}'`);
  database.close();
}

/** Replaces a database that is in use. */
function replaceDatabase(copy: string, path: string): void {
  copyFileSync(copy, `${path}.new`);
  for (const file of files(path).slice(1)) rmSync(file, { force: true });
  renameSync(`${path}.new`, path);
}

/** Starts a tracked app with its own database. */
async function trackedFile(options: { maxBytes?: number } = {}) {
  let path = '';
  let hookCalls = 0;
  const count = () => {
    hookCalls += 1;
  };
  const app = await startServer(
    (directory) => {
      mkdirSync(join(directory, 'data'));
      path = join(directory, 'data', 'usage.db');
      return new SqliteStorage(path, { hooks: ['urls', count] });
    },
    { journal: options },
  );
  let requested = 0;
  return {
    ...app,
    path,
    /** Sends requests to distinct URLs. */
    async request(count: number, suffix = '') {
      for (let n = 0; n < count; n++) await app.request(`/${requested++}${suffix}`);
    },
    /** Expects each committed record to be stored once, and the remaining ones to be counted as lost. */
    async expectExact(lost: number, { missesHooks = false } = {}) {
      await app.usage.flush();
      const status = app.usage.status().storages[0]!;
      expect(status).toMatchObject({ ok: true, lost, committed: requested - lost, lag: { records: 0 } });
      const database = new DatabaseSync(path, { readOnly: true });
      const stored = database.prepare('SELECT url FROM usage_records').all();
      const sums = database.prepare('SELECT key, hits FROM usage_urls_daily').all();
      database.close();
      expect(new Set(stored.map(({ url }) => url)).size).toBe(requested - lost);
      expect(stored.length).toBe(requested - lost);
      expect(sums.map(({ key }) => key).sort()).toEqual(stored.map(({ url }) => url).sort());
      expect(sums.every(({ hits }) => hits === 1)).toBe(true);
      // The reader, which was open before, reads the new file.
      expect((await app.usage.getUsage({ limit: 0 })).length).toBe(requested - lost);
      // A batch that was committed to a removed log is found stored, so its hooks are not called: at most once.
      if (missesHooks) expect(hookCalls).toBeLessThanOrEqual(requested);
      else await eventually(() => expect(hookCalls).toBe(requested));
    },
    reports: () =>
      app.errors
        .map((error) => (error as TrackUsageError).code)
        .filter((code) => code === 'STORAGE_REPLACED'),
    reported: () => app.errors.map(({ message }) => /lost with it: (\d+)/.exec(message)?.[1] ?? message),
  };
}

test('a commit to a file that has been removed fails', async () => {
  const path = join(temporaryDirectory(), 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['urls'] });
  for (const removed of [[path], files(path).slice(1), files(path)]) {
    const journal = new TestJournal('a', storage.summaries);
    const writer = await openWriter(storage);
    const batch = journal.batch([{}]);
    expect(await writer.apply(batch)).toBe(true);
    expect(writer.isReplaced!()).toBe(false);
    for (const file of removed) rmSync(file);
    expect(writer.isReplaced!()).toBe(true);
    // After a successful commit, the records would be deleted from the journal.
    await expect(writer.apply(journal.batch([{}]))).rejects.toMatchObject({ code: 'STORAGE_REPLACED' });
    await writer.close();
    removeDatabase(path);
  }
});

describe('a database file, while the app runs,', () => {
  test('is removed: a new one receives the records of the journal', async () => {
    await using app = await trackedFile();
    await app.request(20);
    await app.expectExact(0);
    removeDatabase(app.path);
    await app.request(10);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('is removed: records no longer in the journal are counted and reported as lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(50, LONG);
    await app.expectExact(0);
    removeDatabase(app.path);
    await app.request(1);
    await app.usage.flush();
    const { lost } = app.usage.status().storages[0]!;
    expect(lost).toBeGreaterThan(20);
    expect(lost).toBeLessThanOrEqual(50);
    await app.expectExact(lost);
    expect(app.reported()).toEqual([String(lost)]);
  });

  test('loses all tables: they are created again, and receive the records of the journal', async () => {
    await using app = await trackedFile();
    await app.request(20);
    await app.expectExact(0);
    const database = new DatabaseSync(app.path);
    database.exec('PRAGMA foreign_keys = OFF');
    for (const { name } of database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()) {
      database.exec(`DROP TABLE ${name}`);
    }
    database.close();
    await app.request(10);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('is removed just before the app closes: the last flush goes to a new one', async () => {
    const app = await trackedFile();
    await app.request(20);
    await app.expectExact(0);
    removeDatabase(app.path);
    await app.usage.close();
    const database = new DatabaseSync(app.path, { readOnly: true });
    expect(database.prepare('SELECT count(*) AS n FROM usage_records').get()!.n).toBe(20);
    database.close();
    await app[Symbol.asyncDispose]();
  });

  test('is removed while the app is idle: it is detected without a request', async () => {
    await using app = await trackedFile();
    await app.request(5);
    await app.expectExact(0);
    removeDatabase(app.path);
    await eventually(() => expect(app.reported()).toEqual(['0']));
    await app.expectExact(0);
  });

  test('is renamed and recreated by another process with other IDs', async () => {
    await using app = await trackedFile();
    await app.request(10);
    await app.expectExact(0);
    for (const file of files(app.path))
      if (existsSync(file)) renameSync(file, file.replace('usage.db', 'old.db'));
    // Another site comes first, so that the IDs of sites, texts and summaries differ.
    const other = new SqliteStorage(app.path, { hooks: ['status', 'urls'] });
    const writer = await openWriter(other, { site: 'other' });
    const journal = new TestJournal('b', other.summaries);
    await writer.apply(journal.batch(Array.from({ length: 30 }, (_, n) => ({ url: `http://other/${n}` }))));
    await writer.close();
    await app.request(10);
    await app.usage.flush();
    const database = new DatabaseSync(app.path, { readOnly: true });
    const urls = (site: string) =>
      database
        .prepare('SELECT url FROM usage_records WHERE site = ?')
        .all(site)
        .map(({ url }) => String(url));
    const keys = (site: string) =>
      database
        .prepare('SELECT key FROM usage_urls_daily WHERE site = ?')
        .all(site)
        .map(({ key }) => String(key));
    for (const [site, count] of [
      ['default', 20],
      ['other', 30],
    ] as const) {
      expect(urls(site).length).toBe(count);
      expect(urls(site).every((url) => url.includes('other') === (site === 'other'))).toBe(true);
      expect(keys(site).sort()).toEqual(urls(site).sort());
    }
    database.close();
    expect(app.reported()).toEqual(['0']);
  });

  test('is restored from a backup: the records of the journal are stored again, others are lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(30, LONG);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.backup`);
    await app.request(40, LONG);
    await app.expectExact(0);
    replaceDatabase(`${app.path}.backup`, app.path);
    await app.request(5);
    await app.usage.flush();
    const { lost } = app.usage.status().storages[0]!;
    expect(lost).toBeGreaterThan(10);
    expect(lost).toBeLessThanOrEqual(40);
    await app.expectExact(lost);
    expect(app.reported()).toEqual([String(lost)]);
  });

  test('is restored in createLocation: no cached ID of the previous state is used', async () => {
    await using app = await trackedFile();
    await app.request(10);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.backup`);
    await app.request(10);
    await app.expectExact(0);
    // For the app, this looks like `.restore`: another connection writes the older state.
    const database = new DatabaseSync(app.path, { enableForeignKeyConstraints: false });
    database.exec(`ATTACH '${app.path}.backup' AS old; BEGIN IMMEDIATE`);
    for (const table of ['strings', 'endpoints', 'records', 'hourly', 'daily', 'monthly', 'journals']) {
      database.exec(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table}`);
    }
    database.exec("INSERT INTO strings (text) VALUES ('somebody else'); COMMIT");
    database.close();
    await app.request(10);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('is replaced by an equal copy with another inode: nothing is lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(50, LONG);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.copy`);
    replaceDatabase(`${app.path}.copy`, app.path);
    await app.request(5);
    await app.expectExact(0, { missesHooks: true });
    expect(app.reported()).toEqual(['0']);
  });

  test('loses only its write-ahead log: no record of the log is lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(50, LONG);
    await app.expectExact(0);
    for (const file of files(app.path).slice(1)) rmSync(file);
    await app.request(5);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('loses its write-ahead log repeatedly under load: nothing is lost or reported as lost', async () => {
    await using app = await trackedFile();
    // Enough rounds that some batches are committed to a removed log, and saved when the database is closed.
    for (let round = 0; round < 4; round++) {
      await app.request(10);
      for (const file of files(app.path).slice(1)) rmSync(file, { force: true });
      await app.request(10);
      await eventually(() => expect(app.usage.status().storages[0]!.lag.records).toBe(0));
    }
    await app.usage.flush();
    expect(app.usage.status().storages[0]).toMatchObject({ ok: true, committed: 80, lost: 0 });
    const urls = (await app.usage.getUsage({ limit: 0 })).map(({ url }) => url);
    expect([urls.length, new Set(urls).size]).toEqual([80, 80]);
    expect(new Set(app.reported())).toEqual(new Set(['0']));
  });

  test('is removed with its directory: records wait until the directory exists', async () => {
    await using app = await trackedFile();
    await app.request(10);
    await app.expectExact(0);
    rmSync(dirname(app.path), { recursive: true });
    await app.request(10);
    await eventually(() =>
      expect(app.usage.status().storages[0]).toMatchObject({
        ok: false,
        error: {
          message: expect.stringContaining(`the directory ${dirname(app.path)} does not exist`),
        },
      }),
    );
    await expect(app.usage.flush({ timeout: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    mkdirSync(dirname(app.path));
    await app.expectExact(0);
    expect(app.reports()).toEqual(['STORAGE_REPLACED']);
  });

  test('is removed repeatedly under load of two apps: nothing is lost', async () => {
    await using one = await trackedFile();
    const second = new SqliteStorage(one.path, { hooks: ['urls'] });
    await using two = await startServer(second, { site: 'second' });
    let requests = 0;
    for (let round = 0; round < 4; round++) {
      const sent = Array.from({ length: 50 }, () => two.request(`/${requests++}`));
      await Promise.all([one.request(50), ...sent]);
      removeDatabase(one.path);
    }
    await Promise.all([one.usage.flush(), two.usage.flush()]);
    await eventually(() => expect(existsSync(one.path)).toBe(true));
    // When an app closes the removed file, SQLite also removes the log of the new file. Its records are stored again
    // within a second.
    await eventually(async () => {
      await Promise.all([one.usage.flush(), two.usage.flush()]);
      const status = two.usage.status().storages[0]!;
      const stored = await two.usage.getUsage({ limit: 0 });
      expect(status).toMatchObject({ committed: requests, lost: 0 });
      expect(stored.length).toBe(requests);
      const database = new DatabaseSync(one.path, { readOnly: true });
      const { n } = database.prepare("SELECT count(*) AS n FROM usage_records WHERE site = 'default'").get()!;
      database.close();
      expect(n).toBe(200);
    });
    expect(readdirSync(dirname(one.path)).filter((name) => name.endsWith('.db'))).toEqual(['usage.db']);
  });
});
