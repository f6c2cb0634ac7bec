import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { forget } from '../../src/maintenance/forget.ts';
import { monotonicClock } from '../../src/platform/clock.ts';
import type { Storage } from '../../src/query/storage.ts';
import type { DeltaRow } from '../../src/storage/batch-rows.ts';
import type { Batch, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import { maxKeysOf } from '../../src/storage/key-budget.ts';
import { KEEP_ALL, type Retention, type StoredRetention } from '../../src/storage/retention.ts';
import { sendWith } from '../../src/storages/redis/client.ts';
import { RedisStorage, type RedisStorageOptions } from '../../src/storages/redis/index.ts';
import { COPY } from '../../src/storages/redis/maintenance-scripts.ts';
import { recountAtOnce } from '../../src/storages/redis/recount.ts';
import { ADD, BEGIN } from '../../src/storages/redis/scripts.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { calendar, PERIODS } from '../../src/summaries/periods.ts';
import { sumUrls } from '../../src/summaries/standard.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter, put, rows } from '../../src/testing/support.ts';
import { killedRebuildCase } from '../maintenance/killed-rebuild-case.ts';
import { wrapped } from '../maintenance/support.ts';
import { RedisServer } from '../support/servers/redis.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TODAY = Math.floor(Date.now() / DAY) * DAY;
/** Start of the hour, the day and the month of `NOON`. */
const [HOUR_OF_NOON, DAY_OF_NOON, MONTH_OF_NOON] = [
  Date.UTC(2026, 10, 24, 12),
  Date.UTC(2026, 10, 24),
  Date.UTC(2026, 10, 1),
];
/** So long that the next key is changed by another call. */
const LONG = 'a'.repeat(2 ** 18);
const URLS_BY_DAY = 'usage:{default:urls:day:2026-11}';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.close());
beforeEach(() => void server.cli('flushall'));

function closeAfterTest<T extends { close(): Promise<unknown> }>(opened: T): T {
  onTestFinished(async () => void (await opened.close()));
  return opened;
}

function storageAt(url: string, options: RedisStorageOptions = {}): RedisStorage {
  return closeAfterTest(new RedisStorage(url, { hooks: ['urls'], ...options }));
}

async function writerOf(storage: Storage, context: Partial<WriterContext> = {}) {
  const writer = closeAfterTest(await openWriter(storage, context));
  return Object.assign(writer, { maintenance: writer.maintenance! });
}

/** Returns a storage whose commands are recorded. With `fails`, some of them are lost. */
async function spiedStorage(fails: (args: string[]) => boolean = () => false) {
  const client = await createClient({ url: server.url }).connect();
  onTestFinished(() => client.destroy());
  const sent: string[][] = [];
  const storage = new RedisStorage(
    {
      sendCommand(args: string[]) {
        sent.push(args);
        return fails(args) ? Promise.reject(new Error('lost')) : sendWith(client, '', args);
      },
    },
    { hooks: ['urls'] },
  );
  return { storage, sent, client };
}

const urls = (...names: (string | number)[]) => names.map((url) => ({ url: String(url) }));
const hits = async (storage: Storage, period: 'hour' | 'day' | 'month' = 'hour') =>
  (await rows(storage, 'urls', period)).map(([key, count]) => [key, count]);

describe('the key budget', () => {
  const maxKeys = maxKeysOf(4);

  test('looks at no key while the bucket has room, with one call per series', async () => {
    const { storage, sent } = await spiedStorage();
    const writer = await writerOf(storage, { maxKeys: maxKeysOf(100) });
    const journal = new TestJournal('a', storage.summaries);
    sent.length = 0;
    const batch = journal.batch(urls('a', 'b', 'c'));
    expect(await writer.admit!(batch)).toBe(batch);
    expect(sent).toHaveLength(3);
    // The text of the script has `a`, `b` and `c`, too.
    expect(sent.flat().filter((arg) => ['a', 'b', 'c'].includes(arg))).toEqual([]);
  });

  test('is never exceeded by batches that are admitted before others are stored', async () => {
    const storage = storageAt(server.url);
    const writers = await Promise.all([1, 2, 3].map(() => writerOf(storage, { maxKeys })));
    const journals = ['a', 'b', 'c'].map((id) => new TestJournal(id, storage.summaries));
    const batches = journals.map((journal, n) => journal.batch(urls(`${n}0`, `${n}1`, `${n}2`)));
    const admitted: Batch[] = [];
    for (const [n, writer] of writers.entries()) admitted.push(await writer.admit!(batches[n]!));
    for (const [n, writer] of writers.entries()) expect(await writer.apply(admitted[n]!)).toBe(true);
    expect(await hits(storage)).toEqual([
      [OTHERS, 5],
      ['00', 1],
      ['01', 1],
      ['02', 1],
      ['10', 1],
    ]);
    expect(server.cli('exists', 'usage:{default:urls:hour:2026-11}:reserved')).toBe('0');
  });

  test('counts the keys that others reserved as taken, and leaves the rest to later batches', async () => {
    const storage = storageAt(server.url);
    const [a, b] = await Promise.all([1, 2].map(() => writerOf(storage, { maxKeys })));
    const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    await put(a!, journals[0]!.batch(urls('x', 'y')));
    // The keys exist, but the reservation does not know which ones they are.
    const pending = await a!.admit!(journals[0]!.batch(urls('x', 'y')));
    await put(b!, journals[1]!.batch(urls('new', 'x')));
    await a!.apply(pending);
    expect(await hits(storage)).toEqual([
      ['x', 3],
      ['y', 2],
      [OTHERS, 1],
    ]);
    await put(b!, journals[1]!.batch(urls('new')));
    expect((await hits(storage)).map(([key]) => key)).toContain('new');
  });

  test('is reserved once for a batch that is admitted again, and given back a day after a batch is lost', async () => {
    const storage = storageAt(server.url);
    const [a, b] = await Promise.all([1, 2].map(() => writerOf(storage, { maxKeys })));
    const lost = new TestJournal('a', storage.summaries).batch(urls(1, 2, 3, 4));
    for (let n = 0; n < 3; n++) await a!.admit!(lost);
    const reserved = 'usage:{default:urls:day:2026-11}:reserved';
    const [field, value] = server.cli('hgetall', reserved).split('\n') as [string, string];
    expect(field).toBe(`2026-11-24T00:00:00+00:00 ${lost.journal}`);
    const [count, time] = value.split(' ').map(Number) as [number, number];
    expect(count).toBe(4);
    const journal = new TestJournal('b', storage.summaries);
    await put(b!, journal.batch(urls('new')));
    expect(await hits(storage, 'day')).toEqual([[OTHERS, 1]]);
    server.cli('hset', reserved, field, `4 ${time - 86_401}`);
    await put(b!, journal.batch(urls('new')));
    expect(await hits(storage, 'day')).toEqual([
      [OTHERS, 1],
      ['new', 1],
    ]);
    expect(await hits(storage, 'hour')).toEqual([[OTHERS, 2]]);
  });

  test('is checked in pieces, in the order of the batch', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage, { maxKeys: maxKeysOf({ hour: 1_700, day: 10, month: 5_000 }) });
    const journal = new TestJournal('a', storage.summaries);
    const names = Array.from({ length: 2_500 }, (_, n) => `u${n}`);
    await put(writer, journal.batch(urls(...names)));
    await put(writer, journal.batch(urls(...names.toReversed(), 'more')));
    const found = new Map((await rows(storage, 'urls', 'hour')).map(([key, count]) => [key, count]));
    expect(found.size).toBe(1_701);
    expect(found.get(OTHERS)).toBe(1_601);
    expect(names.slice(0, 1_700).every((name) => found.get(name) === 2)).toBe(true);
    expect(await rows(storage, 'urls', 'day')).toHaveLength(11);
    expect(await rows(storage, 'urls', 'month')).toHaveLength(2_501);
  });
});

describe('corrections', () => {
  test('are exact with either sign, also beyond 2^53', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    const random = new Random(11);
    const expected = [1n, 0n, 0n, 0n];
    const value = () => {
      // Integers that a double represents exactly.
      const size = random.of([10, 2 ** 31, 2 ** 53, 1e15, 2 ** 62, 2 ** 70]);
      return Math.floor((random.next() - 0.5) * 2 * size) || 0;
    };
    for (let n = 0; n < 120; n++) {
      const [transfer, errors, duration] = [value(), value(), value()];
      const first = n === 0 ? 1 : 0;
      for (const [i, added] of [transfer, errors, duration].entries()) expected[i + 1]! += BigInt(added);
      const row = { summary: 'urls', period: 'day', bucket: DAY_OF_NOON, key: 'a' } as const;
      await writer.apply(journal.correction([{ ...row, hits: first, transfer, errors, duration }]));
      if (n % 10 < 9) continue;
      const sums = server.cli('hget', `${URLS_BY_DAY}:2026-11-24T00:00:00+00:00:sums`, 'a');
      expect(sums).toBe(expected.join(' '));
    }
  });

  test('leave nothing of a key without hits, and keep the order of others', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    const change = (key: string | null, count: number): DeltaRow => {
      const measures = { hits: count, transfer: 5 * count, errors: 0, duration: 1_500 * count };
      return { summary: 'urls', period: 'day', bucket: DAY_OF_NOON, key, ...measures };
    };
    await writer.apply(journal.batch(urls('a', 'a', 'a', 'b', 'b', 'c')));
    await writer.apply(
      journal.correction([change('a', -2), change('c', -1), change(null, 4), change(OTHERS, 1)]),
    );
    expect(await hits(storage, 'day')).toEqual([
      [null, 4],
      ['b', 2],
      [OTHERS, 1],
      ['a', 1],
    ]);
    const [tops, sums] = ['tops', 'sums'].map((kind) => `${URLS_BY_DAY}:2026-11-24T00:00:00+00:00:${kind}`);
    await writer.apply(
      journal.correction([change('a', -1), change('b', -2), change(null, -4), change(OTHERS, -1)]),
    );
    expect(server.cli('exists', tops!, sums!)).toBe('0');
    expect(await hits(storage, 'day')).toEqual([]);
    expect(await hits(storage, 'month')).toHaveLength(3);
  });

  test('left by a killed process are completed when their journal is removed', async () => {
    const writer = await writerOf(storageAt(server.url));
    let left = Number.POSITIVE_INFINITY;
    const { storage, sent, client } = await spiedStorage(() => left-- <= 0);
    const dying = await writerOf(storage);
    let [isStored, halves] = [false, 0];
    for (let n = 0; !isStored; n++) {
      await client.flushAll();
      await put(writer, new TestJournal('a', storage.summaries).batch([{ urlKey: LONG }, { urlKey: 'b' }]));
      const journal = new TestJournal('b', storage.summaries);
      const move = [LONG, null].map((key): DeltaRow => {
        const hits = key === null ? 1 : -1;
        const measures = { hits, transfer: 5 * hits, errors: 0, duration: 1_500 * hits };
        return { summary: 'urls', period: 'hour', bucket: HOUR_OF_NOON, key, ...measures };
      });
      const batch = journal.correction(move);
      sent.length = 0;
      left = n;
      isStored = await dying.apply(batch).catch(() => false);
      left = Number.POSITIVE_INFINITY;
      if ((await hits(storage)).length === 1) halves += 1;
      await writer.forget(journal.id);
      const isSaved = sent.slice(0, n).some(([name]) => name === 'HSET');
      expect(await rows(storage, 'urls', 'hour'), `killed after ${n} commands`).toEqual([
        [isSaved ? 'b' : LONG, 1, 5, 0, 1_500],
        [isSaved ? null : 'b', 1, 5, 0, 1_500],
      ]);
      expect(await client.exists('usage:corrections:default')).toBe(0);
      expect(await client.hKeys('usage:journals')).toEqual([new TestJournal('a', []).id]);
    }
    expect(halves).toBeGreaterThan(0);
  });
});

describe('retention', () => {
  const expiryOf = (key: string) => Number(server.cli('pexpiretime', key));
  const retained = (retention: Partial<Retention>): StoredRetention =>
    Object.fromEntries(
      Object.entries({ ...KEEP_ALL, ...retention }).map(([part, keep]) => [part, { keep, before: null }]),
    );

  test('that changes moves the expiry of existing buckets', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage, { retention: { ...KEEP_ALL, hour: '10d' } });
    await writer.apply(new TestJournal('a', storage.summaries).batch([{ date: TODAY }]));
    const month = new Date(TODAY).toISOString().slice(0, 7);
    const series = `usage:{default:urls:hour:${month}}`;
    const bucket = `${series}:${calendar('UTC').format(TODAY)}`;
    const keys = [`${bucket}:sums`, `${bucket}:tops`];
    const zone = calendar('UTC');
    const list = zone.next('month', zone.monthOf(TODAY));
    const times = () => [...keys, `${series}:buckets`].map(expiryOf);
    const expected = (days: number) => [
      TODAY + (days + 2) * DAY,
      TODAY + (days + 2) * DAY,
      list + (days + 1) * DAY,
    ];
    expect(times()).toEqual(expected(10));
    await writer.maintenance.retain(retained({ hour: '40d' }));
    expect(times()).toEqual(expected(40));
    await writer.maintenance.retain(retained({}));
    expect(times()).toEqual([-1, -1, -1]);
    await writer.maintenance.retain(retained({ hour: '3d', day: '2y' }));
    expect(times()).toEqual(expected(3));
    expect(
      expiryOf(`usage:{default:urls:month:${month}}:${calendar('UTC').format(zone.monthOf(TODAY))}:sums`),
    ).toBe(-1);
  });

  test('is reported as far as Redis has removed buckets by itself', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage, { retention: { ...KEEP_ALL, hour: '2d' } });
    await writer.maintenance.retain(retained({ hour: '2d' }));
    const beforeOf = async () => (await storage.reader.retention('default')).hour?.before;
    expect(await beforeOf()).toBeNull();
    await writer.apply(new TestJournal('a', storage.summaries).batch([{ date: TODAY - 60 * DAY }]));
    expect(await hits(storage, 'hour')).toEqual([]);
    // A query never includes a day that is partly gone.
    expect(await beforeOf()).toBeGreaterThanOrEqual(TODAY - 4 * DAY);
    expect(await beforeOf()).toBeLessThan(TODAY);
  });

  test('includes the records that were removed as too many', async () => {
    const storage = storageAt(server.url, { maxRecords: 3 });
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    const records = async () => (await storage.reader.retention('default')).records;
    await writer.apply(journal.batch([0, 1, 1].map((ms) => ({ date: NOON + ms }))));
    expect(await records()).toBeUndefined();
    await writer.apply(journal.batch([{ date: NOON + 2 }, { date: NOON + 3 }]));
    // One of the two records of the first remaining millisecond is gone.
    expect(await records()).toEqual({ keep: 'forever', before: NOON + 2 });
    await writer.maintenance.retain({ records: { keep: '30d', before: NOON } });
    expect(await records()).toEqual({ keep: '30d', before: NOON + 2 });
    await writer.maintenance.retain({ records: { keep: '30d', before: NOON + 9 } });
    expect(await records()).toEqual({ keep: '30d', before: NOON + 9 });
  });

  test('includes all records if none are kept', async () => {
    const storage = storageAt(server.url, { maxRecords: 0 });
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    await writer.apply(journal.batch([{ date: NOON + 0.5 }, { date: NOON - 1 }]));
    await writer.apply(journal.batch([{ date: NOON - 7 }]));
    const { records } = await storage.reader.retention('default');
    expect(records).toEqual({ keep: 'forever', before: NOON + 1 });
  });

  test('deletes records that were stored long after their date, and no others', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    const dates = Array.from({ length: 2_600 }, (_, n) => NOON + ((n * 7_919) % 2_600) * HOUR);
    await writer.apply(journal.batch(dates.map((date) => ({ date }))));
    const before = NOON + 1_300 * HOUR;
    let deleted = 0;
    for (let step = 1; step > 0; deleted += step) {
      step = await writer.maintenance.prune({ part: 'records', before, limit: 400 });
    }
    expect(deleted).toBe(1_300);
    const left = (await storage.getUsage({ limit: 0, to: NOON + 1e10 })).map(({ date }) => date);
    expect(left).toEqual(dates.filter((date) => date >= before).sort((a, b) => b - a));
  });

  test('removes the names of series whose buckets are gone', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    await writer.apply(journal.batch([NOON - 60 * DAY, NOON - 30 * DAY, NOON].map((date) => ({ date }))));
    const series = () => server.cli('smembers', 'usage:series:default').split('\n').sort();
    expect(series()).toHaveLength(18);
    expect(await writer.maintenance.prune({ part: 'hour', before: DAY_OF_NOON, limit: 100 })).toBe(4);
    expect(series().filter((name) => name.includes(':hour:'))).toEqual([
      'coverage:hour:2026-11',
      'urls:hour:2026-11',
    ]);
    expect(await writer.maintenance.prune({ part: 'hour', before: DAY_OF_NOON, limit: 100 })).toBe(0);
    expect(series()).toHaveLength(14);
  });
});

describe('a recount', () => {
  const request = {
    site: 'default',
    summary: { name: 'urls', title: 'sumUrls', column: 'url' },
    period: 'hour',
    from: HOUR_OF_NOON,
    to: HOUR_OF_NOON + HOUR - 1,
  } as const;

  test('waits for a batch that is partly stored, except in other buckets', async () => {
    const { storage: spied, sent } = await spiedStorage(
      ([name, script]) => name === 'EVAL' && script!.includes('XADD'),
    );
    const storage = storageAt(server.url);
    const journal = new TestJournal('a', storage.summaries);
    const batch = journal.batch(urls('a', 'b', 'a'));
    await expect((await writerOf(spied)).apply(batch)).rejects.toThrow('lost');
    expect(sent.some(([, script]) => script?.includes('XADD'))).toBe(true);
    expect(await hits(storage)).toHaveLength(2);
    const before = { ...request, from: request.from - HOUR, to: request.from - 1 };
    expect((await storage.reader.recount(before)).records).toBe(0);
    let isDone = false;
    const recount = storage.reader.recount(request).finally(() => {
      isDone = true;
    });
    const paused = () => server.cli('hexists', 'usage:journals', 'recount default') === '1';
    await expect.poll(paused).toBe(true);
    expect(isDone).toBe(false);
    // The batch in progress continues. Another one would wait.
    const other = await spiedStorage();
    expect(await (await writerOf(other.storage)).apply(batch)).toBe(true);
    expect(other.sent.filter(([, script]) => script === BEGIN)).toHaveLength(1);
    const { stored, counted, records } = await recount;
    expect([stored.length, records]).toEqual([2, 3]);
    expect(stored).toEqual(counted);
    expect(paused()).toBe(false);
  });

  test.each([
    ['before the newest record is read', [true], 1],
    ['after it is read', [false, true], 1],
    ['while the sums are read', [false, false], 2],
  ])('is repeated if a batch is in progress %s', async (_, busy, changes) => {
    let sums = 0;
    const pauses: number[] = [];
    const source: Parameters<typeof recountAtOnce>[1] = {
      keys: async () => {
        sums += 1;
        const row = {
          key: 'a',
          hits: Math.min(changes, Math.ceil(sums / 2)),
          transfer: 0,
          errors: 0,
          duration: 0,
        };
        return { rows: [row], count: 1, total: row };
      },
      entries: async () => [busy.shift() ? `0 0 64 ${request.to} ${request.to} default` : '64 1'],
      pause: async (ms) => void pauses.push(ms),
      last: async () => '5-0',
      rows: async function* () {},
      scan: async () => ({ records: [], next: undefined }),
    };
    const { stored } = await recountAtOnce(request, source);
    expect(stored.map(({ hits }) => hits)).toEqual([changes]);
    expect(sums).toBeGreaterThan(4);
    expect(pauses).toEqual([]);
  });

  test('fails if a batch does not end, and lets the others continue', async () => {
    const { now } = monotonicClock;
    onTestFinished(() => {
      monotonicClock.now = now;
    });
    let time = 0;
    monotonicClock.now = () => {
      time += 1_000;
      return time;
    };
    const pauses: number[] = [];
    const nothing = { hits: 0, transfer: 0, errors: 0, duration: 0 };
    const recount = recountAtOnce(request, {
      keys: async () => ({ rows: [], count: 0, total: nothing }),
      entries: async () => [`0 0 64 ${request.from} ${request.to} default`],
      pause: async (ms) => void pauses.push(ms),
      last: async () => '0-0',
      rows: async function* () {},
      scan: async () => ({ records: [], next: undefined }),
    });
    await expect(recount).rejects.toMatchObject({ code: 'RECOUNT_BUSY' });
    expect(pauses.slice(0, -1).every((ms) => ms > 0)).toBe(true);
    expect(pauses.at(-1)).toBe(0);
  });

  test('delays batches of its range for a limited time', async () => {
    const storage = storageAt(server.url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    await writer.apply(journal.batch(urls('a')));
    const pause = (end: number) =>
      server.cli('hset', 'usage:journals', 'recount default', `${end} ${request.from} ${request.to}`);
    pause(Date.now() + 600_000);
    expect(await writer.apply(journal.batch([{ date: NOON - DAY }]))).toBe(true);
    let isStored = false;
    const waiting = writer.apply(journal.batch(urls('a'))).finally(() => {
      isStored = true;
    });
    expect((await storage.reader.recount(request)).records).toBe(1);
    expect(isStored).toBe(false);
    pause(Date.now() - 1);
    expect(await waiting).toBe(true);
    expect((await storage.reader.recount(request)).records).toBe(2);
  });
});

describe('deleting a person', () => {
  const person = { column: 'username', value: 'jane' } as const;

  async function withPerson(
    url: string,
  ): Promise<{ storage: RedisStorage; writer: StorageWriter; journal: TestJournal }> {
    const storage = storageAt(url);
    const writer = await writerOf(storage);
    const journal = new TestJournal('a', storage.summaries);
    await writer.apply(
      journal.batch(
        Array.from({ length: 2_500 }, (_, n) => ({
          date: NOON + n,
          username: (n + 1) % 500 ? 'joe' : 'jane',
        })),
      ),
    );
    return { storage, writer, journal };
  }

  test('copies the stream, so that its entries keep their order, limits and IDs', async () => {
    const { storage, writer, journal } = await withPerson(server.url);
    expect(await writer.maintenance!.erase(person, 3)).toBe(3);
    expect(await writer.maintenance!.erase(person, 100)).toBe(2);
    expect(await writer.maintenance!.erase(person, 100)).toBe(0);
    const last = () =>
      /last-generated-id\n(\S+)/.exec(server.cli('xinfo', 'stream', 'usage:{default:records}'))?.[1];
    const before = [await storage.getUsage({ limit: 0 }), last()];
    server.cli('xadd', 'usage:{default:records}:copy', '1-1', 'left', 'over');
    await writer.maintenance!.scrub();
    expect([await storage.getUsage({ limit: 0 }), last()]).toEqual(before);
    expect(server.cli('exists', 'usage:{default:records}:copy')).toBe('0');
    expect(server.cli('pttl', 'usage:{default:records}')).toBe('-1');
    await writer.apply(journal.batch([{ date: NOON, username: 'jane' }]));
    expect(await writer.maintenance!.erase(person, 100)).toBe(1);
    expect(await storage.getUsage({ limit: 0 })).toEqual(before[0]);
  });

  test.each([
    ['trimmed', 3, 0],
    ['deleted, which takes a second pass,', 6, 5],
  ])('copies a stream while entries are %s', async (_, pieces, deleted) => {
    const { storage, writer } = await withPerson(server.url);
    const client = await createClient({ url: server.url }).connect();
    onTestFinished(() => client.destroy());
    let copied = 0;
    const other = new RedisStorage(
      {
        async sendCommand(args: string[]) {
          const answer = await sendWith(client, '', args);
          if (args[1] !== COPY) return answer;
          copied += 1;
          if (copied !== 1) return answer;
          await writer.maintenance!.prune({ part: 'records', before: NOON + 100, limit: 1_000 });
          if (deleted > 0) expect(await writer.maintenance!.erase(person, 100)).toBe(deleted);
          return answer;
        },
      },
      { hooks: [] },
    );
    await (await writerOf(other)).maintenance.scrub();
    expect(copied).toBe(pieces);
    const found = await storage.getUsage({ limit: 0 });
    expect(found).toHaveLength(2_500 - 100 - deleted);
    expect(found.filter(({ username }) => username === 'jane')).toHaveLength(5 - deleted);
  });

  test('is completed after a run was killed between the sums of the key and those without a key', async () => {
    let isHalf = false;
    let isKilled = false;
    const { storage: spied, sent } = await spiedStorage((args) => {
      isKilled ||= isHalf;
      isHalf ||= args[1] === ADD && args.includes(LONG) && sent.some(([name]) => name === 'XDEL');
      return isKilled;
    });
    const killed = wrapped(spied, (writer) => Object.assign(writer, { refuses: () => true }));
    const { storage: other, client } = await spiedStorage();
    const storage = wrapped(other, (writer) => {
      writer.maintenance!.scrub = async () => {};
      return writer;
    });
    const journal = new TestJournal('a', storage.summaries);
    const records = [LONG, 'b'].map((urlKey) => ({ urlKey, username: urlKey }));
    await (await writerOf(storage)).apply(journal.batch(records));
    const person = { column: 'username', value: LONG } as const;
    await expect(forget({ storage: killed, person })).rejects.toThrow('lost');
    expect(await hits(storage)).toEqual([['b', 1]]);
    // The lease of a killed process ends by itself.
    await client.del('usage:lease:rebuild:default');
    await forget({ storage, person });
    for (const period of PERIODS) {
      expect(await rows(storage, 'urls', period)).toEqual([
        ['b', 1, 5, 0, 1_500],
        [null, 1, 5, 0, 1_500],
      ]);
    }
  });

  test.each(['3600 1', ''])('rewrites the snapshot of a server with the setting save "%s"', async (save) => {
    const snapshots = await RedisServer.start('--appendonly', 'no', '--save', save);
    onTestFinished(() => snapshots.close());
    const { writer } = await withPerson(snapshots.url);
    snapshots.cli('save');
    expect(snapshots.contains('jane')).toBe(true);
    while ((await writer.maintenance!.erase(person, 100)) > 0);
    await writer.maintenance!.scrub();
    expect([snapshots.contains('jane'), snapshots.contains('joe')]).toEqual([false, true]);
  });

  test('makes no snapshot on a server without any', async () => {
    const { writer } = await withPerson(server.url);
    await writer.maintenance!.scrub();
    expect(server.cli('info', 'persistence')).toContain('rdb_saves:0');
  });
});

describe('a change of the time zone', () => {
  const BERLIN = 'Europe/Berlin';
  const batch = (zone: string, id: string) => new TestJournal(id, [sumUrls], zone).batch(urls('a'));

  test('is refused while a batch of the site remains in progress, and batches go on', async () => {
    const storage = storageAt(server.url);
    const { maintenance } = await writerOf(storage);
    // Left by a process that was killed.
    server.cli('hset', 'usage:journals', 'killed', '0 0 64 0 10 default');
    server.cli('hset', 'usage:journals', 'another', '0 0 64 0 10 other');
    const { now } = monotonicClock;
    onTestFinished(() => {
      monotonicClock.now = now;
    });
    let passed = 0;
    monotonicClock.now = () => {
      passed += 6_000;
      return now() + passed;
    };
    const change = { from: 'UTC', to: BERLIN };
    await expect(maintenance.setTimeZone(change)).rejects.toMatchObject({ code: 'TIME_ZONE_BUSY' });
    expect(await storage.reader.timeZone('default')).toBe('UTC');
    expect(await put(await writerOf(storage), batch('UTC', 'a'))).toBe(true);
    server.cli('hdel', 'usage:journals', 'killed');
    expect(await maintenance.setTimeZone(change)).toBe(true);
  });

  test('that was killed between its two steps is completed by the next batch in the new zone', async () => {
    const storage = storageAt(server.url);
    const [old, { maintenance }] = [await writerOf(storage), await writerOf(storage)];
    await maintenance.setTimeZone({ from: 'UTC', to: BERLIN });
    server.cli('hset', 'usage:journals', 'zone default', 'UTC');
    expect(await put(await writerOf(storage, { timeZone: BERLIN }), batch(BERLIN, 'a'))).toBe(true);
    await expect(put(old, batch('UTC', 'b'))).rejects.toMatchObject({ code: 'STORAGE_TIME_ZONE' });
  });
});

test('scrubbing fails clearly if the user may not rewrite the files', async () => {
  server.cli('acl', 'setuser', 'limited', 'on', '>secret', '~*', '+@all', '-bgrewriteaof');
  const storage = storageAt(server.url.replace('//', '//limited:secret@'));
  const { maintenance } = await writerOf(storage);
  await expect(maintenance.scrub()).rejects.toMatchObject({ code: 'SCRUB_FAILED' });
  await expect(maintenance.scrub()).rejects.toThrow(/redis:\/\/127.*NOPERM.*bgrewriteaof/);
});

test('the size is without bytes if the user may not measure them', async () => {
  server.cli('acl', 'setuser', 'limited', 'on', '>secret', '~*', '+@all', '-memory');
  const storage = storageAt(server.url.replace('//', '//limited:secret@'));
  await (await writerOf(storage)).apply(new TestJournal('a', storage.summaries).batch(urls('a', 'b')));
  const { records, hour, day, total } = await storage.reader.size();
  expect([records.rows, records.bytes, hour.rows, day.indexes, total]).toEqual([2, null, 3, null, null]);
  const whole = await storageAt(server.url).reader.size();
  expect(whole.hour.rows).toBe(3);
  expect(whole.total).toBeGreaterThan(1_000);
});

test('a month begins in the time zone of the site', async () => {
  const timeZone = 'Pacific/Kiritimati';
  const storage = storageAt(server.url);
  const writer = await writerOf(storage, { timeZone });
  const zone = calendar(timeZone);
  // The first hour of the month is at 10:00 of the previous day in UTC.
  const month = zone.monthOf(MONTH_OF_NOON);
  const journal = new TestJournal('a', storage.summaries, timeZone);
  await writer.apply(journal.batch([{ date: month - 1 }, { date: month }]));
  const prune = (before: number) => writer.maintenance.prune({ part: 'hour', before, limit: 10 });
  expect(await prune(month)).toBe(2);
  expect(await prune(month)).toBe(0);
  expect(await prune(month + HOUR)).toBe(2);
  expect(await hits(storage, 'hour')).toEqual([]);
});

killedRebuildCase(async (hooks) => ({
  url: server.url,
  storage: new RedisStorage(server.url, { hooks }),
}));
