import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { TrackUsageError } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { eventually, tracked } from '../sinks/support.ts';

/** The smallest segments: a few records each, so that what is stored soon leaves the journal. */
const SMALL = { maxBytes: 1024 * 1024 };
/** Makes a request's record about 8 KiB long. */
const LONG = 'x'.repeat(8_000);

function files(path: string): string[] {
  return [path, `${path}-wal`, `${path}-shm`];
}

function removeDatabase(path: string): void {
  for (const file of files(path)) rmSync(file, { force: true });
}

/** A copy as `sqlite3 usage.db ".backup …"` makes it. */
function copyDatabase(path: string, to: string): void {
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec(`VACUUM INTO '${to}'`);
  database.close();
}

/** Puts another database where one is in use. */
function putInPlace(copy: string, path: string): void {
  copyFileSync(copy, `${path}.new`);
  for (const file of files(path).slice(1)) rmSync(file, { force: true });
  renameSync(`${path}.new`, path);
}

/** A tracked app with a database of its own. */
async function trackedFile(options: { maxBytes?: number } = {}) {
  let path = '';
  let hooked = 0;
  const count = () => {
    hooked += 1;
  };
  const app = await tracked(
    (directory) => {
      mkdirSync(join(directory, 'data'));
      path = join(directory, 'data', 'usage.db');
      return new SqliteStorage(path, { hooks: ['urls', count] });
    },
    { journal: options },
  );
  let asked = 0;
  return {
    ...app,
    path,
    /** Makes requests, each of another URL. */
    async request(count: number, suffix = '') {
      for (let n = 0; n < count; n++) await app.ask(`/${asked++}${suffix}`);
    },
    /** Checks that what the status says is in the database, once each, and that the rest is counted as lost. */
    async expectExact(lost: number) {
      await app.usage.flush();
      const status = app.usage.status().storages[0]!;
      expect(status).toMatchObject({ ok: true, lost, committed: asked - lost, lag: { records: 0 } });
      const database = new DatabaseSync(path, { readOnly: true });
      const stored = database.prepare('SELECT url FROM usage_records').all();
      const sums = database.prepare('SELECT key, hits FROM usage_urls_daily').all();
      database.close();
      expect(new Set(stored.map(({ url }) => url)).size).toBe(asked - lost);
      expect(stored.length).toBe(asked - lost);
      expect(sums.map(({ key }) => key).sort()).toEqual(stored.map(({ url }) => url).sort());
      expect(sums.every(({ hits }) => hits === 1)).toBe(true);
      // The reading end, which was open before, has followed.
      expect((await app.usage.getUsage({ limit: 0 })).length).toBe(asked - lost);
      await eventually(() => expect(hooked).toBe(asked));
    },
    reports: () =>
      app.errors
        .map((error) => (error as TrackUsageError).code)
        .filter((code) => code === 'STORAGE_REPLACED'),
    reported: () => app.errors.map(({ message }) => /lost with it: (\d+)/.exec(message)?.[1] ?? message),
  };
}

test('a commit into a file that is at no path any more is none', async () => {
  const path = join(temporaryDirectory(), 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['urls'] });
  for (const gone of [[path], files(path).slice(1), files(path)]) {
    const journal = new TestJournal('a', storage.summaries);
    const writer = await openWriter(storage);
    const batch = journal.batch([{}]);
    expect(await writer.apply(batch)).toBe(true);
    expect(writer.isReplaced!()).toBe(false);
    for (const file of gone) rmSync(file);
    expect(writer.isReplaced!()).toBe(true);
    // Whoever believed it would delete the records from the journal.
    await expect(writer.apply(journal.batch([{}]))).rejects.toMatchObject({ code: 'STORAGE_REPLACED' });
    await writer.close();
    removeDatabase(path);
  }
});

describe('a database whose file goes away while the app runs', () => {
  test('is removed: what the journal holds is stored in a new one', async () => {
    await using app = await trackedFile();
    await app.request(20);
    await app.expectExact(0);
    removeDatabase(app.path);
    await app.request(10);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('is removed: what had left the journal is gone, counted and told of', async () => {
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

  test('loses all its tables: they are created again, and what the journal holds is stored', async () => {
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

  test('is removed just before the app closes: the last flush is into the new one', async () => {
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

  test('is removed while the app is idle: it is noticed without a request', async () => {
    await using app = await trackedFile();
    await app.request(5);
    await app.expectExact(0);
    removeDatabase(app.path);
    await eventually(() => expect(app.reported()).toEqual(['0']));
    await app.expectExact(0);
  });

  test('is renamed, and another process has made one with other ids', async () => {
    await using app = await trackedFile();
    await app.request(10);
    await app.expectExact(0);
    for (const file of files(app.path))
      if (existsSync(file)) renameSync(file, file.replace('usage.db', 'old.db'));
    // Another site comes first, so that the ids of sites, texts and summaries are others.
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

  test('is restored from a backup: what the journal holds is stored once more, the rest is lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(30, LONG);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.backup`);
    await app.request(40, LONG);
    await app.expectExact(0);
    putInPlace(`${app.path}.backup`, app.path);
    await app.request(5);
    await app.usage.flush();
    const { lost } = app.usage.status().storages[0]!;
    expect(lost).toBeGreaterThan(10);
    expect(lost).toBeLessThanOrEqual(40);
    await app.expectExact(lost);
    expect(app.reported()).toEqual([String(lost)]);
  });

  test('is restored into the same file: no id of the other state is used', async () => {
    await using app = await trackedFile();
    await app.request(10);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.backup`);
    await app.request(10);
    await app.expectExact(0);
    // What `.restore` does, as far as the app can see: another connection writes the older state.
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

  test('is exchanged for an equal copy on another inode: nothing is lost', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(50, LONG);
    await app.expectExact(0);
    copyDatabase(app.path, `${app.path}.copy`);
    putInPlace(`${app.path}.copy`, app.path);
    await app.request(5);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('loses its write-ahead log only: what was in there is saved', async () => {
    await using app = await trackedFile(SMALL);
    await app.request(50, LONG);
    await app.expectExact(0);
    for (const file of files(app.path).slice(1)) rmSync(file);
    await app.request(5);
    await app.expectExact(0);
    expect(app.reported()).toEqual(['0']);
  });

  test('loses its write-ahead log again and again under load: nothing is lost, and no loss is reported', async () => {
    await using app = await trackedFile();
    // Often enough that some batches are committed to a log that is gone, and saved when the database is closed.
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

  test('goes with its directory: the records wait until there is one', async () => {
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

  test('is removed under load again and again, with two apps at it', async () => {
    await using one = await trackedFile();
    const second = new SqliteStorage(one.path, { hooks: ['urls'] });
    await using two = await tracked(second, { site: 'second' });
    let requests = 0;
    for (let round = 0; round < 4; round++) {
      const asked = Array.from({ length: 50 }, () => two.ask(`/${requests++}`));
      await Promise.all([one.request(50), ...asked]);
      removeDatabase(one.path);
    }
    await Promise.all([one.usage.flush(), two.usage.flush()]);
    await eventually(() => expect(existsSync(one.path)).toBe(true));
    // When an app closes the file that was removed, SQLite removes the log beside the new one too. What was in there is
    // stored again within a second.
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
