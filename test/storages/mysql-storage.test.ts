import { randomUUID } from 'node:crypto';
import { createPool } from 'mysql2';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { storageAt } from '../../src/storages/by-url.ts';
import { MysqlStorage, type MysqlStorageOptions } from '../../src/storages/mysql/index.ts';
import { checkServer } from '../../src/storages/mysql/schema.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { hasMysql, MYSQL_PASSWORD, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';

let server: MysqlServer;
let root: mysql.Connection;
let database: string;

beforeAll(async () => {
  if (!hasMysql) return;
  server = await mysqlServer();
  root = await mysql.createConnection(server.url());
});
afterAll(async () => {
  await root?.end();
  await server?.close();
});
beforeEach(() => {
  database = `test_${randomUUID().replaceAll('-', '')}`;
  onTestFinished(async () => void (await root?.query(`DROP DATABASE IF EXISTS ${database}`)));
});

async function query(sql: string): Promise<mysql.RowDataPacket[]> {
  const [found] = await root.query<mysql.RowDataPacket[]>(sql);
  return found;
}

/** Changes a setting of the server until the end of the test. */
async function setGlobal(name: string, value: number): Promise<void> {
  const [before] = await query(`SELECT @@GLOBAL.${name} AS value`);
  await root.query(`SET GLOBAL ${name} = ${value}`);
  onTestFinished(async () => void (await root.query(`SET GLOBAL ${name} = ${before!.value}`)));
}

async function openStorage(options: MysqlStorageOptions = {}, given: unknown = server.url(database)) {
  const storage = new MysqlStorage(given as string, { hooks: ['urls'], ...options });
  onTestFinished(() => storage.close());
  const writer = await openWriter(storage);
  onTestFinished(() => writer.close());
  return { storage, writer, journal: new TestJournal('a', storage.summaries) };
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: Error) => error.message,
  );
}

describe('constructor arguments', () => {
  test.each([
    ['mysql://user:secret@host:3307/app', 'mysql://host:3307/app'],
    ['mariadb://user:secret@host/app', 'mysql://host:3306/app'],
    ['mysql://host', 'mysql://host:3306/usage'],
    ['mysql://user:secret@[::1]:3307/my%20app', 'mysql://[::1]:3307/my app'],
    ['mysql://host/app?prefix=shop_&ssl=true&charset=utf8mb4', 'mysql://host:3306/app?prefix=shop_'],
    [{ user: 'u', password: 'secret' }, 'mysql://localhost:3306/usage'],
    [{ host: '::1', port: 3307, database: 'app' }, 'mysql://[::1]:3307/app'],
    [{ uri: 'mysql://u:secret@host/app?prefix=shop_' }, 'mysql://host:3306/app?prefix=shop_'],
    [{ uri: 'mysql://u:secret@host/app', database: 'other' }, 'mysql://host:3306/other'],
    [{ socketPath: '/run/mysqld.sock', database: 'app' }, 'mysql:///run/mysqld.sock/app'],
  ])('%o have the label %s', (given, label) => {
    const storage = new MysqlStorage(given as string);
    expect(storage.label).toBe(label);
    expect(storage.identity).toBe(label);
    expect(storage.module).toMatch(/mysql\/module/);
    expect(storage.maxRecords).toBe(131_072);
  });

  test('a pool, or options with a function, are used in the app thread', async () => {
    const pool = createPool('mysql://user:secret@host/app');
    const storages = [
      new MysqlStorage(pool),
      new MysqlStorage(pool.promise()),
      new MysqlStorage({ host: 'host', database: 'app', authPlugins: { x: () => () => '' } }),
    ];
    for (const { label, module, maxRecords } of storages) {
      expect({ label, module, maxRecords }).toEqual({
        label: 'mysql://host:3306/app',
        module: undefined,
        maxRecords: 4_096,
      });
    }
    pool.end();
  });

  test('are validated, and the password is never shown', () => {
    const expectRefusal = (given: unknown, options: object, ...words: string[]) => {
      const make = () => new MysqlStorage(given as string, options);
      for (const word of words) expect(make).toThrow(word);
      expect(make).not.toThrow('secret');
    };
    expectRefusal('postgres://u:secret@host/app', {}, '"server" is an invalid URL');
    expectRefusal('mysql://u:secret@host:99999/app', {}, 'an invalid URL');
    expectRefusal('mysql://u:secret%@host/app', {}, 'an invalid URL');
    expectRefusal(undefined, {}, 'expected a URL such as "mysql://');
    expectRefusal(7, {}, '"server" is 7');
    expectRefusal({ database: '' }, {}, 'a URL with an invalid database name');
    expectRefusal(createPool({ password: 'secret' }), {}, 'a pool without a database');
    for (const prefix of ['', 'A', '1a', 'a-b', 'a`b', 'a'.repeat(17), 7]) {
      expectRefusal('mysql://host/app', { prefix }, '"MysqlStorage.prefix" is', 'up to 16 lowercase letters');
    }
    expectRefusal('mysql://host/app', { schema: 'a' }, 'unknown option "schema"');
  });

  test('include URLs with the schemes mysql and mariadb', async () => {
    for (const scheme of ['mysql', 'mariadb']) {
      const storage = await storageAt(`${scheme}://user:secret@host/app`).open();
      expect(storage.label).toBe('mysql://host:3306/app');
    }
  });

  test('the server version is checked', () => {
    const check = (version: string) => {
      try {
        checkServer('it', version);
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    };
    const supported = [
      '10.11.6-MariaDB-0+deb12u1',
      '5.5.5-10.11.6-MariaDB',
      '11.4.2-MariaDB',
      '8.0.11',
      '8.4.3',
      '9.1.0-log',
    ];
    expect(supported.map(check)).toEqual(supported.map(() => 'accepted'));
    expect(check('5.7.44-log')).toContain('it has server version 5.7.44-log, which is older than MySQL 8.0');
    expect(check('10.6.18-MariaDB')).toContain('which is older than MariaDB 10.11');
  });
});

describe.skipIf(!hasMysql)('the database', () => {
  test('is created by ten concurrent writers, and not by reading', async () => {
    const storage = new MysqlStorage(server.url(database), { hooks: ['urls'] });
    onTestFinished(() => storage.close());
    expect(await storage.getUsage()).toEqual([]);
    expect(await query(`SHOW DATABASES LIKE '${database}'`)).toEqual([]);
    const writers = await Promise.all(Array.from({ length: 10 }, () => openWriter(storage)));
    for (const writer of writers) await writer.close();
    const [made] = await query(
      `SELECT count(*) AS tables FROM information_schema.tables WHERE table_schema = '${database}' AND engine = 'InnoDB'`,
    );
    expect(made!.tables).toBe(17);
  });

  test('is missing or refuses access: the error has the server’s message without the password', async () => {
    await root.query(`CREATE DATABASE ${database}`);
    await root.query(`CREATE USER 'guest'@'127.0.0.1' IDENTIFIED BY 's3cret'`);
    onTestFinished(async () => void (await root.query(`DROP USER 'guest'@'127.0.0.1'`)));
    const guest = server.url(database).replace(/\/\/.*@/, '//guest:s3cret@');
    const wrong = server.url(database).replace(/\/\/.*@/, '//guest:0ther@');
    const messages = [
      await messageOf(openWriter(new MysqlStorage(guest))),
      await messageOf(openWriter(new MysqlStorage(guest.replace(database, 'elsewhere')))),
      await messageOf(openWriter(new MysqlStorage(wrong))),
      await messageOf(openWriter(new MysqlStorage('mysql://guest:s3cret@127.0.0.1:1/app'))),
    ];
    expect(messages[0]).toMatch(/Access denied for user 'guest'.* to database/);
    expect(messages[1]).toMatch(/Access denied for user 'guest'.* to database 'elsewhere'/);
    expect(messages[2]).toMatch(/Access denied for user 'guest'.*using password: YES/);
    expect(messages[3]).toMatch(/ECONNREFUSED/);
    expect(messages.join()).not.toMatch(/s3cret|0ther/);
  });

  test('needs only the documented privileges', async () => {
    await root.query(`CREATE DATABASE ${database}`);
    await root.query(`CREATE USER 'few'@'127.0.0.1' IDENTIFIED BY 's3cret'`);
    onTestFinished(async () => void (await root.query(`DROP USER 'few'@'127.0.0.1'`)));
    const rights = 'SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE VIEW';
    await root.query(`GRANT ${rights} ON ${database}.* TO 'few'@'127.0.0.1'`);
    const tags = defineSummary({ name: 'tags', key: () => null });
    const url = server.url(database).replace(/\/\/.*@/, '//few:s3cret@');
    const { writer, storage, journal } = await openStorage({ hooks: ['urls', tags] }, url);
    expect(await writer.apply(journal.batch([{ visitor: 'v' }]))).toBe(true);
    const { maintenance } = writer;
    expect(await maintenance!.lease({ task: 'prune', holder: 'a', ms: 1_000 })).toBe(true);
    await maintenance!.retain({ records: { keep: '90d', before: NOON } });
    expect(await maintenance!.prune({ part: 'hour', before: NOON, limit: 10 })).toBe(3);
    expect(await maintenance!.erase({ column: 'visitor', value: 'v' }, 10)).toBe(1);
    while (await maintenance!.sweep());
    await maintenance!.scrub();
    await writer.forget(journal.id);
    expect(await rows(storage, 'tags')).toEqual([[null, 1, 5, 0, 1500]]);
    expect(await storage.reader.retention('default')).toEqual({ records: { keep: '90d', before: NOON } });
  });

  test('of version 2 is migrated without the right to drop its view, which then stays', async () => {
    await openStorage();
    await root.query(`DROP VIEW ${database}.usage_records`);
    const columns = ['url_key', 'path', 'referrer_host', 'campaign', 'class', 'received'];
    const dropped = columns.map((column) => `DROP COLUMN ${column}`).join(', ');
    await root.query(`ALTER TABLE ${database}.usage_requests ${dropped}`);
    await root.query(`ALTER TABLE ${database}.usage_agents DROP COLUMN device`);
    await root.query(`CREATE SQL SECURITY INVOKER VIEW ${database}.usage_records AS SELECT 'old' AS version`);
    await root.query(`UPDATE ${database}.usage_schema_version SET version = 2`);
    await root.query(`CREATE USER 'less'@'127.0.0.1' IDENTIFIED BY 's3cret'`);
    onTestFinished(async () => void (await root.query(`DROP USER 'less'@'127.0.0.1'`)));
    const rights = 'SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE VIEW, ALTER';
    await root.query(`GRANT ${rights} ON ${database}.* TO 'less'@'127.0.0.1'`);
    const url = server.url(database).replace(/\/\/.*@/, '//less:s3cret@');
    const { writer, storage, journal } = await openStorage({}, url);
    await writer.apply(journal.batch([{ urlKey: '/a' }]));
    expect((await rows(storage, 'urls')).map(([key]) => key)).toEqual(['/a']);
    expect(await query(`SELECT * FROM ${database}.usage_records`)).toEqual([{ version: 'old' }]);
  });

  test('of another program or a newer release is not changed', async () => {
    await root.query(`CREATE DATABASE ${database}`);
    await root.query(`CREATE TABLE ${database}.usage_strings (id INT PRIMARY KEY)`);
    await expect(openStorage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_FOREIGN' }));
    expect(await query(`SHOW TABLES FROM ${database}`)).toHaveLength(1);
    await root.query(`RENAME TABLE ${database}.usage_strings TO ${database}.usage_urls_daily`);
    await expect(openStorage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_FOREIGN' }));
    await root.query(`CREATE TABLE ${database}.usage_schema_version (version INT PRIMARY KEY)`);
    await expect(openStorage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_FOREIGN' }));
    const { writer, journal, storage } = await openStorage({ prefix: 'own_' });
    await writer.apply(journal.batch([{}]));
    await root.query(`UPDATE ${database}.own_schema_version SET version = 99`);
    const newer = expect.objectContaining({
      code: 'STORAGE_NEWER',
      message: expect.stringContaining('?prefix=own_ has schema version 99'),
    });
    await expect(openStorage({ prefix: 'own_' })).rejects.toThrow(newer);
    await expect(storage.getUsage()).rejects.toThrow(newer);
  });

  test('is completed after a process died while creating the tables', async () => {
    await openStorage();
    await root.query(`DROP TABLE ${database}.usage_days, ${database}.usage_requests`);
    await root.query(`DROP VIEW ${database}.usage_urls_daily`);
    await root.query(`DELETE FROM ${database}.usage_schema_version`);
    const { storage, writer, journal } = await openStorage();
    await writer.apply(journal.batch([{}]));
    expect(await rows(storage, 'urls')).toHaveLength(1);
    expect(await query(`SELECT version FROM ${database}.usage_schema_version`)).toEqual([{ version: 4 }]);
    expect(await query(`SELECT hits FROM ${database}.usage_urls_daily`)).toEqual([{ hits: 1 }]);
  });

  test('has readable views, also for custom summaries and another prefix', async () => {
    const tags = defineSummary({ name: 'blog-tags', key: () => null });
    const { writer, storage } = await openStorage({ hooks: ['urls', tags] });
    const other = await openStorage({ prefix: 'usage_blog_' });
    const batch = [
      { url: 'http://a/', extra: { keys: { 'blog-tags': ['x'] } } },
      { url: 'http://b/' },
      { url: 'http://a/' },
    ];
    await writer.apply(new TestJournal('a', storage.summaries).batch(batch));
    await other.writer.apply(other.journal.batch([{ url: 'http://c/' }]));
    expect(await query(`SELECT site, date, \`key\`, hits FROM ${database}.usage_urls_daily`)).toEqual([
      { site: 'default', date: '2026-11-24T00:00:00+00:00', key: 'http://a/', hits: 2 },
      { site: 'default', date: '2026-11-24T00:00:00+00:00', key: 'http://b/', hits: 1 },
    ]);
    expect(await query(`SELECT \`key\`, hits FROM ${database}.usage_blog_tags_monthly`)).toEqual([
      { key: null, hits: 2 },
      { key: 'x', hits: 1 },
    ]);
    const found = await query(
      `SELECT CAST(date AS CHAR) AS date, url, status, \`authorization\` FROM ${database}.usage_blog_records`,
    );
    expect(found).toEqual([
      { date: '2026-11-24 12:34:56.789', url: 'http://c/', status: 200, authorization: 0 },
    ]);
  });
});

describe.skipIf(!hasMysql)('a batch', () => {
  test('is split into packets that the server accepts; a row that is too large is refused', async () => {
    await setGlobal('max_allowed_packet', 32 * 1024);
    const { storage, writer, journal } = await openStorage();
    const long = (n: number, text: string) => ({ url: `http://localhost/${n}/${text}` });
    const batch = journal.batch(Array.from({ length: 3_000 }, (_, n) => long(n, 'x'.repeat(200 + n))));
    expect(await writer.apply(batch)).toBe(true);
    expect(await rows(storage, 'urls')).toHaveLength(3_000);
    const error = await writer
      .apply(journal.batch([{ extra: { vars: { text: '漢'.repeat(8_000) } } }]))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: expect.stringContaining('max_allowed_packet of the server is 32768'),
    });
    expect(writer.refuses(error)).toBe(true);
    expect((await writer.position(batch.journal))?.position).toBe(batch.to.position);
  });

  test('is retried after a deadlock', async () => {
    const { storage, writer, journal } = await openStorage();
    await writer.apply(journal.batch([{}]));
    const other = await mysql.createConnection(server.url(database));
    onTestFinished(() => other.end());
    await other.query('CREATE TABLE heavy (id INT PRIMARY KEY)');
    await other.query('START TRANSACTION');
    // The server rolls back the transaction that changed less.
    const ids = Array.from({ length: 2_000 }, (_, n) => `(${n})`);
    await other.query(`INSERT INTO heavy VALUES ${ids.join()}`);
    await other.query('UPDATE usage_months SET errors = errors');
    await other.query('SELECT * FROM usage_months FOR UPDATE');
    const before = await deadlocks();
    const stored = writer.apply(journal.batch([{}, {}]));
    // The writer has locked the journal, and waits.
    await vi.waitFor(async () => expect(await isWaitingForLock()).toBe(true), {
      timeout: 10_000,
      interval: 300,
    });
    await other.query('SELECT * FROM usage_journals FOR UPDATE');
    await other.query('COMMIT');
    expect(await stored).toBe(true);
    expect(await deadlocks()).toBeGreaterThan(before);
    expect(await rows(storage, 'urls', 'month')).toEqual([['http://localhost/', 3, 15, 0, 4500]]);
  });

  test('is retried after a lock wait timeout', async () => {
    await setGlobal('innodb_lock_wait_timeout', 1);
    const { storage, writer, journal } = await openStorage();
    await writer.apply(journal.batch([{}]));
    const other = await mysql.createConnection(server.url(database));
    onTestFinished(() => other.end());
    await other.query('START TRANSACTION');
    await other.query('SELECT * FROM usage_months FOR UPDATE');
    const stored = writer.apply(journal.batch([{}]));
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await other.query('COMMIT');
    expect(await stored).toBe(true);
    expect(await rows(storage, 'urls', 'month')).toEqual([['http://localhost/', 2, 10, 0, 3000]]);
  });

  test('is refused only for its values', async () => {
    const { writer, journal } = await openStorage();
    await root.query(`ALTER TABLE ${database}.usage_requests ADD CHECK (status <> 418)`);
    const refused = await writer.apply(journal.batch([{ status: 418 }])).catch((error: unknown) => error);
    expect(writer.refuses(refused)).toBe(true);
    const early = new TestJournal('b', []).batch([{ date: 8e14 }]);
    expect(writer.refuses(await writer.apply(early).catch((error: unknown) => error))).toBe(true);
    await root.query(`RENAME TABLE ${database}.usage_days TO ${database}.gone`);
    const next = new TestJournal('c', [{ name: 'urls', title: 'sumUrls' }]).batch([{}]);
    const missing = await writer.apply(next).catch((error: unknown) => error);
    expect(missing).toMatchObject({ code: 'STORAGE_REPLACED' });
    expect(writer.refuses(missing)).toBe(false);
    await root.query(`RENAME TABLE ${database}.gone TO ${database}.usage_days`);
    expect(await writer.apply(next)).toBe(true);
  });
});

describe.skipIf(!hasMysql)('a pool', () => {
  const MODES =
    'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE,IGNORE_SPACE';

  test('keeps its settings, which do not affect the results', async () => {
    await root.query(`CREATE DATABASE ${database}`);
    const pool = createPool({
      uri: server.url(database),
      connectionLimit: 1,
      charset: 'latin1',
      dateStrings: true,
      decimalNumbers: true,
      namedPlaceholders: true,
      nestTables: true,
      rowsAsArray: true,
      timezone: '+05:00',
      typeCast: () => 'cast',
    });
    onTestFinished(() => new Promise<void>((resolve) => void pool.end(() => resolve())));
    pool.on('connection', (connection) => {
      connection.query(
        `SET sql_mode = '${MODES}', autocommit = 0, time_zone = '+05:00', sql_select_limit = 1, max_join_size = 10`,
      );
    });
    const { storage, writer, journal } = await openStorage({}, pool);
    for (const urls of [HOSTILE_TEXTS, [...HOSTILE_TEXTS].reverse()]) {
      await writer.apply(journal.batch(urls.map((url) => ({ url, date: NOON, extra: { vars: { url } } }))));
    }
    const sorted = [...HOSTILE_TEXTS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect((await rows(storage, 'urls')).map(([key, hits]) => [key, hits])).toEqual(
      sorted.map((key) => [key, 2]),
    );
    expect(await storage.getUsage({ limit: 0 })).toHaveLength(2 * HOSTILE_TEXTS.length);
    const [newest] = await storage.getUsage({ limit: 1 });
    expect([newest!.date, newest!.url]).toEqual([NOON, HOSTILE_TEXTS[0]]);
    const [after] = await new Promise<[unknown, unknown]>((resolve, reject) => {
      pool.query(
        {
          sql: `SELECT @@sql_mode AS mode, @@autocommit AS autocommit, @@character_set_results AS charset,
                @@sql_select_limit AS most, @@sql_big_selects AS big`,
          rowsAsArray: false,
          nestTables: false,
          typeCast: (_, next) => next(),
        } as mysql.QueryOptions,
        (error, found) => (error ? reject(error) : resolve(found as [unknown, unknown])),
      );
    });
    const { mode, ...others } = after as { mode: string };
    expect(others).toEqual({ autocommit: 0, charset: 'latin1', most: 1, big: 0 });
    expect(mode.split(',').sort()).toEqual(MODES.split(',').sort());
  });
});

describe.skipIf(!hasMysql)('a server that can lose commits', () => {
  test('causes a warning', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    await setGlobal('innodb_flush_log_at_trx_commit', 2);
    await openStorage();
    await new Promise(setImmediate);
    expect(warnings).toEqual([]);
    await root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 0');
    await openStorage();
    await new Promise(setImmediate);
    expect(warnings).toEqual([
      expect.stringContaining('when the server is killed; set innodb_flush_log_at_trx_commit = 1'),
    ]);
    expect(warnings[0]).not.toContain(MYSQL_PASSWORD);
  });
});

async function deadlocks(): Promise<number> {
  const [row] = await query(
    "SELECT variable_value AS n FROM information_schema.global_status WHERE variable_name = 'Innodb_deadlocks'",
  );
  return Number(row!.n);
}

/** Returns whether a transaction waits for a lock. The server updates this information at most every 100 ms. */
async function isWaitingForLock(): Promise<boolean> {
  const [row] = await query(
    "SELECT count(*) AS n FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
  );
  return Number(row!.n) > 0;
}
