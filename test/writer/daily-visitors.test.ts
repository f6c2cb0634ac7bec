import { createServer } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TrackUsageOptions } from '../../src/index.ts';
import { readSettings } from '../../src/options/tracker-options.ts';
import { wallClock } from '../../src/platform/clock.ts';
import type { StorageWriter, VisitorKeyRequest } from '../../src/storage/contract.ts';
import { isDailyVisitor } from '../../src/storage/visitors.ts';
import { MemoryLocation } from '../../src/storages/memory/location.ts';
import { calendar } from '../../src/summaries/periods.ts';
import { DailyVisitors } from '../../src/writer/thread/daily-visitors.ts';
import { http1Client } from '../support/client.ts';
import { closeServer, listen } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const ID = /^d:[0-9a-f]{32}$/;
const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';

afterEach(() => void vi.restoreAllMocks());

const setClock = (time: string) => vi.spyOn(wallClock, 'now').mockReturnValue(Date.parse(time));

/** Opens a writing end of a location in memory, which records the requested keys. */
function openWriter(location: MemoryLocation, site = 'default') {
  const requests: VisitorKeyRequest[] = [];
  const writer = location.openWriter({ site, timeZone: 'Europe/Berlin', durable: false });
  const { visitorKey } = writer;
  writer.visitorKey = (request) => {
    requests.push(request);
    return visitorKey!(request);
  };
  return { writer, requests };
}

function visitorsOf({ site = 'default', secret }: { site?: string; secret?: string } = {}): DailyVisitors {
  return new DailyVisitors({ secret }, site, calendar('Europe/Berlin'));
}

/** Returns the ID of a request, as a pipeline determines it. */
async function idOf(
  visitors: DailyVisitors,
  writer: StorageWriter,
  time: string,
  address = '192.0.2.1',
  agent = CHROME,
): Promise<string | null> {
  await visitors.renew(writer);
  if (!visitors.knows(Date.parse(time))) {
    expect(visitors.isWaiting).toBe(true);
    await visitors.load(writer);
    expect(visitors.knows(Date.parse(time))).toBe(true);
  }
  expect(visitors.isWaiting).toBe(false);
  return visitors.idOf(address, agent);
}

describe('an ID', () => {
  test('is the same within a day, in all processes, and differs by address, user agent and site', async () => {
    setClock('2026-11-30T12:00:00Z');
    const location = new MemoryLocation(100);
    const { writer } = openWriter(location);
    const visitors = visitorsOf();
    const of = (address?: string, agent?: string) =>
      idOf(visitors, writer, '2026-11-30T12:00:00Z', address, agent);
    const ids = [
      await of(),
      await of('192.0.2.2'),
      await of('192.0.2.1', FIREFOX),
      await of('192.0.2.1', ''),
    ];
    for (const id of ids) expect(id).toMatch(ID);
    expect(new Set(ids).size).toBe(4);
    expect(isDailyVisitor(ids[0]!)).toBe(true);
    expect(isDailyVisitor('d'.repeat(32))).toBe(false);
    expect(await idOf(visitors, writer, '2026-11-30T00:00:00+01:00')).toBe(ids[0]);
    expect(await idOf(visitors, writer, '2026-11-30T23:59:59.999+01:00')).toBe(ids[0]);
    expect(await idOf(visitorsOf(), openWriter(location).writer, '2026-11-30T12:00:00Z')).toBe(ids[0]);
    const other = openWriter(location, 'other').writer;
    expect(await idOf(visitorsOf({ site: 'other' }), other, '2026-11-30T12:00:00Z')).not.toBe(ids[0]);
    expect(await of('')).toBe(null);
  });

  test('differs from day to day, and its key is destroyed after the next day', async () => {
    setClock('2026-11-30T22:59:00Z');
    const { writer, requests } = openWriter(new MemoryLocation(100));
    const visitors = visitorsOf();
    const first = await idOf(visitors, writer, '2026-11-30T22:59:00Z');
    // Midnight in Berlin.
    setClock('2026-11-30T23:00:00Z');
    const second = await idOf(visitors, writer, '2026-11-30T23:00:00Z');
    expect(second).toMatch(ID);
    expect(second).not.toBe(first);
    expect(await idOf(visitors, writer, '2026-11-30T22:00:00Z')).toBe(first);
    setClock('2026-12-01T22:59:59Z');
    expect(await idOf(visitors, writer, '2026-11-30T22:00:00Z')).toBe(first);
    expect(await idOf(visitorsOf(), writer, '2026-11-30T22:00:00Z')).toBe(first);
    expect(requests.map(({ day, oldest }) => `${day} ${oldest}`)).toEqual([
      '2026-11-30 2026-11-29',
      '2026-12-01 2026-11-30',
      '2026-12-01 2026-11-30',
      '2026-11-30 2026-11-30',
    ]);
    // The key of the current day is in use when the older one is destroyed.
    expect(await idOf(visitors, writer, '2026-12-01T12:00:00Z')).toBe(second);
    setClock('2026-12-01T23:00:00Z');
    for (const each of [visitors, visitorsOf()]) {
      expect(await idOf(each, writer, '2026-11-30T22:00:00Z')).toBe(null);
      expect(await idOf(each, writer, '2026-12-01T22:00:00Z')).toBe(
        await idOf(visitors, writer, '2026-12-01T12:00:00Z'),
      );
    }
    const { visitorKey } = writer;
    const again = await visitorKey!({ day: '2026-11-30', oldest: '2026-11-30', proposal: Buffer.alloc(32) });
    expect(Buffer.from(again).equals(Buffer.alloc(32))).toBe(true);
  });

  test('old keys are destroyed without requests, once per day', async () => {
    setClock('2026-11-30T12:00:00Z');
    const { writer, requests } = openWriter(new MemoryLocation(100));
    const visitors = visitorsOf();
    for (const time of [
      '2026-11-30T12:00:00Z',
      '2026-11-30T22:00:00Z',
      '2026-11-30T23:00:00Z',
      '2026-12-01T12:00:00Z',
    ]) {
      setClock(time);
      await visitors.renew(writer);
    }
    expect(requests.map(({ day }) => day)).toEqual(['2026-11-30', '2026-12-01']);
  });

  test('a storage that fails is asked again', async () => {
    setClock('2026-11-30T12:00:00Z');
    const { writer } = openWriter(new MemoryLocation(100));
    const { visitorKey } = writer;
    writer.visitorKey = () => Promise.reject(new Error('offline'));
    const visitors = visitorsOf();
    await expect(visitors.renew(writer)).rejects.toThrow('offline');
    expect(visitors.knows(Date.parse('2026-11-30T12:00:00Z'))).toBe(false);
    await expect(visitors.load(writer)).rejects.toThrow('offline');
    expect(visitors.isWaiting).toBe(true);
    writer.visitorKey = visitorKey!;
    expect(await idOf(visitors, writer, '2026-11-30T12:00:00Z')).toMatch(ID);
  });

  test('after the database was replaced, its key counts', async () => {
    setClock('2026-11-30T12:00:00Z');
    const visitors = visitorsOf();
    const { writer } = openWriter(new MemoryLocation(100));
    const before = await idOf(visitors, writer, '2026-11-30T12:00:00Z');
    visitors.reset();
    expect(await idOf(visitors, writer, '2026-11-30T12:00:00Z')).toBe(before);
    visitors.reset();
    const other = openWriter(new MemoryLocation(100)).writer;
    expect(await idOf(visitors, other, '2026-11-30T12:00:00Z')).not.toBe(before);
  });

  test('with a secret, it needs no storage and no time limit', async () => {
    setClock('2026-11-30T12:00:00Z');
    const { writer, requests } = openWriter(new MemoryLocation(100));
    const of = (secret: string, time: string, site?: string) =>
      idOf(visitorsOf(site === undefined ? { secret } : { secret, site }), writer, time);
    const id = await of('one', '2026-11-30T12:00:00Z');
    expect(id).toMatch(ID);
    expect(await of('one', '2026-11-30T12:00:00Z')).toBe(id);
    const others = [
      await of('two', '2026-11-30T12:00:00Z'),
      await of('one', '2026-11-29T12:00:00Z'),
      await of('one', '2020-01-01T12:00:00Z'),
      await of('one', '2026-11-30T12:00:00Z', 'other'),
    ];
    expect(new Set([id, null, ...others]).size).toBe(6);
    expect(requests).toEqual([]);
  });

  test('a storage that cannot keep keys has none', async () => {
    const { writer } = openWriter(new MemoryLocation(100));
    delete writer.visitorKey;
    expect(await idOf(visitorsOf(), writer, new Date().toISOString())).toBe(null);
  });
});

/** Sends requests to a tracked server, and returns the stored visitors. */
async function visitorsIn(
  recorder: Recorder,
  requests: readonly [address: string, agent: string][],
): Promise<(string | null)[]> {
  const server = createServer((_request, response) => response.end());
  recorder.usage.attach(server);
  const { address } = await listen(server as never);
  const client = http1Client(address);
  for (const [from, agent] of requests) {
    await client.request({ headers: { 'X-Forwarded-For': from, 'User-Agent': agent } });
  }
  const records = await recorder.take(requests.length);
  client.close();
  await closeServer(server);
  return records.map(({ visitor }) => visitor);
}

const DAILY: TrackUsageOptions = { visitors: 'daily', trustProxy: true };

test('an app with daily visitors', async () => {
  const recorder = await Recorder.create({ ...DAILY, store: { remoteAddr: false, userAgent: false } });
  const [first, again, other, browser, bot, nobody] = await visitorsIn(recorder, [
    ['198.51.100.1', CHROME],
    ['198.51.100.1', CHROME],
    ['198.51.100.2', CHROME],
    ['198.51.100.1', FIREFOX],
    ['198.51.100.1', 'Googlebot/2.1'],
    ['198.51.100.1', CHROME],
  ]);
  // Another process with the same database.
  const next = Recorder.open(recorder.directory, {
    ...DAILY,
    journal: { dir: `${recorder.directory}/next` },
  });
  const inNext = await visitorsIn(next, [['198.51.100.2', CHROME]]).finally(() => next.usage.close());
  await recorder.close();
  expect(first).toMatch(ID);
  expect([again, nobody, bot, inNext.at(-1)]).toEqual([first, first, null, other]);
  expect(new Set([first, other, browser]).size).toBe(3);
});

test('with anonymizeIp, people of one network with the same browser are one visitor', async () => {
  const recorder = await Recorder.create({ ...DAILY, anonymizeIp: true });
  const [first, same, other] = await visitorsIn(recorder, [
    ['198.51.100.1', CHROME],
    ['198.51.100.2', CHROME],
    ['203.0.113.1', CHROME],
  ]);
  await recorder.close();
  expect(first).toMatch(ID);
  expect(same).toBe(first);
  expect(other).not.toBe(first);
});

test('records of two days in one batch', async () => {
  const clock = Date.now();
  const recorder = await Recorder.create(DAILY);
  const times = [0, -24, -24, 0, -72].map((hours) => clock + hours * 3_600_000);
  const now = vi.spyOn(wallClock, 'now').mockImplementation(() => times[0]!);
  const server = createServer((_request, response) => response.end());
  recorder.usage.attach(server);
  const { address } = await listen(server as never);
  const client = http1Client(address);
  while (times.length > 0) {
    await client.request({ headers: { 'X-Forwarded-For': '198.51.100.1', 'User-Agent': CHROME } });
    times.shift();
  }
  now.mockRestore();
  const records = await recorder.take(5);
  client.close();
  await closeServer(server);
  await recorder.close();
  // Sorted by date.
  const [old, ...recent] = records.map(({ visitor }) => visitor);
  expect(old).toBe(null);
  expect(new Set(recent).size).toBe(2);
  expect([recent[0], recent[2]]).toEqual([recent[1], recent[3]]);
  for (const visitor of recent) expect(visitor).toMatch(ID);
});

describe('options', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test.each<[TrackUsageOptions, string | undefined, 'cookie' | 'daily' | undefined]>([
    [{}, undefined, undefined],
    [{}, 'True', 'cookie'],
    [{ visitors: false }, 'True', undefined],
    [{ visitors: 'daily' }, 'True', 'daily'],
    [{ visitors: 'cookie' }, 'False', 'cookie'],
    [{ visitors: 'cookie', cookie: true }, undefined, 'cookie'],
    [{ visitors: 'cookie', cookie: { name: 'a' } }, undefined, 'cookie'],
    [{ visitors: false, cookie: false }, undefined, undefined],
    [{ cookie: true }, undefined, 'cookie'],
    [{ cookie: false }, 'True', undefined],
    [{ daily: {} }, 'True', 'daily'],
    [{ daily: { secret: 'x' } }, undefined, 'daily'],
    [{ visitors: 'daily', daily: { secret: 'x' }, cookie: false }, undefined, 'daily'],
  ])('%j with TRACK_USAGE_COOKIE=%s identifies by %s', (options, environment, expected) => {
    vi.stubEnv('TRACK_USAGE_COOKIE', environment ?? '');
    const { cookie, daily } = readSettings(options);
    expect([cookie !== undefined, daily !== undefined]).toEqual([
      expected === 'cookie',
      expected === 'daily',
    ]);
    expect(daily?.secret).toBe(options.daily?.secret);
  });

  test.each<[string, object]>([
    ['visitors', { visitors: true }],
    ['visitors', { visitors: 'hash' }],
    ['cookie', { visitors: 'daily', cookie: true }],
    ['cookie', { visitors: false, cookie: {} }],
    ['cookie', { visitors: 'cookie', cookie: false }],
    ['cookie', { cookie: 'name' }],
    ['daily', { visitors: 'cookie', daily: {} }],
    ['daily', { visitors: false, daily: {} }],
    ['daily', { cookie: true, daily: {} }],
    ['daily', { daily: true }],
    ['daily.secret', { daily: { secret: '' } }],
    ['daily.secret', { daily: { secret: ['a'] } }],
  ])('rejects %s in %j', (name, options) => {
    const read = () => readSettings(options as TrackUsageOptions);
    expect(read).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    expect(read).toThrow(`"${name}"`);
  });

  test('a secret is not in an error message', () => {
    expect(() => readSettings({ daily: { secret: ['hunter2'] } } as never)).toThrow(/^(?!.*hunter2)/);
  });
});
