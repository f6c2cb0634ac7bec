import { describe, expect, test } from 'vitest';
import type { TrackUsageOptions } from '../../src/index.ts';
import { http1Client } from '../support/client.ts';
import { ENGINES, type Engine, EXPRESSES, serve, serveApp } from '../support/engines.ts';

type Trust = NonNullable<TrackUsageOptions['trustProxy']>;

const ONE = '192.0.2.1';
const TWO = '192.0.2.1, 198.51.100.2';

interface Case {
  /** Express's `trust proxy`, or the option `trustProxy`. */
  trust: Trust | number | undefined;
  forwardedFor?: string | string[];
  remoteAddr: string;
  /** Express alone, or what is not Express. */
  only?: 'Express' | 'node';
}

const second = (_address: string, hop: number) => hop < 2;

const CASES: Case[] = [
  { trust: undefined, remoteAddr: '127.0.0.1' },
  { trust: undefined, forwardedFor: ONE, remoteAddr: '127.0.0.1' },
  { trust: undefined, forwardedFor: TWO, remoteAddr: '127.0.0.1' },
  { trust: false, forwardedFor: TWO, remoteAddr: '127.0.0.1' },
  { trust: true, remoteAddr: '127.0.0.1' },
  { trust: true, forwardedFor: ONE, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: TWO, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: '2001:db8::7', remoteAddr: '2001:db8::7' },
  { trust: true, forwardedFor: '::ffff:192.0.2.9', remoteAddr: '192.0.2.9' },
  { trust: 1, forwardedFor: ONE, remoteAddr: '192.0.2.1', only: 'Express' },
  { trust: 1, forwardedFor: TWO, remoteAddr: '198.51.100.2', only: 'Express' },
  { trust: 'loopback', forwardedFor: ONE, remoteAddr: '192.0.2.1' },
  { trust: 'loopback', forwardedFor: TWO, remoteAddr: '198.51.100.2' },
  { trust: 'loopback, 198.51.100.0/24', forwardedFor: TWO, remoteAddr: '192.0.2.1' },
  { trust: ['loopback', '198.51.100.2'], forwardedFor: TWO, remoteAddr: '192.0.2.1' },
  { trust: '10.0.0.0/8', forwardedFor: TWO, remoteAddr: '127.0.0.1' },
  { trust: second, forwardedFor: ONE, remoteAddr: '192.0.2.1' },
  { trust: second, forwardedFor: `203.0.113.3, ${TWO}`, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: [ONE, '198.51.100.2'], remoteAddr: '192.0.2.1' },
  { trust: 'loopback', forwardedFor: [ONE, '198.51.100.2'], remoteAddr: '198.51.100.2' },
];

/** What a client that is believed may send, and no address. */
const GARBAGE = [
  'a'.repeat(5000),
  'unknown',
  'not an address',
  '<script>alert(1)</script>',
  "1.2.3.4'; DROP TABLE x",
  ',',
  '1.2.3.4.5',
  '-',
];

describe.each(ENGINES.filter(({ knowsProxies }) => !knowsProxies))('$name', (engine) => {
  test.each(CASES.filter(({ only }) => only !== 'Express'))(
    'trustProxy $trust, X-Forwarded-For $forwardedFor: $remoteAddr',
    async ({ trust, forwardedFor, remoteAddr }) => {
      const usage = trust === undefined ? {} : { trustProxy: trust as Trust };
      const site = await serve(engine, { usage });
      await site.client.ask({ headers: forwardedFor ? { 'x-forwarded-for': forwardedFor } : {} });
      const record = await site.recorder.one();
      await site.close();
      expect([record.remoteAddr, record.forwardedFor]).toEqual([remoteAddr, joined(forwardedFor)]);
    },
  );
});

describe.each(EXPRESSES)('%s', (_, make) => {
  test.each(CASES.filter(({ only }) => only !== 'node'))(
    'trust proxy $trust, X-Forwarded-For $forwardedFor: $remoteAddr, as request.ip',
    async ({ trust, forwardedFor, remoteAddr }) => {
      const app = make();
      if (trust !== undefined) app.set('trust proxy', trust);
      let ip: string | undefined;
      app.get('/', (request, response) => {
        ip = request.ip;
        response.end();
      });
      const site = await serveApp(app);
      await site.client.ask({ headers: forwardedFor ? { 'x-forwarded-for': forwardedFor } : {} });
      const record = await site.recorder.one();
      await site.close();
      expect([record.remoteAddr, record.forwardedFor]).toEqual([remoteAddr, joined(forwardedFor)]);
      expect(record.remoteAddr).toBe(ip?.replace('::ffff:', ''));
    },
  );

  test('garbage in X-Forwarded-For harms nobody, and is no address', async () => {
    const app = make();
    app.set('trust proxy', true);
    app.get('/', (_request, response) => void response.end('fine'));
    const site = await serveApp(app);
    for (const garbage of GARBAGE) {
      const { status } = await site.client.ask({ headers: { 'x-forwarded-for': garbage } });
      expect(status).toBe(200);
      const record = await site.recorder.one();
      expect([garbage, record.remoteAddr]).toEqual([garbage, '127.0.0.1']);
      expect(record.forwardedFor?.slice(0, 1000)).toBe(garbage.slice(0, 1000));
    }
    expect(site.recorder.errors).toEqual([]);
    await site.close();
  });

  test('an app inside another has its own trust', async () => {
    const app = make();
    const inner = make();
    inner.set('trust proxy', true);
    inner.get('/', (_request, response) => void response.end());
    app.use('/inner', inner);
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    const headers = { 'x-forwarded-for': ONE };
    await site.client.ask({ headers });
    expect((await site.recorder.one()).remoteAddr).toBe('127.0.0.1');
    await site.client.ask({ path: '/inner/', headers });
    expect((await site.recorder.one()).remoteAddr).toBe('192.0.2.1');
    await site.close();
  });

  test.each([
    [false, 'http://example.org/a?b=c'],
    [true, 'https://shop.example/a?b=c'],
    ['loopback', 'https://shop.example/a?b=c'],
    ['10.0.0.0/8', 'http://example.org/a?b=c'],
  ])('trust proxy %s: X-Forwarded-Proto and -Host give %s', async (trust, url) => {
    const app = make();
    app.set('trust proxy', trust);
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    await site.client.ask({
      path: '/a?b=c',
      headers: { host: 'example.org', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' },
    });
    expect((await site.recorder.one()).url).toBe(url);
    await site.close();
  });
});

test.each(EXPRESSES)('%s on IPv6', async (_, make) => {
  const app = make();
  const site = await serveApp(app, { host: '::1' });
  await site.client.ask();
  expect((await site.recorder.one()).remoteAddr).toBe('::1');
  await site.close();
});

describe('node:http', () => {
  const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;

  test('IPv6', async () => {
    const site = await serve(node, { host: '::1' });
    await site.client.ask();
    expect((await site.recorder.one()).remoteAddr).toBe('::1');
    await site.close();
  });

  test('IPv4 on a socket that serves both', async () => {
    const site = await serve(node, { host: '::' });
    const client = http1Client({ ...site.address, host: '127.0.0.1' });
    await client.ask();
    client.close();
    expect((await site.recorder.one()).remoteAddr).toBe('127.0.0.1');
    await site.close();
  });

  test.each([
    [undefined, {}, 'http://example.org/a'],
    [undefined, { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }, 'http://example.org/a'],
    [true, { 'x-forwarded-proto': 'https' }, 'https://example.org/a'],
    [true, { 'x-forwarded-proto': 'https, http' }, 'https://example.org/a'],
    [true, { 'x-forwarded-proto': 'javascript' }, 'http://example.org/a'],
    [true, { 'x-forwarded-host': 'shop.example, other.example' }, 'http://shop.example/a'],
    ['loopback', { 'x-forwarded-host': 'shop.example' }, 'http://shop.example/a'],
    ['10.0.0.0/8', { 'x-forwarded-host': 'shop.example' }, 'http://example.org/a'],
  ] as const)('trustProxy %s, %o: %s', async (trustProxy, headers, url) => {
    const site = await serve(node, { usage: trustProxy === undefined ? {} : { trustProxy } });
    await site.client.ask({ path: '/a', headers: { host: 'example.org', ...headers } });
    expect((await site.recorder.one()).url).toBe(url);
    await site.close();
  });

  test('a trust function that throws', async () => {
    const trustProxy = () => {
      throw new Error('broken');
    };
    const site = await serve(node, { usage: { trustProxy } });
    const { status } = await site.client.ask({
      headers: { 'x-forwarded-for': ONE, 'x-forwarded-host': 'a' },
    });
    expect(status).toBe(200);
    const record = await site.recorder.one();
    expect([record.remoteAddr, record.url]).toEqual(['127.0.0.1', expect.not.stringContaining('//a/')]);
    expect(site.recorder.errors).toMatchObject([{ code: 'HOOK_FAILED' }]);
    await site.close();
  });
});

function joined(forwardedFor: Case['forwardedFor']): string | null {
  return forwardedFor === undefined ? null : [forwardedFor].flat().join(', ');
}
