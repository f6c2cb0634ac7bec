/** Tests options, refused arguments, and passwords in messages. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { horizonsOf, KEEP_ALL, type Retention } from '../../src/storage/retention.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { connect } from '../../src/storages/clickhouse/driver.ts';
import {
  type ClickhouseClient,
  ClickhouseStorage,
  type ClickhouseStorageOptions,
} from '../../src/storages/clickhouse/index.ts';
import type { ClickhouseOptions } from '../../src/storages/clickhouse/options.ts';
import { SCHEMA_VERSION } from '../../src/storages/clickhouse/tables.ts';
import { calendar, type Period } from '../../src/summaries/periods.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';
import { CLICKHOUSE_PASSWORD } from '../support/servers/clickhouse-password.ts';

const DATABASE = 'track_usage_options';
let clickhouse: ClickhouseServer;
/** Modifying statements since `commands` was cleared. */
const commands: string[] = [];
let client: ClickhouseClient;

beforeAll(async () => {
  clickhouse = await clickhouseServer();
  const options = new ClickhouseStorage(clickhouse.url(DATABASE)).threadOptions() as ClickhouseOptions;
  const real = await connect(options);
  client = {
    query: real.query.bind(real),
    exec: real.exec.bind(real),
    close: () => real.close(),
    command(params) {
      commands.push(params.query);
      return real.command(params);
    },
  };
});
afterAll(async () => {
  await client?.close();
  await clickhouse?.close();
});

async function dropDatabase(): Promise<void> {
  await clickhouse.sql(`DROP DATABASE IF EXISTS ${DATABASE} SYNC`);
}

async function open(options: ClickhouseStorageOptions, context = {}): Promise<void> {
  commands.length = 0;
  const writer = await openWriter(new ClickhouseStorage(client, { database: DATABASE, ...options }), context);
  await writer.close();
}

function engineOf(table: string): Promise<string> {
  return clickhouse.sql(
    `SELECT engine_full FROM system.tables WHERE database = '${DATABASE}' AND name = '${table}'`,
  );
}

describe('retention', () => {
  beforeAll(dropDatabase);

  const KEPT: Retention = { records: '30d', hour: '90d', day: 'forever', month: '10y' };
  const DAY = 24 * 3600;
  const rule = (date: string, seconds: number) =>
    `toDateTime(least(toUnixTimestamp(${date}) + ${seconds}, 4294967295))`;

  test('is the TTL of the tables, with a margin; set, not repeated, changed and removed', async () => {
    await open({}, { retention: KEPT });
    expect(await engineOf('usage_records')).toContain(
      `TTL ${rule('toDateTime(date)', 34 * DAY)} WHERE site IN (\\'default\\') SETTINGS`,
    );
    expect(await engineOf('usage_sums')).toContain(
      `TTL ${rule('bucket', 94 * DAY)} WHERE (period = \\'hour\\') AND (site IN (\\'default\\')), ${rule('bucket', 3700 * DAY)} WHERE (period = \\'month\\') AND (site IN (\\'default\\')) SETTINGS`,
    );
    await open({}, { retention: KEPT });
    expect(commands).toEqual([]);
    // A copy has no retention of its own.
    await open({});
    expect(commands).toEqual([]);
    await open({}, { retention: { ...KEPT, records: '31d' } });
    expect(commands.map((sql) => /^\s*(?:INSERT|ALTER TABLE \S+)/.exec(sql)?.[0])).toEqual([
      'INSERT',
      `ALTER TABLE \`${DATABASE}\`.usage_records`,
    ]);
    await open({}, { retention: KEEP_ALL });
    expect(await engineOf('usage_records')).not.toContain('TTL');
    expect(await engineOf('usage_sums')).not.toContain('TTL');
  });

  test('is separate for each site, whatever its name', async () => {
    const site = "it's \\ SETTINGS";
    await open({}, { retention: KEPT });
    await open({}, { retention: KEPT, site });
    await open({}, { retention: { ...KEPT, records: '2mo' }, site: 'other' });
    expect(await engineOf('usage_records')).toMatch(/IN \(.*IN \(/);
    for (const context of [{ site }, { site: 'other' }, {}]) await open({}, context);
    expect(commands).toEqual([]);
    for (const each of [site, 'other', 'default']) await open({}, { retention: KEEP_ALL, site: each });
  });

  test('deletes older rows, and neither newer rows nor positions', async () => {
    const storage = new ClickhouseStorage(client, { database: DATABASE, hooks: ['urls'] });
    const retention: Retention = { records: '1d', hour: '1d', day: '1d', month: '99999y' };
    const writer = await openWriter(storage, { retention });
    const journal = new TestJournal('a', storage.summaries);
    const now = Date.now();
    // The engine deletes records some days later than necessary, so that they are pruned before.
    const dates = [now, now - 2 * DAY * 1000, now - 400 * DAY * 1000];
    const batch = journal.batch(dates.map((date) => ({ date })));
    await writer.apply(batch);
    for (const table of ['usage_records', 'usage_sums']) {
      await clickhouse.sql(`OPTIMIZE TABLE ${DATABASE}.${table} FINAL`);
    }
    expect((await storage.getUsage()).length).toBe(2);
    const hits = async (period: Period) => (await storage.getSum('urls', { period, limit: 0 })).length;
    // On the first two days of a month, the second date is in the previous month.
    const months = new Set(dates.map((date) => new Date(date).toISOString().slice(0, 7))).size;
    expect([await hits('hour'), await hits('day'), await hits('month')]).toEqual([2, 2, months]);
    expect((await writer.position(journal.id))?.position).toBe(batch.to.position);
    await writer.close();
    await storage.close();
  });

  test('is reported from the clock of the server if no process prunes', async () => {
    await dropDatabase();
    await open({});
    const storage = new ClickhouseStorage(client, { database: DATABASE });
    expect(await storage.reader.retention('default')).toEqual({});
    await open({}, { retention: KEPT });
    const { records, hour, day, month } = await storage.reader.retention('default');
    expect([records?.keep, hour?.keep, day, month?.keep]).toEqual([
      '30d',
      '90d',
      { keep: 'forever', before: null },
      '10y',
    ]);
    const horizon = horizonsOf(KEPT, calendar('UTC'), Date.now() - 2 * DAY * 1000);
    expect([records?.before, hour?.before, month?.before]).toEqual([
      horizon.records,
      horizon.hour,
      horizon.month,
    ]);
    await storage.close();
  });
});

describe('durable', () => {
  test('makes the server write to disk before it responds, and is set once', async () => {
    await dropDatabase();
    await open({}, { durable: true });
    expect(await engineOf('usage_sums')).toMatch(/fsync_after_insert = 1/);
    await open({}, { durable: true });
    expect(commands).toEqual([]);
  });
});

describe('a database', () => {
  beforeAll(dropDatabase);

  test('with a foreign table is refused and not changed', async () => {
    await clickhouse.sql(`CREATE DATABASE ${DATABASE}`);
    await clickhouse.sql(`CREATE TABLE ${DATABASE}.usage_records (a UInt8) ENGINE = Log`);
    await expect(open({})).rejects.toMatchObject({ code: 'STORAGE_FOREIGN' });
    expect(commands).toEqual([]);
    await dropDatabase();
  });

  test('of a newer release is refused', async () => {
    await open({});
    await clickhouse.sql(
      `ALTER TABLE ${DATABASE}.usage_sums MODIFY COMMENT 'track-usage ${SCHEMA_VERSION + 1}'`,
    );
    await expect(open({})).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    const storage = new ClickhouseStorage(client, { database: DATABASE });
    await expect(storage.getUsage()).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    await storage.close();
  });

  test('with missing tables is dropDatabase for readers, and completed by the next writer', async () => {
    await clickhouse.sql(`DROP TABLE ${DATABASE}.usage_sums SYNC`);
    const storage = new ClickhouseStorage(client, { database: DATABASE });
    expect(await storage.getUsage()).toEqual([]);
    await open({});
    expect(await engineOf('usage_sums')).toMatch(/^SummingMergeTree/);
    expect(await storage.getUsage()).toEqual([]);
    await storage.close();
  });

  test('has views', async () => {
    await dropDatabase();
    const storage = new ClickhouseStorage(client, { database: DATABASE, hooks: ['urls', 'referrers'] });
    const writer = await openWriter(storage);
    const journal = new TestJournal('a', storage.summaries);
    for (let n = 0; n < 2; n++) await writer.apply(journal.batch([{ status: 500 }, { referrer: 'r' }]));
    await writer.close();
    const view = await clickhouse.sql(
      `SELECT * FROM ${DATABASE}.usage_daily ORDER BY summary, key NULLS LAST`,
    );
    expect(view).toBe(
      [
        'default\tcoverage\t2026-11-24 00:00:00\treferrers,urls\t4\t20\t2\t6000',
        'default\treferrers\t2026-11-24 00:00:00\tr\t2\t10\t0\t3000',
        'default\treferrers\t2026-11-24 00:00:00\t\\N\t2\t10\t2\t3000',
        'default\turls\t2026-11-24 00:00:00\thttp://localhost/\t4\t20\t2\t6000',
        '',
      ].join('\n'),
    );
  });
});

describe('the server', () => {
  test('is refused if it is too old', async () => {
    // The response of Debian's version 18.16.
    const old: ClickhouseClient = {
      ...client,
      query: async () => ({ json: async () => [{ version: '18.16.1', known: 0 }] }),
    };
    const storage = new ClickhouseStorage(old, { database: 'usage' });
    const message =
      'clickhouse://client/usage has server version 18.16.1, which does not support the settings ' +
      'insert_deduplication_token and input_format_native_allow_types_conversion; upgrade the server.';
    await expect(openWriter(storage)).rejects.toMatchObject({ code: 'STORAGE_SERVER', message });
    await expect(storage.getUsage()).rejects.toMatchObject({ code: 'STORAGE_SERVER' });
  });

  test('is named without the password in every error', async () => {
    const { port } = new URL(clickhouse.url('x').replace('clickhouse', 'http'));
    const messages: string[] = [];
    for (const [user, at] of [
      ['default:wr0ng%40pass', port],
      [`default:${encodeURIComponent(CLICKHOUSE_PASSWORD)}`, '1'],
    ]) {
      const storage = new ClickhouseStorage(`clickhouse://${user}@127.0.0.1:${at}/usage`);
      expect(`${storage.label} ${storage.identity}`).not.toMatch(/default|pass/);
      const error: Error = await openWriter(storage).then(
        () => expect.unreachable(),
        (failure) => failure,
      );
      messages.push(`${error.message} ${error.stack} ${JSON.stringify(error)}`);
    }
    for (const text of messages) {
      expect(text).not.toContain('wr0ng');
      expect(text).not.toContain(CLICKHOUSE_PASSWORD);
      expect(text).not.toContain(encodeURIComponent(CLICKHOUSE_PASSWORD));
    }
  });

  test.each([
    ['clickhouse://localhost', 'clickhouse://localhost:8123/default'],
    ['clickhouse://u:p@db.example:9123/usage', 'clickhouse://db.example:9123/usage'],
    ['clickhouse://localhost:80/usage', 'clickhouse://localhost/usage'],
    ['clickhouses://[::1]/a%20b', 'clickhouse://[::1]:8443/a b'],
    ['http://localhost:8123', 'clickhouse://localhost:8123/default'],
    ['https://cloud.example/usage', 'clickhouse://cloud.example/usage'],
  ])('%s has the label %s', (url, label) => {
    expect(new ClickhouseStorage(url).label).toBe(label);
  });

  test('is found by the scheme of the URL', async () => {
    expect(await storageAt('clickhouse://localhost/usage').open()).toBeInstanceOf(ClickhouseStorage);
    expect(storageAt('clickhouses://localhost/usage').scheme).toBe('clickhouses');
  });
});

describe('invalid options', () => {
  test.each([
    [() => new ClickhouseStorage(''), 'OPTION_INVALID'],
    [() => new ClickhouseStorage('postgres://u:secret@host/db'), 'OPTION_INVALID'],
    [() => new ClickhouseStorage('clickhouse://'), 'OPTION_INVALID'],
    [() => new ClickhouseStorage(null as never), 'OPTION_INVALID'],
    [() => new ClickhouseStorage({} as never), 'OPTION_INVALID'],
    [() => new ClickhouseStorage('clickhouse://h', { cluser: 'x' } as never), 'OPTION_UNKNOWN'],
    [() => new ClickhouseStorage('clickhouse://h', { cluster: '' }), 'OPTION_INVALID'],
    [() => new ClickhouseStorage('clickhouse://h', { ttl: { records: 30 } } as never), 'OPTION_UNKNOWN'],
  ])('are refused: %s', (make, code) => {
    expect(make).toThrow(expect.objectContaining({ code, message: expect.not.stringContaining('secret') }));
  });
});
