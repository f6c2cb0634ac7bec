import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { readSettings } from '../../src/options/tracker-options.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { http1Client } from '../support/client.ts';
import { closeServer, ENGINES, type Engine, listen, serve } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;
const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.61 Safari/537.36';
const GOOGLEBOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
const HEADERS = {
  'User-Agent': CHROME,
  'X-Forwarded-For': '198.51.100.7',
  'Accept-Language': 'de-AT',
  Referer: 'http://example.org/from',
  Authorization: `Basic ${Buffer.from('ada:x').toString('base64')}`,
};
const FIELDS = ['remoteAddr', 'forwardedFor', 'userAgent', 'language', 'referrer', 'username'] as const;

/** Returns the records of requests with these headers. */
async function recordsOf(usage: TrackUsageOptions, requests: Record<string, string>[]) {
  const site = await serve(node, { usage });
  for (const headers of requests) await site.client.request({ path: '/a', headers });
  // The last request is always recorded.
  const seen = await site.client.request({ path: '/end' });
  await site.recorder.usage.flush();
  const records = (await site.recorder.usage.getUsage({ limit: 0 })).reverse();
  const { captured } = site.recorder.usage.status();
  await site.close();
  expect(seen.status).toBe(200);
  expect(captured).toBe(records.length);
  return records.slice(0, -1);
}

describe('opting out', () => {
  const signals: [TrackUsageOptions, Record<string, string>, optsOut: boolean][] = [
    [{}, { DNT: '1', 'Sec-GPC': '1' }, false],
    [{ respectDnt: true }, { DNT: '1' }, true],
    [{ respectDnt: true }, { dnt: '1' }, true],
    [{ respectDnt: true }, { DNT: '0' }, false],
    [{ respectDnt: true }, { 'Sec-GPC': '1' }, false],
    [{ respectGpc: true }, { 'Sec-GPC': '1' }, true],
    [{ respectGpc: true }, { 'Sec-GPC': 'true' }, false],
    [{ respectGpc: true }, { DNT: '1' }, false],
    [{ respectGpc: true, respectDnt: true }, { DNT: '1' }, true],
    [{ optOutCookie: 'no-track' }, { Cookie: 'a=b; no-track=yes' }, true],
    [{ optOutCookie: 'no-track' }, { Cookie: 'no-track=' }, true],
    [{ optOutCookie: 'no-track' }, { Cookie: 'no-tracking=1; a=no-track' }, false],
    [{ optOutCookie: 'no-track' }, { DNT: '1' }, false],
  ];

  test.each(signals)('with %j, %j opts out: %s', async (options, headers, optsOut) => {
    const records = await recordsOf(options, [{ ...HEADERS, ...headers }]);
    expect(records.map(({ username }) => username)).toEqual(optsOut ? [] : ['ada']);
  });

  test('an anonymous record has no data of the person, and the response no cookie', async () => {
    const site = await serve(node, { usage: { respectGpc: true, optedOut: 'anonymous', cookie: true } });
    const visitor = '0'.repeat(32);
    const request = (headers: object) =>
      site.client.request({
        path: '/a',
        headers: { ...HEADERS, Cookie: `track_usage=${visitor}`, ...headers },
      });
    await request({});
    const before = await site.recorder.takeOne();
    const { headers } = await request({ 'Sec-GPC': '1', Cookie: '' });
    const anonymous = await site.recorder.takeOne();
    await request({ 'Sec-GPC': '1' });
    const known = await site.recorder.takeOne();
    await site.close();
    expect(before).toMatchObject({ visitor, username: 'ada', language: 'de-AT' });
    for (const record of [anonymous, known]) {
      expect(record).toEqual({
        ...before,
        date: record.date,
        duration: record.duration,
        visitor: null,
        ...Object.fromEntries([...FIELDS, 'referrerHost'].map((name) => [name, null])),
      });
    }
    expect(headers['set-cookie']).toBe(undefined);
  });

  test('an excluded request gets no cookie', async () => {
    const site = await serve(node, { usage: { respectDnt: true, cookie: true } });
    const [first, second] = [
      await site.client.request({ headers: { DNT: '1' } }),
      await site.client.request({ headers: {} }),
    ];
    await site.recorder.takeOne();
    await site.close();
    expect([first.headers['set-cookie'], second.headers['set-cookie']]).toEqual([
      undefined,
      [expect.stringContaining('track_usage=')],
    ]);
  });

  test('a client that leaves before the headers is excluded too', async () => {
    const site = await serve(node, { usage: { respectDnt: true } });
    const arrived = new Promise<void>((resolve) => {
      site.handle = () => resolve();
    });
    site.client.start({ headers: { DNT: '1' } }).abort();
    const { abort } = site.client.start({ path: '/b', headers: { DNT: '1' } });
    await arrived;
    abort();
    site.handle = (_request, response) => response.end();
    await site.client.request({ path: '/end' });
    const { path } = await site.recorder.takeOne();
    await site.close();
    expect(path).toBe('/end');
  });
});

describe('store', () => {
  test.each(FIELDS)('without %s', async (name) => {
    const [full] = await recordsOf({}, [HEADERS]);
    const [record] = await recordsOf({ store: { [name]: false } }, [HEADERS]);
    expect(full![name]).not.toBe(null);
    const same = { date: record!.date, duration: record!.duration, url: record!.url };
    const derived = name === 'referrer' ? { referrerHost: null } : {};
    expect(record).toEqual({ ...full, ...same, ...derived, [name]: null });
  });

  test('a reduced user agent has the name, the major version and the platform', async () => {
    const agents = [CHROME, GOOGLEBOT, 'curl/8.5.0', '()', ''];
    const records = await recordsOf(
      { store: { userAgent: 'reduced' } },
      agents.map((agent) => ({ 'User-Agent': agent })),
    );
    const device = 'bot';
    expect(records.map(({ userAgent, bot }) => [userAgent, bot])).toEqual([
      [
        {
          ...{ string: 'Chrome/126 (Windows)', browser: 'Chrome', version: '126', platform: 'Windows' },
          device: 'desktop',
        },
        false,
      ],
      [{ string: 'Googlebot/2', browser: 'Googlebot', version: '2', platform: null, device }, true],
      [{ string: 'curl/8', browser: 'curl', version: '8', platform: null, device }, true],
      [{ string: 'unknown', browser: 'unknown', version: null, platform: null, device }, true],
      [null, false],
    ]);
  });

  test('bots are no visitors, although their user agent is not stored', async () => {
    const Cookie = `track_usage=${'0'.repeat(32)}`;
    const [person, bot] = await recordsOf({ cookie: true, store: { userAgent: false } }, [
      { 'User-Agent': CHROME, Cookie },
      { 'User-Agent': GOOGLEBOT, Cookie },
    ]);
    expect([person, bot].map((record) => [record!.visitor, record!.bot])).toEqual([
      ['0'.repeat(32), false],
      [null, false],
    ]);
  });

  test('a field that is not stored is not in the journal, unless the writer needs it', async () => {
    const journalOf = async (options: TrackUsageOptions) => {
      const dir = await mkdtemp(join(tmpdir(), 'track-usage-'));
      const server = createServer((_request, response) => response.end());
      const usage = new TrackUsage(server, [], { ...options, journal: { dir } });
      const { address } = await listen(server as never);
      const client = http1Client(address);
      await client.request({ headers: HEADERS });
      const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.log'),
      );
      const text = files.map((name) => readFileSync(join(dir, name), 'latin1')).join('');
      client.close();
      await closeServer(server);
      await usage.close();
      await rm(dir, { recursive: true });
      return ['127.0.0.1\0', '198.51.100.7', 'Chrome/126', 'de-AT', '/from', 'ada'].map((part) =>
        part.endsWith('\0') ? /GET.*\/HTTP\/1\.1127\.0\.0\.1/.test(text) : text.includes(part),
      );
    };
    const none = Object.fromEntries(FIELDS.map((name) => [name, false]));
    expect(await journalOf({ geo: false })).toEqual([true, true, true, true, true, true]);
    expect(await journalOf({ geo: false, store: none })).toEqual([false, false, false, false, false, false]);
    expect(await journalOf({ store: none, cookie: true })).toEqual([true, false, true, false, false, false]);
  });

  test('the country is looked up, although the address is not stored', async () => {
    // The optional package is installed here.
    const recorder = await Recorder.create({
      store: { remoteAddr: false },
      geo: undefined as never,
      trustProxy: true,
    });
    const server = createServer((_request, response) => response.end());
    recorder.usage.attach(server);
    const { address } = await listen(server as never);
    const client = http1Client(address);
    await client.request({ headers: { 'X-Forwarded-For': '8.8.8.8' } });
    const { remoteAddr, country } = await recorder.takeOne();
    client.close();
    await closeServer(server);
    await recorder.close();
    expect({ remoteAddr, country }).toEqual({ remoteAddr: null, country: 'US' });
  });

  test('a function for keys does not see what is not stored', async () => {
    const seen: unknown[] = [];
    const hooks = [
      {
        name: 'seen',
        title: 'seen',
        key: ({ remoteAddr, userAgent }: { remoteAddr: unknown; userAgent: unknown }) => {
          seen.push([remoteAddr, userAgent]);
          return null;
        },
      },
    ];
    const server = createServer((_request, response) => response.end());
    const usage = new TrackUsage(server, new MemoryStorage({ hooks: hooks as never }), {
      store: { remoteAddr: false, userAgent: 'reduced' },
    });
    const { address } = await listen(server as never);
    const client = http1Client(address);
    await client.request({ headers: HEADERS });
    client.close();
    await closeServer(server);
    await usage.close();
    expect(seen).toEqual([[null, null]]);
  });

  test('summaries that can only stay empty are reported', async () => {
    const problems: string[] = [];
    const usage = new TrackUsage(null, new MemoryStorage({ hooks: ['basic', 'bots', 'referrers'] }), {
      store: { userAgent: false, language: false, remoteAddr: true },
      onError: ({ message }) => problems.push(message),
    });
    await usage.close();
    const idle = problems.filter((message) => message.includes('counts nothing'));
    expect(idle.map((message) => /^(?:.*: )?(sum\w+) counts/.exec(message)?.[1])).toEqual([
      'sumUserAgents',
      'sumLanguages',
      'sumBots',
    ]);
  });
});

test.each<[string, object]>([
  ['store', { store: true }],
  ['store.remoteAddr', { store: { remoteAddr: 'reduced' } }],
  ['store.userAgent', { store: { userAgent: 'full' } }],
  ['respectDnt', { respectDnt: 1 }],
  ['respectGpc', { respectGpc: 'yes' }],
  ['optOutCookie', { optOutCookie: '' }],
  ['optOutCookie', { optOutCookie: true }],
  ['optOutCookie', { optOutCookie: 'no-track=1' }],
  ['optOutCookie', { optOutCookie: ' no-track' }],
  ['optedOut', { optedOut: 'none' }],
])('rejects an invalid %s: %j', (name, options) => {
  const read = () => readSettings(options as TrackUsageOptions);
  expect(read).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  expect(read).toThrow(`"${name}"`);
});

test('rejects an unknown field of store', () => {
  expect(() => readSettings({ store: { visitor: false } as never })).toThrow(
    expect.objectContaining({ code: 'OPTION_UNKNOWN' }),
  );
});
