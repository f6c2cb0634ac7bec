import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { WriterContext } from '../../src/storage/contract.ts';
import { isReplaced } from '../../src/storage/replaced.ts';
import { SqliteWriter } from '../../src/storages/sqlite/writer.ts';
import { summariesOf } from '../../src/summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { temporaryDirectory } from '../journal/support.ts';

const URLS = summariesOf(['urls']);
const CONTEXT: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };

function newPath(): string {
  return join(temporaryDirectory(), 'usage.db');
}

function open(path = newPath(), context: Partial<WriterContext> = {}) {
  const writer = new SqliteWriter({ path }, { ...CONTEXT, ...context });
  onTestFinished(() => writer.close());
  /** Queries the file through another connection. */
  const rows = (sql: string) => {
    const database = new DatabaseSync(path);
    const found = database.prepare(sql).all();
    database.close();
    return found.map((row) => ({ ...row }));
  };
  const run = (sql: string) => {
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
    database.exec(sql);
    database.close();
  };
  return { path, writer, rows, run };
}

const count = (at: ReturnType<typeof open>, table: string) =>
  at.rows(`SELECT count(*) AS n FROM ${table}`)[0]!.n;

/** Watches the SQL that is executed, and can fail it. */
function onExec(act: (sql: string) => void) {
  const { exec } = DatabaseSync.prototype;
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
    act(sql);
    exec.call(this, sql);
  });
  onTestFinished(() => spy.mockRestore());
  return spy;
}

const sqliteError = (errcode: number, message = 'failed') => Object.assign(new Error(message), { errcode });

describe('a batch', () => {
  test('moves the position of its journal, and is stored only from there', async () => {
    const at = open();
    const { writer } = at;
    const journal = new TestJournal('a', URLS);
    expect(await writer.position(journal.id)).toBe(undefined);
    const [first, second] = [journal.batch([{ url: '/1' }]), journal.batch([{ url: '/2' }, { url: '/3' }])];
    expect(await writer.apply(second)).toBe(false);
    expect(await writer.apply(first)).toBe(true);
    expect(await writer.apply(first)).toBe(false);
    expect(await writer.position(journal.id)).toEqual(first.to);
    // The refused batch has left no open transaction.
    at.run('BEGIN IMMEDIATE; COMMIT');
    expect(await writer.apply(second)).toBe(true);
    expect(await writer.position(journal.id)).toEqual(second.to);
    expect(await writer.position('other')).toBe(undefined);
    expect(at.rows('SELECT url FROM usage_records ORDER BY url')).toEqual([
      { url: '/1' },
      { url: '/2' },
      { url: '/3' },
    ]);
    await writer.forget(journal.id);
    expect(await writer.position(journal.id)).toBe(undefined);
  });

  test('is stored with all fields of its records', async () => {
    const at = open();
    const full: TestRecord = {
      date: NOON,
      duration: 7,
      contentLength: 8,
      status: 404,
      serverName: 'web',
      method: 'PUT',
      url: '/full',
      route: '/:full',
      protocol: 'HTTP/2.0',
      remoteAddr: '10.0.0.1',
      forwardedFor: '10.0.0.2',
      agent: 'agent',
      browser: 'Firefox',
      version: '9',
      platform: 'Linux',
      language: 'de',
      referrer: 'http://from',
      username: 'me',
      visitor: 'v',
      country: 'DE',
      blueprint: 'shop',
      authorization: true,
      bot: true,
      extra: { vars: { a: 1 } },
    };
    const bare = { date: NOON + 1, serverName: null, method: null, protocol: null, url: '/bare' };
    await at.writer.apply(new TestJournal('a', []).batch([full, bare]));
    const fields = `date, site, server_name, method, url, route, protocol, status, content_length, duration, remote_addr,
      forwarded_for, user_agent, browser, version, platform, language, referrer, username, "authorization", visitor,
      country, bot, blueprint, extra`;
    const [first, second] = at.rows(`SELECT ${fields} FROM usage_records ORDER BY id`);
    expect(first).toEqual({
      date: '2026-11-24T12:34:56.789Z',
      site: 'default',
      server_name: 'web',
      method: 'PUT',
      url: '/full',
      route: '/:full',
      protocol: 'HTTP/2.0',
      status: 404,
      content_length: 8,
      duration: 7,
      remote_addr: '10.0.0.1',
      forwarded_for: '10.0.0.2',
      user_agent: 'agent',
      browser: 'Firefox',
      version: '9',
      platform: 'Linux',
      language: 'de',
      referrer: 'http://from',
      username: 'me',
      authorization: 1,
      visitor: 'v',
      country: 'DE',
      bot: 1,
      blueprint: 'shop',
      extra: '{"vars":{"a":1}}',
    });
    const values = {
      url: '/bare',
      status: 200,
      content_length: 5,
      duration: 1_500,
      authorization: 0,
      bot: 0,
    };
    const empty = Object.fromEntries(Object.keys(first!).map((name) => [name, null]));
    expect(second).toEqual({ ...empty, site: 'default', date: '2026-11-24T12:34:56.790Z', ...values });
  });

  test('has each text, endpoint and agent stored once', async () => {
    const at = open();
    const journal = new TestJournal('a', []);
    const long = `/${'x'.repeat(300)}`;
    const record = { url: long, agent: 'agent', browser: 'b', version: '1', platform: 'p', route: '/:x' };
    for (let i = 0; i < 2; i++) await at.writer.apply(journal.batch([record, record]));
    expect(['endpoints', 'agents'].map((table) => count(at, table))).toEqual([1, 1]);
    expect(at.rows(`SELECT count(*) AS n FROM strings WHERE text = '${long}'`)).toEqual([{ n: 1 }]);
    // Each field makes another endpoint or agent.
    const others = [
      { serverName: 'other' },
      { method: 'PUT' },
      { protocol: 'other' },
      { route: 'other' },
      { blueprint: 'other' },
      { authorization: true },
    ];
    await at.writer.apply(journal.batch(others.map((other) => ({ ...record, ...other }))));
    expect(['endpoints', 'agents'].map((table) => count(at, table))).toEqual([1 + others.length, 1]);
    const agents = [{ browser: 'c' }, { version: '2' }, { platform: null }, { bot: true }, { agent: 'd' }];
    await at.writer.apply(journal.batch(agents.map((other) => ({ ...record, ...other }))));
    expect(['endpoints', 'agents'].map((table) => count(at, table))).toEqual([
      1 + others.length,
      1 + agents.length,
    ]);
  });

  test('finds the texts that another process has added', async () => {
    const at = open();
    const other = open(at.path, { site: 'other' });
    await other.writer.apply(new TestJournal('b', [], 'UTC', 'other').batch([{ url: '/same' }]));
    await at.writer.apply(new TestJournal('a', []).batch([{ url: '/same' }, { url: '/new' }]));
    expect(at.rows("SELECT url FROM usage_records WHERE site = 'default' ORDER BY url")).toEqual([
      { url: '/new' },
      { url: '/same' },
    ]);
  });

  test('has IDs in the order of date, journal and ordinal, and skips those that are taken', async () => {
    const at = open();
    const low = (journal: string) =>
      at.rows(`SELECT id & ${2 ** 20 - 1} AS low, id >> 20 AS ms, url FROM usage_records
        WHERE url LIKE '/${journal}%' ORDER BY url`);
    const first = new TestJournal('00010', []);
    await at.writer.apply(first.batch([{ url: '/a0' }]));
    await at.writer.apply(first.batch([{ url: '/a1', date: NOON + 0.9 }]));
    expect(low('a')).toEqual([
      { low: 16, ms: NOON, url: '/a0' },
      { low: 17, ms: NOON, url: '/a1' },
    ]);
    // Another journal that begins with the same digits, and one whose name is no number.
    await at.writer.apply(new TestJournal('00010f', []).batch([{ url: '/b0' }, { url: '/b1' }]));
    await at.writer.apply(new TestJournal('x', []).batch([{ url: '/x0' }]));
    expect([...low('b'), ...low('x')].map((row) => row.low)).toEqual([18, 19, 0]);
    // The last number is followed by the first.
    await at.writer.apply(
      new TestJournal('fffff', []).batch([{ url: '/z0' }, { url: '/z1' }, { url: '/z2' }]),
    );
    expect(low('z').map((row) => row.low)).toEqual([2 ** 20 - 1, 1, 2]);
  });

  test('adds to the sums of each period', async () => {
    const at = open();
    const journal = new TestJournal('a', URLS);
    const record = { url: '/1', contentLength: 10, duration: 3 };
    await at.writer.apply(journal.batch([record, { ...record, url: '/2', status: 500 }]));
    await at.writer.apply(journal.batch([record, { ...record, date: NOON + 86_400_000 }]));
    const sums = (period: string) =>
      at.rows(
        `SELECT date, key, hits, transfer, errors, duration FROM usage_urls_${period} ORDER BY date, key`,
      );
    const one = { key: '/1', hits: 2, transfer: 20, errors: 0, duration: 6 };
    const two = { key: '/2', hits: 1, transfer: 10, errors: 1, duration: 3 };
    const next = { key: '/1', hits: 1, transfer: 10, errors: 0, duration: 3 };
    expect(sums('daily').map(({ date, ...row }) => [String(date).slice(0, 10), row])).toEqual([
      ['2026-11-24', one],
      ['2026-11-24', two],
      ['2026-11-25', next],
    ]);
    expect(sums('hourly')).toHaveLength(3);
    expect(sums('monthly').map(({ date, ...row }) => row)).toEqual([
      { ...one, hits: 3, transfer: 30, duration: 9 },
      two,
    ]);
  });

  test('creates the views of a summary that the app defines', async () => {
    const at = open();
    const own = { name: 'own-sum', column: 'url' as const };
    await at.writer.apply(new TestJournal('a', [{ ...URLS[0]!, ...own }]).batch([{ url: '/1' }]));
    expect(at.rows('SELECT key, hits FROM usage_own_sum_daily')).toEqual([{ key: '/1', hits: 1 }]);
  });

  test('of several sites has records and sums of its own site', async () => {
    const at = open();
    const other = open(at.path, { site: 'other' });
    await at.writer.apply(new TestJournal('a', URLS).batch([{ url: '/1' }]));
    await other.writer.apply(new TestJournal('b', URLS, 'UTC', 'other').batch([{ url: '/1' }]));
    const bySite = [
      { site: 'default', n: 1 },
      { site: 'other', n: 1 },
    ];
    for (const table of ['usage_records', 'usage_urls_daily']) {
      expect(at.rows(`SELECT site, count(*) AS n FROM ${table} GROUP BY site ORDER BY site`)).toEqual(bySite);
    }
  });
});

describe('a file', () => {
  test.each([
    [false, 1],
    [true, 2],
  ])('is synchronized at each commit if the storage is durable: %s', (durable, synchronous) => {
    const spy = onExec(() => {});
    open(newPath(), { durable });
    const database = spy.mock.contexts.at(-1) as DatabaseSync;
    const pragma = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0];
    expect(pragma('synchronous')).toBe(synchronous);
    expect(pragma('busy_timeout')).toBe(2_000);
    expect(pragma('wal_autocheckpoint')).toBe(4_000);
    expect(pragma('journal_size_limit')).toBe(67_108_864);
    expect(pragma('cache_size')).toBe(-8_000);
  });

  test('that is read-only is refused when it is opened, one that is busy is not', () => {
    const path = newPath();
    open(path);
    const failing = (errcode: number) => {
      const spy = onExec((sql) => {
        if (sql.startsWith('DELETE FROM journals')) throw sqliteError(errcode, 'the check failed');
      });
      try {
        open(path);
      } finally {
        spy.mockRestore();
      }
    };
    expect(() => failing(8)).toThrow('the check failed');
    // SQLITE_BUSY, and SQLITE_BUSY_RECOVERY.
    for (const errcode of [5, 261]) failing(errcode);
  });

  test('of a site with another time zone is refused, and closed', () => {
    const path = newPath();
    open(path);
    const close = vi.spyOn(DatabaseSync.prototype, 'close');
    onTestFinished(() => close.mockRestore());
    expect(() => open(path, { timeZone: 'Europe/Berlin' })).toThrow(
      expect.objectContaining({ code: 'STORAGE_TIME_ZONE' }),
    );
    expect(close).toHaveBeenCalledTimes(1);
    open(path, { site: 'other', timeZone: 'Europe/Berlin' });
    open(path, { site: 'other', timeZone: 'Europe/Berlin' });
  });

  test('in a directory that does not exist is refused with its name', () => {
    const path = join(temporaryDirectory(), 'missing', 'usage.db');
    expect(() => open(path)).toThrow(/the directory .*missing does not exist/);
  });

  test('that is removed while it is opened is replaced', () => {
    const path = newPath();
    onExec((sql) => {
      if (sql.startsWith('PRAGMA synchronous')) rmSync(path);
    });
    const message = `the file ${path} or its contents were removed or replaced`;
    expect(() => open(path)).toThrow(expect.objectContaining({ code: 'STORAGE_REPLACED', message }));
  });

  test('is closed once', async () => {
    const { writer } = open();
    const close = vi.spyOn(DatabaseSync.prototype, 'close');
    onTestFinished(() => close.mockRestore());
    await writer.close();
    await writer.close();
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('whose write-ahead log was removed gets its contents when it is closed', async () => {
    const at = open();
    await at.writer.apply(new TestJournal('a', []).batch([{ url: '/1' }]));
    for (const end of ['-wal', '-shm']) rmSync(`${at.path}${end}`);
    expect(at.writer.isReplaced()).toBe(true);
    await at.writer.close();
    expect(at.rows('SELECT url FROM usage_records')).toEqual([{ url: '/1' }]);
  });

  test('is closed although its write-ahead log cannot be saved', async () => {
    const at = open();
    for (const end of ['-wal', '-shm']) rmSync(`${at.path}${end}`);
    const close = vi.spyOn(DatabaseSync.prototype, 'close');
    onTestFinished(() => close.mockRestore());
    onExec((sql) => {
      if (sql.startsWith('PRAGMA wal_checkpoint')) throw sqliteError(10, 'disk I/O error');
    });
    await expect(at.writer.close()).rejects.toThrow('disk I/O error');
    expect(close).toHaveBeenCalledTimes(1);
  });
});

describe('an error', () => {
  const FAILED = [
    ['apply', (writer: SqliteWriter) => writer.apply(new TestJournal('a', []).batch([{}]))],
    ['position', (writer: SqliteWriter) => writer.position('a')],
    ['forget', (writer: SqliteWriter) => writer.forget('a')],
  ] as const;

  test.each(FAILED)('of %s reports missing tables and files', async (_, call) => {
    const at = open();
    at.run('DROP VIEW usage_records; DROP TABLE journals; DROP TABLE records');
    const error = await call(at.writer).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: 'STORAGE_REPLACED',
      message: expect.stringContaining(
        `the file ${at.path} or its contents were removed or replaced: no such table`,
      ),
      cause: { errcode: 1 },
    });
    rmSync(at.path);
    expect(await call(at.writer).catch(isReplaced)).toBe(true);
  });

  test('of a file that is gone is explained by that', async () => {
    const at = open();
    rmSync(at.path);
    const error = sqliteError(10, 'disk I/O error');
    onExec((sql) => {
      if (sql === 'BEGIN IMMEDIATE') throw error;
    });
    await expect(at.writer.apply(new TestJournal('a', []).batch([{}]))).rejects.toMatchObject({
      code: 'STORAGE_REPLACED',
      message: `the file ${at.path} or its contents were removed or replaced: disk I/O error`,
      cause: error,
    });
  });

  test('is thrown after a commit to a file that is gone', async () => {
    const at = open();
    onExec((sql) => {
      if (sql === 'COMMIT') rmSync(at.path);
    });
    const message = `the file ${at.path} or its contents were removed or replaced`;
    await expect(at.writer.apply(new TestJournal('a', []).batch([{}]))).rejects.toMatchObject({ message });
  });

  test('is thrown unchanged, and the transaction is rolled back', async () => {
    const at = open();
    const batch = new TestJournal('a', []).batch([{ url: '/1' }]);
    const error = sqliteError(10, 'disk I/O error');
    const spy = onExec((sql) => {
      if (sql === 'COMMIT') throw error;
    });
    await expect(at.writer.apply(batch)).rejects.toBe(error);
    spy.mockRestore();
    at.run('BEGIN IMMEDIATE; COMMIT');
    expect(at.rows('SELECT url FROM usage_records')).toEqual([]);
    expect(await at.writer.apply(batch)).toBe(true);
  });

  test('is that of a restored file, which has another site under the ID', async () => {
    const at = open();
    const journal = new TestJournal('a', []);
    const [first, second] = [journal.batch([{}]), journal.batch([{}])];
    at.run("UPDATE sites SET name = 'other'");
    expect(await at.writer.apply(first).catch(isReplaced)).toBe(true);
    at.run("UPDATE sites SET name = 'default'");
    expect(await at.writer.apply(first)).toBe(true);
    expect(await at.writer.apply(second)).toBe(true);
    at.run('DELETE FROM sites');
    expect(await at.writer.apply(new TestJournal('b', []).batch([{}])).catch(isReplaced)).toBe(true);
  });

  test('means that the record is refused, or that the batch is to be tried again', () => {
    const { writer } = open();
    const refused = [
      ...[18, 19, 1_299, 20, 25].map((errcode) => ({ errcode })),
      { code: 'ERR_INVALID_ARG_TYPE' },
      { code: 'ERR_OUT_OF_RANGE' },
    ];
    expect(refused.filter((error) => !writer.refuses(error))).toEqual([]);
    const others = [
      { errcode: 5 },
      { errcode: 10, code: 'ERR_OUT_OF_RANGE' },
      { code: 'ERR_INVALID_STATE' },
      new Error(),
    ];
    expect(others.filter((error) => writer.refuses(error))).toEqual([]);
  });
});
