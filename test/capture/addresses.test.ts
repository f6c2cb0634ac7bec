import { isIP } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { describe, expect, test } from 'vitest';
import type { App } from '../../src/frameworks/index.ts';
import { TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { trackUsage as expressMiddleware } from '../../src/integrations/express.ts';
import { trackUsage as fastifyPlugin } from '../../src/integrations/fastify.ts';
import { trackUsage as koaMiddleware } from '../../src/integrations/koa.ts';
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
  { trust: 'loopback', forwardedFor: '192.0.2.1:51008', remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: '[2001:DB8::7]:443', remoteAddr: '2001:db8::7' },
  { trust: true, forwardedFor: '::ffff:c000:209', remoteAddr: '192.0.2.9' },
  { trust: true, forwardedFor: 'fe80::1%eth0', remoteAddr: 'fe80::1' },
  // The nearest address that is known
  { trust: true, forwardedFor: `unknown, ${ONE}`, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: `_hidden, ${ONE}`, remoteAddr: '192.0.2.1' },
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
      // Express leaves ports, zones and what is no address.
      if (isIP(ip ?? '') !== 0 && !ip?.includes('%') && !/^::ffff:[^.]+$/.test(ip ?? '')) {
        expect(record.remoteAddr).toBe(ip?.replace('::ffff:', ''));
      }
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
    expect(site.recorder.errors).toMatchObject([{ code: 'ADDRESS_UNREADABLE' }]);
    expect(site.recorder.errors[0]?.message).toContain('the trusted proxy 127.0.0.1 forwards "aaa');
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
    ['loopback', { 'x-forwarded-host': 'shop.example/evil?x=' }, 'http://example.org/a'],
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

describe('Forwarded', () => {
  const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;
  const FORWARDED = 'for=192.0.2.1;proto=https;host=shop.example, for="[2001:db8::7]:443"';

  test.each([
    [
      'loopback',
      { forwarded: FORWARDED },
      '2001:db8::7',
      'https://shop.example/',
      '192.0.2.1, [2001:db8::7]:443',
    ],
    [true, { forwarded: FORWARDED }, '192.0.2.1', 'https://shop.example/', '192.0.2.1, [2001:db8::7]:443'],
    [undefined, { forwarded: FORWARDED }, '127.0.0.1', 'http://h/', '192.0.2.1, [2001:db8::7]:443'],
    ['10.0.0.0/8', { forwarded: FORWARDED }, '127.0.0.1', 'http://h/', '192.0.2.1, [2001:db8::7]:443'],
    [true, { forwarded: 'for=unknown, for=_x' }, '127.0.0.1', 'http://h/', 'unknown, _x'],
    // A client may send one through a proxy that writes the other.
    [true, { forwarded: FORWARDED, 'x-forwarded-for': '192.0.2.9' }, '192.0.2.9', 'http://h/', '192.0.2.9'],
    [true, { forwarded: FORWARDED, 'x-forwarded-proto': 'https' }, '127.0.0.1', 'https://h/', null],
  ] as const)('trustProxy %s, %o: %s', async (trustProxy, headers, remoteAddr, url, forwardedFor) => {
    const site = await serve(node, { usage: trustProxy === undefined ? {} : { trustProxy } });
    await site.client.ask({ headers: { host: 'h', ...headers } });
    const record = await site.recorder.one();
    expect(site.recorder.errors).toEqual([]);
    await site.close();
    expect([record.remoteAddr, record.url, record.forwardedFor]).toEqual([remoteAddr, url, forwardedFor]);
  });

  test('is believed as far as Express believes X-Forwarded-For', async () => {
    const app = express();
    app.set('trust proxy', 'loopback');
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    await site.client.ask({ headers: { host: 'h', forwarded: FORWARDED } });
    const record = await site.recorder.one();
    await site.close();
    expect([record.remoteAddr, record.url]).toEqual(['2001:db8::7', 'https://shop.example/']);
  });
});

describe('trustProxy for a framework that has a setting of its own', () => {
  const refused = (setting: string) =>
    expect.objectContaining({ code: 'TRUST_PROXY_UNUSED', hint: expect.stringContaining(setting) });

  test.each([
    ['Express', express, "app.set('trust proxy', …)"],
    ['Fastify', fastify, 'Fastify({ trustProxy: … })'],
    ['Koa', () => new Koa(), 'app.proxy = true'],
  ] as const)('%s', (_, create, setting) => {
    const app = () => create() as unknown as App;
    for (const trustProxy of [true, false, 'loopback', () => true]) {
      expect(() => new TrackUsage(app(), [], { trustProxy })).toThrow(refused(setting));
    }
    expect(() => new TrackUsage(null, [], { trustProxy: true }).attach(app())).toThrow(refused(setting));
  });

  test('the middlewares and the plugin', async () => {
    const usage = new TrackUsage(null, [], { trustProxy: true });
    expect(() => expressMiddleware(usage)).toThrow(refused('trust proxy'));
    expect(() => koaMiddleware(usage)).toThrow(refused('app.proxy'));
    const app = fastify();
    app.register(fastifyPlugin as never, { usage } as never);
    await expect(app.ready()).rejects.toThrow(refused('Fastify('));
    await app.close();
    await usage.close();
  });

  test('an app of Connect is none of Express', () => {
    const app = Object.assign(() => {}, { handle: () => {}, use: () => app, listen: () => {} });
    expect(() => new TrackUsage(app as never, [], { trustProxy: 'loopback' })).toThrow(
      expect.objectContaining({ code: 'APP_UNKNOWN' }),
    );
  });
});

function joined(forwardedFor: Case['forwardedFor']): string | null {
  return forwardedFor === undefined ? null : [forwardedFor].flat().join(', ');
}
