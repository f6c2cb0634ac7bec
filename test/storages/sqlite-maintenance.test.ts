import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { forget } from '../../src/index.ts';
import { monotonicClock, wallClock } from '../../src/platform/clock.ts';
import type {
  MaxKeys,
  StorageMaintenance,
  StorageWriter,
  WriterContext,
} from '../../src/storage/contract.ts';
import { pruneSteps } from '../../src/storage/prune.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { scrub } from '../../src/storages/sqlite/scrub.ts';
import { SqliteWriter } from '../../src/storages/sqlite/writer.ts';
import { summariesOf } from '../../src/summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openQueryClient } from '../../src/testing/query-client.ts';
import { rows, usage } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { checkHasText } from './sql-maintenance.ts';

const SUMMARIES = summariesOf(['urls', 'referrers', 'visitors']);
const CONTEXT: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };
const DAY = 24 * 3_600_000;

function openWriter(path: string, context: Partial<WriterContext> = {}) {
  const writer = new SqliteWriter({ path }, { ...CONTEXT, ...context });
  onTestFinished(() => writer.close());
  return writer;
}

const newPath = () => join(temporaryDirectory(), 'usage.db');

async function openClient(path: string) {
  const storage = new SqliteStorage(path, { hooks: SUMMARIES });
  onTestFinished(() => storage.close());
  return openQueryClient(storage);
}

/** Runs SQL in another connection. */
function run(path: string, sql: string) {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  try {
    if (!sql.startsWith('SELECT') && !sql.startsWith('PRAGMA')) return void database.exec(sql);
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

const one = (path: string, sql: string) => Object.values(run(path, sql)![0]!)[0];

async function prune(
  writer: SqliteWriter,
  before: number,
  parts = ['records', 'hour', 'day', 'month'] as const,
) {
  for (const part of parts) while ((await writer.maintenance.prune({ part, before, limit: 1_000 })) > 0);
}

/** Makes each step of a sweep as short as possible. */
function shortSteps() {
  let now = 0;
  const spy = vi.spyOn(monotonicClock, 'now').mockImplementation(() => (now += 1_000));
  onTestFinished(() => spy.mockRestore());
}

/** Returns an object with other members. */
function replacing<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get(_, name) {
      const found = Reflect.get(name in members ? members : object, name);
      return typeof found === 'function' ? found.bind(object) : found;
    },
  });
}

const person = (n: number, date = NOON): TestRecord => ({
  date,
  url: `/of/${n}`,
  serverName: `server ${n}`,
  agent: `agent ${n}`,
  browser: `browser ${n}`,
  referrer: `referrer ${n}`,
  visitor: `visitor ${n}`,
});

describe('a file of an older schema version', () => {
  /** Stores records, and removes what later versions have added. */
  async function newOldFile(records: TestRecord[], version = 1) {
    const path = newPath();
    run(path, 'PRAGMA auto_vacuum = NONE');
    const journal = new TestJournal('a', SUMMARIES);
    const writer = new SqliteWriter({ path }, CONTEXT);
    await writer.apply(journal.batch(records));
    await writer.close();
    run(
      path,
      `DROP VIEW usage_records; CREATE VIEW usage_records AS SELECT id FROM records;
       ${['path', 'referrer_host', 'campaign', 'class', 'received'].map((name) => `ALTER TABLE records DROP COLUMN ${name};`).join('')}
       ALTER TABLE agents DROP COLUMN device; PRAGMA user_version = 3`,
    );
    if (version === 3) return { path, journal };
    run(path, 'ALTER TABLE records DROP COLUMN url_key; PRAGMA user_version = 2');
    if (version === 2) return { path, journal };
    run(
      path,
      `${['key_counts', 'retention', 'leases', 'visitor_keys', 'sweeps', 'used_rows'].map((name) => `DROP TABLE ${name};`).join('')}
       PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA user_version = 1`,
    );
    return { path, journal };
  }

  test('is migrated, keeps its data, and counts the keys that a bucket already has', async () => {
    const { path, journal } = await newOldFile([1, 2, 3].map((n) => person(n)));
    const each = { hour: 4, day: 5, month: 3 };
    const maxKeys: MaxKeys = { all: each, summaries: {} };
    const writer = openWriter(path, { maxKeys });
    expect(one(path, 'PRAGMA user_version')).toBe(4);
    expect(await writer.apply(journal.batch([3, 4, 5, 6].map((n) => person(n))))).toBe(true);
    const client = await openClient(path);
    expect(await usage(client)).toHaveLength(7);
    const hits = async (period: 'hour' | 'day' | 'month') =>
      (await rows(client, 'urls', period)).map(([key, count]) => [key, count]);
    expect(await hits('hour')).toEqual([
      ['', 2],
      ['/of/3', 2],
      ['/of/1', 1],
      ['/of/2', 1],
      ['/of/4', 1],
    ]);
    expect(await hits('day')).toEqual([
      ['/of/3', 2],
      ['', 1],
      ['/of/1', 1],
      ['/of/2', 1],
      ['/of/4', 1],
      ['/of/5', 1],
    ]);
    expect(await hits('month')).toEqual([
      ['', 3],
      ['/of/3', 2],
      ['/of/1', 1],
      ['/of/2', 1],
    ]);
  });

  test('of version 2 is migrated, and counts further records by their keys', async () => {
    const { path, journal } = await newOldFile([person(1)], 2);
    const writer = openWriter(path);
    expect(one(path, 'PRAGMA user_version')).toBe(4);
    await writer.apply(journal.batch([{ ...person(2), urlKey: '/of/1' }]));
    const client = await openClient(path);
    expect((await rows(client, 'urls')).map(([key, hits]) => [key, hits])).toEqual([['/of/1', 2]]);
    expect((await client.totals({ filter: { urls: '/of/1' } })).totals.hits).toBe(2);
    expect(one(path, "SELECT url_key FROM usage_records WHERE url = '/of/2'")).toBe('/of/1');
  });

  test('of version 3 is migrated, and further records have the columns of version 4', async () => {
    const { path, journal } = await newOldFile([person(1)], 3);
    const writer = openWriter(path);
    expect(one(path, 'PRAGMA user_version')).toBe(4);
    const columns = { path: '/b', referrerHost: 'example.org', campaign: 'mail', class: 'page', received: 7 };
    // The user agent is stored already, without a device.
    await writer.apply(journal.batch([{ ...person(1), ...columns, url: '/b?c', device: 'mobile' }]));
    const client = await openClient(path);
    expect((await client.totals({ filter: { paths: '/b', devices: 'mobile' } })).totals.hits).toBe(1);
    expect((await client.totals({ filter: { devices: null } })).totals.hits).toBe(1);
    expect(one(path, "SELECT path || class || received FROM usage_records WHERE device = 'mobile'")).toBe(
      '/bpage7',
    );
    expect((await usage(client)).map(({ received }) => received)).toEqual([7, null]);
  });

  test('returns free space to the file system once it was rewritten', async () => {
    const { path } = await newOldFile([person(1)]);
    expect(one(path, 'PRAGMA auto_vacuum')).toBe(0);
    const { maintenance } = openWriter(path);
    while (await maintenance.sweep());
    await maintenance.scrub();
    expect(one(path, 'PRAGMA auto_vacuum')).toBe(2);
  });
});

describe('sweeping', () => {
  test('between the steps, another writer uses texts, agents and endpoints that nothing referred to', async () => {
    shortSteps();
    const path = newPath();
    const [writer, other] = [openWriter(path), openWriter(path)];
    const journals = ['a', 'b'].map((id) => new TestJournal(id, SUMMARIES));
    const old = Array.from({ length: 60 }, (_, n) => person(n, NOON - 40 * DAY));
    await writer.apply(journals[0]!.batch(old));
    // Now the other writer knows the IDs of all texts.
    await other.apply(journals[1]!.batch(old));
    await prune(writer, NOON - 30 * DAY);
    let steps = 0;
    while (await writer.maintenance.sweep()) {
      const record = person(steps, NOON + steps);
      if (steps < old.length) expect(await other.apply(journals[1]!.batch([record, record]))).toBe(true);
      steps += 1;
    }
    expect(steps).toBeGreaterThan(10);
    const used = Math.min(steps, old.length);
    const client = await openClient(path);
    const found = (await usage(client)).reverse().map((record) => {
      const { url, serverName, userAgent, referrer, visitor } = record;
      return { url, serverName, agent: userAgent?.string, browser: userAgent?.browser, referrer, visitor };
    });
    const expected = Array.from({ length: used }, (_, n) => {
      const { date: _date, ...texts } = person(n);
      return [texts, texts];
    }).flat();
    expect(found).toEqual(expected);
    for (const summary of ['urls', 'referrers', 'visitors']) {
      const sums = await rows(client, summary, 'month');
      expect(sums.map(([, hits]) => hits)).toEqual(Array.from({ length: used }, () => 2));
      expect(sums.filter(([key]) => key === null)).toEqual([]);
    }
    // Nothing is kept for the next search.
    expect(one(path, 'SELECT count(*) FROM used_rows')).toBe(0);
    while (await writer.maintenance.sweep());
    const unused = `SELECT count(*) FROM strings WHERE text LIKE '% ${old.length - 1}'`;
    expect(one(path, unused)).toBe(used === old.length ? 5 : 0);
  });

  test('removes every unused row and date, and never gives the ID of a text to another text', async () => {
    const path = newPath();
    const writer = openWriter(path);
    const journal = new TestJournal('a', SUMMARIES);
    await writer.apply(journal.batch([person(1, NOON - 40 * DAY), person(2)]));
    const largest = () => one(path, 'SELECT max(id) FROM strings') as number;
    const before = largest();
    await prune(writer, NOON + 40 * DAY);
    while (await writer.maintenance.sweep());
    const count = (table: string) => one(path, `SELECT count(*) FROM ${table}`);
    expect(['strings', 'agents', 'endpoints', 'buckets', 'key_counts'].map(count)).toEqual([1, 0, 0, 0, 0]);
    expect(one(path, 'SELECT hex(text) FROM strings')).toMatch(/^00/);
    expect(largest()).toBe(before);
    await writer.apply(journal.batch([person(3)]));
    expect(one(path, "SELECT min(id) FROM strings WHERE text = '/of/3'")).toBeGreaterThan(before);
    while (await writer.maintenance.sweep());
    expect(one(path, "SELECT count(*) FROM strings WHERE hex(text) LIKE '00%'")).toBe(0);
    const client = await openClient(path);
    expect((await usage(client)).map(({ url }) => url)).toEqual(['/of/3']);
  });

  test('of two processes at the same time, the one that started first ends', async () => {
    shortSteps();
    const path = newPath();
    const [a, b] = [openWriter(path), openWriter(path)];
    const journal = new TestJournal('a', SUMMARIES);
    await a.apply(journal.batch([person(1), person(2, NOON - 40 * DAY)]));
    await prune(a, NOON - 30 * DAY);
    expect(await a.maintenance.sweep()).toBe(true);
    expect(await b.maintenance.sweep()).toBe(true);
    while (await a.maintenance.sweep());
    expect(one(path, "SELECT count(*) FROM strings WHERE text = 'visitor 2'")).toBe(1);
    expect(one(path, 'SELECT active FROM sweeps')).toBe(1);
    while (await b.maintenance.sweep());
    expect(one(path, "SELECT count(*) FROM strings WHERE text = 'visitor 2'")).toBe(0);
    expect(one(path, 'SELECT active FROM sweeps')).toBe(0);
  });

  test('for the deletion of a person is not ended by the prunings of other sites of the file', async () => {
    shortSteps();
    const path = newPath();
    const writer = openWriter(path);
    await writer.apply(new TestJournal('a', SUMMARIES).batch([person(1), person(2)]));
    const prunings = await Promise.all(
      ['b', 'c'].map(async (site) => {
        const other = openWriter(path, { site });
        const journal = new TestJournal(site, SUMMARIES, 'UTC', site);
        await other.apply(journal.batch([person(3, NOON - 40 * DAY)]));
        const plan = { records: { keep: '30d', before: NOON - 30 * DAY } } as const;
        return pruneSteps(other.maintenance, plan, site);
      }),
    );
    const storage = new SqliteStorage(path, { hooks: SUMMARIES });
    onTestFinished(() => storage.close());
    let isBegun = false;
    let passes = 0;
    const sweep = async () => {
      const isContinued = isBegun;
      isBegun = await writer.maintenance.sweep();
      if (!isContinued) {
        for (const pruning of prunings) {
          // Up to the first step of its sweep.
          for (let isPart = true; isPart; ) {
            const { done, value } = await pruning.next();
            isPart = !done && value.part !== 'texts';
          }
        }
        passes += 1;
      }
      return isBegun;
    };
    const maintained = replacing<StorageWriter>(writer, {
      maintenance: replacing<StorageMaintenance>(writer.maintenance, { sweep }),
    });
    const beside = Object.create(storage, { openWriter: { value: async () => maintained } }) as SqliteStorage;
    await forget({ storage: beside, person: { column: 'visitor', value: 'visitor 2' } });
    expect(passes).toBe(1);
    expect(one(path, "SELECT count(*) FROM strings WHERE text = 'visitor 2'")).toBe(0);
  });

  test('returns free pages to the file system', async () => {
    const path = newPath();
    const writer = openWriter(path);
    const journal = new TestJournal('a', SUMMARIES);
    const records = Array.from({ length: 4_000 }, (_, n) => person(n, NOON - 40 * DAY));
    await writer.apply(journal.batch(records));
    await writer.apply(journal.batch([person(1)]));
    run(path, 'PRAGMA wal_checkpoint(TRUNCATE)');
    const before = statSync(path).size;
    await prune(writer, NOON - 30 * DAY);
    while (await writer.maintenance.sweep());
    run(path, 'PRAGMA wal_checkpoint(TRUNCATE)');
    expect(statSync(path).size).toBeLessThan(before / 4);
    expect(await usage(await openClient(path))).toHaveLength(1);
  });
});

describe('pruning', () => {
  test('finds late records before those that an earlier step has passed, beside an older site', async () => {
    const path = newPath();
    const [writer, other] = [openWriter(path), openWriter(path, { site: 'other' })];
    const journal = new TestJournal('a', SUMMARIES);
    const elsewhere = new TestJournal('b', SUMMARIES, 'UTC', 'other');
    await other.apply(elsewhere.batch([1, 2, 3].map((n) => person(n, NOON - 50 * DAY))));
    await writer.apply(journal.batch([1, 2, 3, 4].map((n) => person(n, NOON - 40 * DAY + n))));
    const step = () => writer.maintenance.prune({ part: 'records', before: NOON - 30 * DAY, limit: 2 });
    expect(await step()).toBe(2);
    await writer.apply(journal.batch([person(5, NOON - 60 * DAY)]));
    expect([await step(), await step(), await step(), await step()]).toEqual([2, 1, 0, 0]);
    expect(one(path, 'SELECT count(*) FROM records')).toBe(3);
  });

  test('keeps the lease until its end by the clock', async () => {
    let now = NOON;
    const spy = vi.spyOn(wallClock, 'now').mockImplementation(() => now);
    onTestFinished(() => spy.mockRestore());
    const path = newPath();
    const [a, b] = [openWriter(path).maintenance, openWriter(path).maintenance];
    const request = { task: 'prune', ms: 60_000 };
    expect(await a.lease({ ...request, holder: 'a' })).toBe(true);
    now += 59_999;
    expect(await b.lease({ ...request, holder: 'b' })).toBe(false);
    now += 1;
    expect(await b.lease({ ...request, holder: 'b' })).toBe(true);
    // The clock was a year ahead.
    now -= 365 * DAY;
    expect(await a.lease({ ...request, holder: 'a' })).toBe(true);
    expect(await b.lease({ ...request, holder: 'b' })).toBe(false);
  });
});

describe('scrubbing', () => {
  test('fails while a query reads what was deleted, and succeeds afterwards', async () => {
    const path = newPath();
    const writer = openWriter(path);
    await writer.apply(new TestJournal('a', SUMMARIES).batch([person(1, NOON - 40 * DAY), person(2)]));
    await prune(writer, NOON - 30 * DAY);
    const [reader, database] = [new DatabaseSync(path, { readOnly: true }), new DatabaseSync(path)];
    onTestFinished(() => {
      reader.close();
      database.close();
    });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM records').get();
    expect(() => scrub(database, 10)).toThrow('while another connection uses it');
    reader.exec('COMMIT');
    scrub(database, 10);
    expect(statSync(`${path}-wal`).size).toBe(0);
    expect({ ...database.prepare('PRAGMA busy_timeout').get() }).toEqual({ timeout: 0 });
  });
});

describe('the size', () => {
  test('counts every row, and adds up to no more than the file', async () => {
    const path = newPath();
    const records = Array.from({ length: 3_000 }, (_, n) => person(n % 1_700, NOON + n * 60_000));
    await openWriter(path).apply(new TestJournal('a', SUMMARIES).batch(records));
    const storage = new SqliteStorage(path);
    onTestFinished(() => storage.close());
    const { free, total, ...parts } = await storage.reader.size();
    const count = (table: string) => one(path, `SELECT count(*) FROM ${table}`);
    expect(Object.fromEntries(Object.entries(parts).map(([name, { rows: of }]) => [name, of]))).toEqual({
      records: 3_000,
      hour: count('hourly'),
      day: count('daily'),
      month: count('monthly'),
      texts: count('strings'),
    });
    const bytes = Object.values(parts).reduce((sum, part) => sum + part.bytes! + part.indexes!, free!);
    expect(bytes).toBeLessThan(total!);
    expect(bytes).toBeGreaterThan(0.7 * total!);
    expect(parts.texts.indexes).toBeGreaterThan(0);
  });
});

test('a part of a text is found in either case, until nothing refers to the text', async () => {
  const path = newPath();
  const writer = openWriter(path);
  const storage = new SqliteStorage(path, { hooks: SUMMARIES });
  onTestFinished(() => storage.close());
  await checkHasText(storage, writer);
});
