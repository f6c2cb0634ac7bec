import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import type { Storage } from '../../src/query/storage.ts';
import type { WriterContext } from '../../src/storage/contract.ts';
import { KEEP_ALL } from '../../src/storage/retention.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { sendWith, within } from '../../src/storages/redis/client.ts';
import { RedisStorage, type RedisStorageOptions } from '../../src/storages/redis/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { calendar } from '../../src/summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { RedisServer } from '../support/servers/redis.ts';

const DAY = 86_400_000;
const TODAY = Math.floor(Date.now() / DAY) * DAY;

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.close());
beforeEach(() => void server.cli('flushall'));

function closeAfterTest<T extends Storage>(storage: T): T {
  onTestFinished(() => storage.close());
  return storage;
}

async function openStorage(options: RedisStorageOptions = {}, context: Partial<WriterContext> = {}) {
  const storage = closeAfterTest(new RedisStorage(server.url, { hooks: ['urls'], ...options }));
  const writer = await openWriter(storage, context);
  onTestFinished(() => writer.close());
  return { storage, writer, journal: new TestJournal('a', storage.summaries) };
}

describe('constructor arguments', () => {
  test('are a URL or a client', () => {
    const expectRefusal = (given: unknown, ...words: string[]) => {
      const make = () => new RedisStorage(given as string);
      for (const word of words) expect(make).toThrow(word);
      expect(make).not.toThrow('secret');
    };
    expectRefusal('http://user:secret@host', '"server" is an invalid URL');
    expectRefusal('redis://user:secret@host:99999', 'an invalid URL');
    expectRefusal('redis://user:secret@host/x', 'an invalid URL');
    expectRefusal('redis://user:secret%@host', 'percent-encoded');
    expectRefusal([], 'an empty list');
    expectRefusal(['redis://a', 7], '"server" is 7');
    expectRefusal({}, '"server" is another object');
    expectRefusal(undefined, 'expected a URL such as "redis://');
    expect(new RedisStorage('rediss://user:secret@[::1]/3').label).toBe('redis://[::1]:6379/3');
    expect(new RedisStorage('redis://host', { prefix: 'shop' }).label).toBe('redis://host:6379/0 shop');
  });

  test('include validated options', () => {
    const make = (options: unknown) => () => new RedisStorage('redis://host', options as RedisStorageOptions);
    expect(make({ maxRecord: 1 })).toThrow('unknown option "maxRecord"');
    expect(make({ prefix: 'a{b}' })).toThrow('"RedisStorage.prefix" is "a{b}"');
    expect(make({ maxRecords: -1 })).toThrow('"RedisStorage.maxRecords" is -1');
  });

  test('include URLs with the scheme redis, whose reading creates nothing', async () => {
    const storage = closeAfterTest(await storageAt(server.url).open(['urls']));
    expect(storage).toBeInstanceOf(RedisStorage);
    expect(await storage.getUsage()).toEqual([]);
    // A query creates nothing.
    expect(server.cli('dbsize')).toBe('0');
  });

  test('identify the same storage by URL and by client', async () => {
    const client = createClient({ url: `${server.url}/2` });
    expect(new RedisStorage(client).identity).toBe(new RedisStorage(`${server.url}/2`).identity);
    const storage = closeAfterTest(new RedisStorage(`${server.url}/2`, { hooks: ['urls'] }));
    const writer = await openWriter(storage);
    await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
    await writer.close();
    expect(server.cli('-n', '2', 'exists', 'usage:schema')).toBe('1');
  });
});

describe('a database', () => {
  test('of another program or a newer release is not changed', async () => {
    server.cli('set', 'usage:schema', 'mine');
    await expect(openWriter(new RedisStorage(server.url))).rejects.toMatchObject({ code: 'STORAGE_FOREIGN' });
    await expect(closeAfterTest(new RedisStorage(server.url)).getUsage()).rejects.toMatchObject({
      code: 'STORAGE_FOREIGN',
    });
    server.cli('del', 'usage:schema');
    server.cli('rpush', 'usage:schema', 'mine');
    await expect(openWriter(new RedisStorage(server.url))).rejects.toMatchObject({ code: 'STORAGE_FOREIGN' });
    expect(server.cli('dbsize')).toBe('1');
    server.cli('set', 'usage:schema', '2');
    await expect(openWriter(new RedisStorage(server.url))).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
  });

  test('that requires a password does not reveal the wrong one', async () => {
    const locked = await RedisServer.start('--requirepass', 'right');
    onTestFinished(() => locked.close());
    const at = (password: string) => locked.url.replace('//', `//:${password}@`);
    const failure = await openWriter(new RedisStorage(at('secret'))).catch((error: Error) => error);
    expect((failure as Error).message).toMatch(/WRONGPASS/);
    expect((failure as Error).message).not.toMatch(/secret/);
    const writer = await openWriter(new RedisStorage(at('right')));
    expect(await writer.position('a')).toBeUndefined();
    await writer.close();
  });

  test('that was emptied is filled again from the journal', async () => {
    const { storage, writer, journal } = await openStorage();
    const [first, second] = [journal.batch([{}]), journal.batch([{}, {}])];
    await writer.apply(first);
    server.cli('flushall');
    expect(await writer.apply(second)).toBe(false);
    expect(await writer.position(journal.id)).toBeUndefined();
    expect(await writer.apply(first)).toBe(true);
    expect(await writer.apply(second)).toBe(true);
    expect(await rows(storage, 'urls')).toEqual([['http://localhost/', 3, 15, 0, 4500]]);
    expect(await storage.reader.timeZone('default')).toBe('UTC');
  });

  test('with a foreign key of another type is not changed', async () => {
    const { storage, writer, journal } = await openStorage();
    const tops = 'usage:{default:urls:day:2026-11}:2026-11-24T00:00:00+00:00:tops';
    server.cli('set', tops, 'mine');
    const batch = journal.batch([{}]);
    for (let n = 0; n < 2; n++) await expect(writer.apply(batch)).rejects.toThrow('of somebody else');
    server.cli('del', tops);
    expect(await writer.apply(batch)).toBe(true);
    for (const period of ['hour', 'day', 'month'] as const) {
      expect(await rows(storage, 'urls', period)).toEqual([['http://localhost/', 1, 5, 0, 1500]]);
    }
  });
});

describe('calls', () => {
  test('that arrive late, twice or split differently change nothing', async () => {
    const { storage, writer, journal } = await openStorage();
    const client = createClient({ url: server.url });
    await client.connect();
    onTestFinished(() => client.destroy());
    const sent: string[][] = [];
    const spy = new RedisStorage(
      {
        sendCommand(args: string[]) {
          sent.push(args);
          // The last calls are lost.
          if (args[0] === 'EVAL' && sent.filter(([name]) => name === 'EVAL').length > 6) {
            return Promise.reject(new Error('lost'));
          }
          return sendWith(client, '', args);
        },
      },
      { hooks: ['urls'] },
    );
    const records = Array.from({ length: 1_600 }, (_, n) => ({ url: `u${n}` }));
    const batch = journal.batch(records);
    await expect((await openWriter(spy)).apply(batch)).rejects.toThrow('lost');
    expect(await writer.apply(batch)).toBe(true);
    const calls = sent.filter(([name]) => name === 'EVAL');
    expect(calls.length).toBeGreaterThan(6);
    const next = journal.batch(records);
    for (const call of calls) await client.sendCommand(call);
    expect(await writer.apply(next)).toBe(true);
    for (const call of calls) await client.sendCommand(call);
    for (const period of ['hour', 'day', 'month'] as const) {
      const found = await rows(storage, 'urls', period);
      expect(found.length).toBe(1_600);
      expect(found.filter(([, hits]) => hits !== 2)).toEqual([]);
    }
    expect(await storage.getUsage({ limit: 0 })).toHaveLength(3_200);
  });

  test('leave guards that expire', async () => {
    const { writer, journal } = await openStorage();
    await writer.apply(journal.batch([{}]));
    const guards = server.cli('keys', 'usage:*:at:*').split('\n');
    expect(guards).toHaveLength(7);
    for (const guard of guards) expect(Number(server.cli('ttl', guard))).toBeGreaterThan(86_000);
    expect(server.cli('persist', 'usage:journals')).toBe('0');
  });

  test('time out', async () => {
    await expect(within(20, () => new Promise(() => {}))).rejects.toMatchObject({ code: 'TIMEOUT' });
    const client = createClient({ url: server.url });
    const offline = closeAfterTest(new RedisStorage(client));
    await expect(offline.getUsage()).rejects.toMatchObject({ code: 'STORAGE_OFFLINE' });
  });
});

describe('sums', () => {
  test('are exact beyond 64 bits', async () => {
    const { storage, writer, journal } = await openStorage();
    const record = { contentLength: Number.MAX_SAFE_INTEGER, duration: 1 };
    for (let n = 0; n < 3; n++)
      await writer.apply(journal.batch(Array.from({ length: 1_000 }, () => record)));
    const sums = 'usage:{default:urls:month:2026-11}:2026-11-01T00:00:00+00:00:sums';
    // Each batch adds a double: 1000 × (2^53 - 1) rounds to a multiple of 1024.
    const added = BigInt(
      Array.from({ length: 1_000 }).reduce<number>((sum) => sum + Number.MAX_SAFE_INTEGER, 0),
    );
    const [hits, transfer] = server.cli('hget', sums, 'http://localhost/').split(' ');
    expect([hits, transfer]).toEqual(['3000', String(added * 3n)]);
    const [row] = await rows(storage, 'urls', 'month');
    expect(row).toEqual(['http://localhost/', 3_000, Number(added * 3n), 0, 3_000]);
  });

  test('expire a day after the time for which they are kept', async () => {
    const { storage, writer, journal } = await openStorage(
      {},
      { retention: { ...KEEP_ALL, hour: '2d', day: '40d' } },
    );
    await writer.apply(
      journal.batch([
        { date: TODAY, url: 'new' },
        { date: TODAY - 4 * DAY, url: 'old' },
      ]),
    );
    const keys = async (period: 'hour' | 'day' | 'month') =>
      (await rows(storage, 'urls', period)).map(([key]) => key).sort();
    // A bucket that expired before its records arrived is not stored.
    expect(await keys('hour')).toEqual(['new']);
    expect(await keys('day')).toEqual(['new', 'old']);
    const expiryTimes = (pattern: string) =>
      server
        .cli('keys', pattern)
        .split('\n')
        .map((key) => Number(server.cli('pexpiretime', key)));
    // Hours are deleted by whole days, and days by whole months.
    expect(expiryTimes('usage:{default:urls:hour:*}:*:sums')).toEqual([TODAY + 4 * DAY]);
    expect(expiryTimes('usage:{default:urls:hour:*}:*:tops')).toEqual([TODAY + 4 * DAY]);
    const zone = calendar('UTC');
    const ends = [TODAY - 4 * DAY, TODAY].map((ms) => zone.next('month', zone.monthOf(ms)) + 41 * DAY);
    expect(expiryTimes('usage:{default:urls:day:*}:*:tops').sort()).toEqual(ends);
    expect(new Set(expiryTimes('usage:{default:urls:day:*}:buckets'))).toEqual(new Set(ends));
    expect(new Set(expiryTimes('usage:{default:urls:month:*}:*s'))).toEqual(new Set([-1]));
  });
});

describe('records', () => {
  const dates = async (storage: Storage, options = {}) =>
    (await storage.getUsage({ limit: 0, ...options })).map(({ date }) => date - NOON);

  test('are limited to the newest ones stored', async () => {
    const { storage, writer, journal } = await openStorage({ maxRecords: 3 });
    await writer.apply(journal.batch(Array.from({ length: 5 }, (_, n) => ({ date: NOON + n }))));
    expect(await dates(storage)).toEqual([4, 3, 2]);
    await writer.apply(journal.batch([{ date: NOON + 9 }]));
    expect(await dates(storage)).toEqual([9, 4, 3]);
    expect((await rows(storage, 'urls'))[0]?.[1]).toBe(6);
  });

  test('can be disabled', async () => {
    const { storage, writer, journal } = await openStorage({ maxRecords: 0 });
    expect(await writer.apply(journal.batch([{}]))).toBe(true);
    expect(await storage.getUsage()).toEqual([]);
    expect((await rows(storage, 'urls'))[0]?.[1]).toBe(1);
    expect(server.cli('keys', 'usage:{default:records}*')).not.toContain('usage:{default:records}\n');
  });

  test('stored long after their date are found and ordered by date', async () => {
    const { storage, writer, journal } = await openStorage();
    const random = new Random(3);
    // Records are read in pieces of 1,000.
    const all = Array.from({ length: 4_500 }, (_, n) => n * 1_000);
    const shuffled = [...all].sort(() => random.next() - 0.5);
    for (let n = 0; n < shuffled.length; n += 1_500) {
      await writer.apply(journal.batch(shuffled.slice(n, n + 1_500).map((ms) => ({ date: NOON + ms }))));
    }
    const newest = all.toReversed();
    expect(await dates(storage)).toEqual(newest);
    expect(await dates(storage, { limit: 10 })).toEqual(newest.slice(0, 10));
    expect(await dates(storage, { limit: 10, page: 200 })).toEqual(newest.slice(1_990, 2_000));
    expect(await dates(storage, { from: NOON + 5_000, to: NOON + 9_999 })).toEqual(
      [9, 8, 7, 6, 5].map((s) => s * 1_000),
    );
    const found: number[] = [];
    let after: string | undefined;
    do {
      const { records, next } = await storage.reader.scan({ site: 'default', after, limit: 700 });
      found.push(...records.map(({ ms }) => ms - NOON));
      after = next;
    } while (after !== undefined);
    expect(found).toEqual(all);
  });

  test('stored late are no longer tracked as late when they are gone', async () => {
    const { writer, journal } = await openStorage({ maxRecords: 2 });
    await writer.apply(journal.batch([{ date: NOON }, { date: NOON - DAY }]));
    const late = 'usage:{default:records}:late';
    expect(server.cli('hget', late, 'ms')).toBe(String(DAY));
    const [entry] = server.cli('xrevrange', 'usage:{default:records}', '+', '-', 'count', '1').split('\n');
    expect(server.cli('hget', late, 'until')).toBe(entry);
  });

  test('before 1970 are read', async () => {
    const { storage, writer, journal } = await openStorage();
    await writer.apply(journal.batch([{ date: -5_000 }, { date: 3 }]));
    expect((await storage.getUsage()).map(({ date }) => date)).toEqual([3, -5_000]);
    expect((await storage.getUsage({ to: 0 })).map(({ date }) => date)).toEqual([-5_000]);
    const { records } = await storage.reader.scan({ site: 'default', after: undefined, limit: 5 });
    expect(records.map(({ ms }) => ms)).toEqual([-5_000, 3]);
  });
});

describe('copy', () => {
  test('copies from SQLite and back', { timeout: 400_000 }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const sqlite = (name: string) =>
      closeAfterTest(new SqliteStorage(join(directory, name), { hooks: STANDARD_SUMMARIES }));
    const [from, back] = [sqlite('a.db'), sqlite('b.db')];
    const timeZone = 'Asia/Kathmandu';
    const writer = await openWriter(from, { site: 'shop', timeZone });
    const journal = new TestJournal('a', STANDARD_SUMMARIES, timeZone, 'shop');
    const random = new Random(7);
    const records = Array.from({ length: 11_000 }, (_, n) => ({
      ...random.record(),
      extra: { vars: { n } },
    }));
    await writer.apply(journal.batch(records));
    await writer.apply(
      journal.batch(HOSTILE_TEXTS.map((text, n) => ({ url: text, agent: text, date: NOON + n }))),
    );
    await writer.close();
    const count = records.length + HOSTILE_TEXTS.length;
    const redis = closeAfterTest(new RedisStorage(server.url, { hooks: STANDARD_SUMMARIES }));
    expect((await copy({ from, to: redis, site: 'shop' })).records).toBe(count);
    expect((await copy({ from: redis, to: back, site: 'shop' })).records).toBe(count);
    const usage = { site: 'shop', limit: 300 };
    expect(await redis.getUsage(usage)).toEqual(await from.getUsage(usage));
    expect(await back.getUsage(usage)).toEqual(await from.getUsage(usage));
    expect(await rows(back, 'urls', 'month', { site: 'shop' })).toEqual(
      await rows(from, 'urls', 'month', { site: 'shop' }),
    );
  });
});
