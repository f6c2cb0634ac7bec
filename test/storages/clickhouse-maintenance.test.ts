/** Tests deletion, corrections, budgets and recounts, as far as they are special on ClickHouse. */
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { monotonicClock } from '../../src/platform/clock.ts';
import type { Condition, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import { connect } from '../../src/storages/clickhouse/driver.ts';
import { type ClickhouseClient, ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import type { ClickhouseOptions } from '../../src/storages/clickhouse/options.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { change, corrections } from '../../src/testing/maintenance.ts';
import { openWriter, put, rows } from '../../src/testing/support.ts';
import { killedRebuildCase } from '../maintenance/killed-rebuild-case.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';

const DATABASE = 'track_usage_maintenance';
const DAY = 24 * 3_600_000;
const KEY = '203.0.113.99';
let clickhouse: ClickhouseServer;
let client: ClickhouseClient;
let storage: ClickhouseStorage;
/** Statements sent since the list was cleared. */
const sent: string[] = [];
/** Called before the statement that contains the text, once. */
let beforeStatement: { text: string; run: () => Promise<void> } | undefined;
const open: StorageWriter[] = [];

beforeAll(async () => {
  clickhouse = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
  const real = await connect(
    new ClickhouseStorage(clickhouse.url(DATABASE)).threadOptions() as ClickhouseOptions,
  );
  const watched =
    <P extends { query: string }, R>(call: (params: P) => Promise<R>) =>
    async (params: P): Promise<R> => {
      sent.push(params.query);
      const hook = beforeStatement;
      if (hook && params.query.includes(hook.text)) {
        beforeStatement = undefined;
        await hook.run();
      }
      return call(params);
    };
  client = {
    query: watched(real.query.bind(real)),
    command: watched(real.command.bind(real)),
    exec: watched(real.exec.bind(real)),
    close: () => real.close(),
  };
});
afterAll(async () => {
  for (const writer of open) await writer.close();
  await client?.close();
  await clickhouse?.close();
});
beforeEach(async () => {
  await clickhouse.sql(`DROP DATABASE IF EXISTS ${DATABASE} SYNC`);
  storage = new ClickhouseStorage(client, { database: DATABASE, hooks: ['remotes'] });
  beforeStatement = undefined;
});

async function writer(context: Partial<WriterContext> = {}): Promise<StorageWriter> {
  const opened = await openWriter(storage, context);
  open.push(opened);
  return opened;
}

const remotes = (...keys: string[]): TestRecord[] => keys.map((remoteAddr) => ({ remoteAddr }));
const numbered = (prefix: string, length: number) => Array.from({ length }, (_, n) => `${prefix}${n}`);
const limits = (max: number) => ({ all: { hour: max, day: max, month: max }, summaries: {} });

/** Columns that version 4 added. */
const VERSION_4 = ['path', 'received', 'device', 'referrer_host', 'campaign', 'class'];

async function removeColumns(...columns: string[]): Promise<void> {
  const dropped = columns.map((column) => `DROP COLUMN ${column}`).join(', ');
  await clickhouse.sql(`ALTER TABLE ${DATABASE}.usage_records ${dropped}`);
}

describe('a database of version 1', () => {
  test('is migrated: its sums stay, views hide sums without hits, and the version is written last', async () => {
    const first = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await put(first, journal.batch(remotes(KEY, 'a')));
    // Version 1 had three tables, and views without a condition on the hits.
    for (const table of ['usage_leases', 'usage_retention'])
      await clickhouse.sql(`DROP TABLE ${DATABASE}.${table} SYNC`);
    await clickhouse.sql(
      `CREATE OR REPLACE VIEW ${DATABASE}.usage_daily AS SELECT site, summary, bucket AS date, key, sum(hits) AS hits
       FROM ${DATABASE}.usage_sums WHERE period = 'day' GROUP BY site, summary, bucket, key`,
    );
    await removeColumns('url_key', ...VERSION_4);
    for (const table of ['usage_sites', 'usage_records', 'usage_sums']) {
      await clickhouse.sql(`ALTER TABLE ${DATABASE}.${table} MODIFY COMMENT 'track-usage 1'`);
      await clickhouse.sql(`ALTER TABLE ${DATABASE}.${table} RESET SETTING merge_with_ttl_timeout`);
    }
    await expect(storage.getUsage()).rejects.toMatchObject({ code: 'STORAGE_OLDER' });
    beforeStatement = {
      text: "usage_sums  MODIFY COMMENT 'track-usage 4'",
      run: () => Promise.reject(new Error('killed')),
    };
    await expect(writer()).rejects.toThrow('killed');
    const migrated = await writer();
    expect((await migrated.position(journal.id))?.ordinal).toBe(2);
    await put(migrated, journal.correction(corrections('remotes', [[KEY, -1]])));
    expect((await rows(storage, 'remotes')).map(([key]) => key)).toEqual(['a']);
    expect(
      await clickhouse.sql(`SELECT key, hits FROM ${DATABASE}.usage_daily WHERE summary = 'remotes'`),
    ).toBe('a\t1\n');
    const versions = await clickhouse.sql(
      `SELECT DISTINCT comment FROM system.tables WHERE database = '${DATABASE}' AND engine != 'View'`,
    );
    expect(versions).toBe('track-usage 4\n');
    expect(
      await clickhouse.sql(
        `SELECT count() FROM system.tables WHERE database = '${DATABASE}' AND engine_full LIKE '%merge_with_ttl_timeout%'`,
      ),
    ).toBe('4\n');
    await migrated.maintenance!.retain({ hour: { keep: '1d', before: 5 } });
    expect(await storage.reader.retention('default')).toEqual({ hour: { keep: '1d', before: 5 } });
  });
});

describe('a database of version 2', () => {
  test('is migrated, and further records are counted by their keys', async () => {
    const first = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await put(first, journal.batch([{ url: '/a' }]));
    await removeColumns('url_key', ...VERSION_4);
    await clickhouse.sql(`ALTER TABLE ${DATABASE}.usage_sums MODIFY COMMENT 'track-usage 2'`);
    await expect(storage.getUsage()).rejects.toMatchObject({ code: 'STORAGE_OLDER' });
    await put(await writer(), journal.batch([{ url: '/a?b', urlKey: '/a' }]));
    const { total } = await storage.query.top('urls', { filter: { urls: '/a' } });
    expect(total.hits).toBe(2);
    expect(await clickhouse.sql(`SELECT url, url_key FROM ${DATABASE}.usage_records ORDER BY url`)).toBe(
      '/a\t\\N\n/a?b\t/a\n',
    );
  });
});

describe('a database of version 3', () => {
  test('is migrated, and further records have the columns of version 4', async () => {
    const first = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await put(first, journal.batch([{ url: '/a' }]));
    await removeColumns(...VERSION_4);
    await clickhouse.sql(`ALTER TABLE ${DATABASE}.usage_sums MODIFY COMMENT 'track-usage 3'`);
    await expect(storage.getUsage()).rejects.toMatchObject({ code: 'STORAGE_OLDER' });
    const columns = { path: '/b', referrerHost: 'example.org', campaign: 'mail', class: 'page', received: 7 };
    await put(await writer(), journal.batch([{ ...columns, url: '/b?c', device: 'mobile' }]));
    const names = VERSION_4.join(', ');
    expect(await clickhouse.sql(`SELECT ${names} FROM ${DATABASE}.usage_records ORDER BY url`)).toBe(
      `${VERSION_4.map(() => '\\N').join('\t')}\n/b\t7\tmobile\texample.org\tmail\tpage\n`,
    );
  });
});

describe('negative deltas', () => {
  test('are invisible in views and queries, and sweeping deletes their rows once they are merged', async () => {
    const writing = await writer();
    const journal = new TestJournal('a', storage.summaries);
    const huge = { contentLength: 2 ** 52, duration: 2 ** 40, status: 500 };
    await put(writing, journal.batch([{ remoteAddr: KEY, ...huge }, ...remotes('a')]));
    const group = { hits: -1, transfer: -(2 ** 52), errors: -1, duration: -(2 ** 40) };
    const undone = corrections('remotes', [[KEY, -1]]).map((row) => ({ ...row, ...group }));
    await put(writing, journal.correction([...undone, change()]));
    const visible = async () => {
      for (const view of ['usage_hourly', 'usage_daily', 'usage_monthly']) {
        const found = await clickhouse.sql(
          `SELECT key, hits, transfer FROM ${DATABASE}.${view} WHERE summary = 'remotes'`,
        );
        expect(found).toBe('a\t1\t5\n');
      }
      expect(await rows(storage, 'remotes')).toEqual([['a', 1, 5, 0, 1_500]]);
      const range = { site: 'default', summary: 'remotes', target: undefined, from: 0, to: 1e14 };
      const sums = { hits: 1, transfer: 5, errors: 0, duration: 1_500, keys: 1 };
      expect(await storage.reader.series({ ...range, period: 'day' })).toEqual([
        { bucket: Date.UTC(2026, 10, 24), ...sums },
      ]);
      expect(await storage.reader.total({ ...range, spans: [{ period: 'day', from: 0, to: 1e14 }] })).toEqual(
        sums,
      );
      expect(await storage.reader.summaries('default')).toEqual(['changes', 'coverage', 'remotes']);
    };
    const stored = () => clickhouse.sql(`SELECT count() FROM ${DATABASE}.usage_sums WHERE key = '${KEY}'`);
    await visible();
    await clickhouse.sql(`OPTIMIZE TABLE ${DATABASE}.usage_sums FINAL`);
    await visible();
    await writing.maintenance!.sweep();
    await expect.poll(stored, { timeout: 20_000, interval: 20 }).toBe('0\n');
    await visible();
    expect((await writing.position(journal.id))?.ordinal).toBe(2);
    await put(writing, journal.correction(corrections('remotes', [['a', -1]])));
    expect(await storage.reader.summaries('default')).toEqual(['changes', 'coverage']);
  });
});

describe('texts beyond the budget', () => {
  test('are read, filtered and counted as empty ones, not as null', async () => {
    const writing = await writer();
    const batch = new TestJournal('a', storage.summaries).batch([
      { referrer: 'a', username: 'a', url: 'a', country: 'AT' },
      { referrer: null, username: null, url: 'b', country: null },
      { url: 'c', agent: 'c' },
    ]);
    const others = batch.records.others();
    const columns = ['referrer', 'username', 'url', 'agent', 'remoteAddr', 'visitor', 'route'] as const;
    for (const column of columns) batch.records.text[column][2] = others;
    await put(writing, batch);
    const read = (await storage.getUsage()).map(({ url, referrer, username, userAgent, visitor }) => {
      return [url, referrer, username, userAgent?.string, visitor];
    });
    expect(read).toEqual([
      ['', '', '', '', ''],
      ['b', null, null, undefined, null],
      ['a', 'a', 'a', undefined, null],
    ]);
    const keys = async (column: 'referrer' | 'route', where: Condition[]) => {
      const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
      const range = { site: 'default', from: 0, to: 1e14 };
      const found = await storage.reader.matchingKeys({ ...range, ...page, column, where });
      return found.rows.map(({ key, hits }) => [key, hits]);
    };
    expect(await keys('referrer', [])).toEqual([
      ['', 1],
      ['a', 1],
      [null, 1],
    ]);
    expect(await keys('route', [{ column: 'username', value: OTHERS }])).toEqual([['', 1]]);
    expect(await keys('route', [{ column: 'username', value: OTHERS, not: true }])).toEqual([[null, 2]]);
    expect(await keys('referrer', [{ column: 'username', value: null, not: true }])).toEqual([
      ['', 1],
      ['a', 1],
    ]);
  });
});

describe('leases', () => {
  test('are granted to one of many that request at the same time, also without a token that a crash left', async () => {
    const writers = await Promise.all(Array.from({ length: 6 }, () => writer()));
    const request = (task: string) =>
      Promise.all(
        writers.map(({ maintenance }, n) => maintenance!.lease({ task, holder: `${n}`, ms: 600_000 })),
      );
    for (const task of ['prune', 'rebuild', 'other']) {
      expect((await request(task)).filter(Boolean).length).toBe(1);
    }
    // A server that was killed kept the token, and lost the row.
    await clickhouse.sql(
      `ALTER TABLE ${DATABASE}.usage_leases DELETE WHERE task = 'prune' SETTINGS mutations_sync = 1`,
    );
    expect((await request('prune')).filter(Boolean).length).toBe(1);
  });
});

describe('pruning', () => {
  test('deletes a month at a time, and sweeping rewrites parts without the deleted rows', async () => {
    const writing = await writer();
    const { maintenance } = writing;
    const journal = new TestJournal('a', storage.summaries);
    const dates = [0, 1, 31, 32, 70].map((days) => NOON - days * DAY);
    await put(writing, journal.batch(dates.map((date) => ({ date, remoteAddr: `${date}` }))));
    const request = { part: 'records', before: NOON, limit: 1 } as const;
    expect([
      await maintenance!.prune(request),
      await maintenance!.prune(request),
      await maintenance!.prune(request),
      await maintenance!.prune(request),
    ]).toEqual([1, 2, 1, 0]);
    const physical = () =>
      clickhouse.sql(
        `SELECT sum(rows) FROM system.parts WHERE active AND database = '${DATABASE}' AND table = 'usage_records'`,
      );
    expect(await physical()).toBe('5\n');
    expect(await maintenance!.sweep()).toBe(false);
    await expect.poll(physical, { timeout: 20_000, interval: 20 }).toBe('1\n');
    sent.length = 0;
    await maintenance!.sweep();
    expect(sent.filter((sql) => sql.startsWith('ALTER'))).toEqual([]);
  });
});

describe('people', () => {
  test('are named neither in a statement that the server keeps, nor in a logged one', async () => {
    const writing = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await put(writing, journal.batch([...remotes(KEY, 'a'), { forwardedFor: `10.0.0.1, ${KEY}` }]));
    sent.length = 0;
    expect(await writing.maintenance!.erase({ column: 'remoteAddr', value: KEY }, 10)).toBe(2);
    const naming = sent.filter((sql) => sql.includes(KEY));
    expect(naming.length).toBe(1);
    expect(naming[0]).toMatch(/^SELECT [\s\S]* SETTINGS log_queries = 0$/);
    expect(
      await clickhouse.sql(`SELECT command FROM system.mutations WHERE database = '${DATABASE}'`),
    ).toContain('ordinal');
  });
});

describe.skipIf(process.env.TEST_CLICKHOUSE_URL)('scrubbing', () => {
  test('removes few deleted rows from the files, without waiting for the server to do it by itself', async () => {
    const writing = await writer();
    const journal = new TestJournal('a', storage.summaries);
    const others = numbered('10.9.8.', 100).map((remoteAddr) => ({ remoteAddr, visitor: 'v1' }));
    await put(writing, journal.batch([...others, { remoteAddr: KEY, visitor: 'v2' }]));
    await writing.maintenance!.erase({ column: 'visitor', value: 'v2' }, 10);
    await put(
      writing,
      journal.correction([
        ...corrections('remotes', [
          [KEY, -1],
          [OTHERS, 1],
        ]),
        change(),
      ]),
    );
    expect(await clickhouse.contains(DATABASE, KEY)).toBe(true);
    await writing.maintenance!.scrub();
    expect(await clickhouse.contains(DATABASE, KEY)).toBe(false);
    expect(await clickhouse.contains(DATABASE, '10.9.8.77')).toBe(true);
    const settings = await clickhouse.sql(
      `SELECT count() FROM system.tables WHERE database = '${DATABASE}' AND engine_full LIKE '%old_parts_lifetime%'`,
    );
    expect(settings).toBe('0\n');
    expect((await rows(storage, 'remotes', 'hour', { limit: 0 })).length).toBe(101);
  });
});

describe('the budget of keys', () => {
  test('is exact for processes in turn, although their counts are not old', async () => {
    const clock = vi.spyOn(monotonicClock, 'now').mockReturnValue(0);
    onTestFinished(() => clock.mockRestore());
    const writers = [await writer({ maxKeys: limits(5) }), await writer({ maxKeys: limits(5) })];
    const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    for (let n = 0; n < 8; n++) {
      await put(writers[n % 2]!, journals[n % 2]!.batch(remotes(`${n}`)));
    }
    const found = (await rows(storage, 'remotes', 'hour')).map(([key, hits]) => [key, hits]);
    expect(found).toEqual([[OTHERS, 3], ...['0', '1', '2', '3', '4'].map((key) => [key, 1])]);
  });

  test('costs one query per 10 s, unless a bucket is nearly full', async () => {
    const clock = vi.spyOn(monotonicClock, 'now').mockReturnValue(0);
    onTestFinished(() => clock.mockRestore());
    const writing = await writer({ maxKeys: limits(2_000) });
    const journal = new TestJournal('a', storage.summaries);
    const counts = async (...keys: string[]) => {
      sent.length = 0;
      await put(writing, journal.batch(remotes(...keys)));
      return sent.filter((sql) => sql.includes('count() AS count')).length;
    };
    expect(await counts(...numbered('a', 400))).toBe(1);
    clock.mockReturnValue(10_000);
    expect(await counts(...numbered('b', 200))).toBe(0);
    clock.mockReturnValue(10_001);
    expect(await counts(...numbered('b', 500))).toBe(1);
    // 1,000 keys and more of 2,000: counted before each batch.
    expect(await counts(...numbered('c', 200))).toBe(1);
    expect(await counts('d')).toBe(1);
    // There may be no room for all. The hashes show that there is.
    expect(await counts(...numbered('a', 400), ...numbered('b', 500), ...numbered('c', 199))).toBe(2);
    expect(await counts(...numbered('e', 1_000))).toBe(1);
    // A full bucket is counted once per minute.
    clock.mockReturnValue(70_001);
    expect(await counts(...numbered('f', 500))).toBe(0);
    clock.mockReturnValue(70_002);
    expect(await counts(...numbered('g', 500), 'a1')).toBe(1);
    const found = await rows(storage, 'remotes', 'hour', { limit: 0 });
    expect(found.length).toBe(2_001);
    expect(found.find(([key]) => key === OTHERS)?.[1]).toBe(1_101);
    expect(found.find(([key]) => key === 'a1')?.[1]).toBe(3);
  });

  test('is exceeded by at most one batch of each other process that writes at the same time', async () => {
    const [a, b] = [await writer({ maxKeys: limits(10) }), await writer({ maxKeys: limits(10) })];
    const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    const batches = [
      journals[0]!.batch(remotes(...numbered('a', 8))),
      journals[1]!.batch(remotes(...numbered('b', 8))),
    ];
    // Both are admitted before either is stored.
    const found = await Promise.all([a.admit!(batches[0]!), b.admit!(batches[1]!)]);
    await a.apply(found[0]);
    await b.apply(found[1]);
    expect((await rows(storage, 'remotes', 'hour', { limit: 0 })).length).toBe(16);
    for (const [n, writing] of [a, b].entries()) {
      await put(writing, journals[n]!.batch(remotes(...numbered(`later${n}`, 5), 'a1', 'b1')));
    }
    const after = await rows(storage, 'remotes', 'hour', { limit: 0 });
    expect(after.length).toBe(17);
    expect(after.map(([key, hits]) => [key, hits]).slice(0, 3)).toEqual([
      [OTHERS, 10],
      ['a1', 3],
      ['b1', 3],
    ]);
  });
});

describe('a recount', () => {
  const request = {
    site: 'default',
    summary: { name: 'remotes', title: 'sumRemotes', column: 'remoteAddr' as const },
    period: 'hour' as const,
    from: Date.UTC(2026, 10, 24, 12),
    to: Date.UTC(2026, 10, 24, 13) - 1,
  };

  test('omits the records of batches whose sums are not stored', async () => {
    const writing = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await put(writing, journal.batch(remotes('a', 'b')));
    // The process dies after the records.
    beforeStatement = { text: 'usage_sums FORMAT', run: () => Promise.reject(new Error('killed')) };
    const second = journal.batch(remotes('a', 'c'));
    await expect(put(writing, second)).rejects.toThrow('killed');
    // So does that of a new journal.
    beforeStatement = { text: 'usage_sums FORMAT', run: () => Promise.reject(new Error('killed')) };
    const other = new TestJournal('b', storage.summaries).batch(remotes('d'));
    await expect(put(writing, other)).rejects.toThrow('killed');
    expect((await storage.getUsage()).length).toBe(5);
    const partly = await storage.reader.recount(request);
    expect(partly.counted).toEqual(partly.stored);
    expect(partly.records).toBe(2);
    await writing.apply(second);
    await writing.apply(other);
    const whole = await storage.reader.recount(request);
    expect(whole.counted).toEqual(whole.stored);
    expect(whole.counted.map(({ key, hits }) => [key, hits])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
      ['d', 1],
    ]);
  });

  test('ignores a batch that is stored between its queries, and counts forgotten journals', async () => {
    const writing = await writer();
    const old = new TestJournal('old', storage.summaries);
    await put(writing, old.batch(remotes('a')));
    await writing.forget(old.id);
    const journal = new TestJournal('a', storage.summaries);
    beforeStatement = {
      text: 'count() AS hits',
      run: async () => void (await put(writing, journal.batch(remotes('a', 'b')))),
    };
    const before = await storage.reader.recount(request);
    expect([before.counted, before.records]).toEqual([before.stored, 1]);
    const after = await storage.reader.recount(request);
    expect([after.counted, after.records]).toEqual([after.stored, 3]);
  });
});

killedRebuildCase(async (hooks) => {
  const url = clickhouse.url(DATABASE);
  return { url, storage: new ClickhouseStorage(url, { hooks }) };
});
