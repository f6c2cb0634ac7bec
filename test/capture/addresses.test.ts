import { isIP } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { trackUsage as expressMiddleware } from '../../src/integrations/express.ts';
import { trackUsage as fastifyPlugin } from '../../src/integrations/fastify.ts';
import { trackUsage as koaMiddleware } from '../../src/integrations/koa.ts';
import { http1Client } from '../support/client.ts';
import { ENGINES, type Engine, EXPRESSES, serve, serveApp } from '../support/engines.ts';

type Trust = NonNullable<TrackUsageOptions['trustProxy']>;

const ONE_HOP = '192.0.2.1';
const TWO_HOPS = '192.0.2.1, 198.51.100.2';

interface Case {
  /** Express's `trust proxy`, or the option `trustProxy`. */
  trust: Trust | number | undefined;
  forwardedFor?: string | string[];
  remoteAddr: string;
  /** Limits the case to Express, or to the other servers. */
  server?: 'Express' | 'node';
}

const trustTwoHops = (_address: string, hop: number) => hop < 2;

const CASES: Case[] = [
  { trust: undefined, remoteAddr: '127.0.0.1' },
  { trust: undefined, forwardedFor: ONE_HOP, remoteAddr: '127.0.0.1' },
  { trust: undefined, forwardedFor: TWO_HOPS, remoteAddr: '127.0.0.1' },
  { trust: false, forwardedFor: TWO_HOPS, remoteAddr: '127.0.0.1' },
  { trust: true, remoteAddr: '127.0.0.1' },
  { trust: true, forwardedFor: ONE_HOP, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: TWO_HOPS, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: '2001:db8::7', remoteAddr: '2001:db8::7' },
  { trust: true, forwardedFor: '::ffff:192.0.2.9', remoteAddr: '192.0.2.9' },
  { trust: 1, forwardedFor: ONE_HOP, remoteAddr: '192.0.2.1', server: 'Express' },
  { trust: 1, forwardedFor: TWO_HOPS, remoteAddr: '198.51.100.2', server: 'Express' },
  { trust: 'loopback', forwardedFor: ONE_HOP, remoteAddr: '192.0.2.1' },
  { trust: 'loopback', forwardedFor: TWO_HOPS, remoteAddr: '198.51.100.2' },
  { trust: 'loopback, 198.51.100.0/24', forwardedFor: TWO_HOPS, remoteAddr: '192.0.2.1' },
  { trust: ['loopback', '198.51.100.2'], forwardedFor: TWO_HOPS, remoteAddr: '192.0.2.1' },
  { trust: '10.0.0.0/8', forwardedFor: TWO_HOPS, remoteAddr: '127.0.0.1' },
  { trust: trustTwoHops, forwardedFor: ONE_HOP, remoteAddr: '192.0.2.1' },
  { trust: trustTwoHops, forwardedFor: `203.0.113.3, ${TWO_HOPS}`, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: [ONE_HOP, '198.51.100.2'], remoteAddr: '192.0.2.1' },
  { trust: 'loopback', forwardedFor: [ONE_HOP, '198.51.100.2'], remoteAddr: '198.51.100.2' },
  { trust: 'loopback', forwardedFor: '192.0.2.1:51008', remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: '[2001:DB8::7]:443', remoteAddr: '2001:db8::7' },
  { trust: true, forwardedFor: '::ffff:c000:209', remoteAddr: '192.0.2.9' },
  { trust: true, forwardedFor: 'fe80::1%eth0', remoteAddr: 'fe80::1' },
  // The nearest known address
  { trust: true, forwardedFor: `unknown, ${ONE_HOP}`, remoteAddr: '192.0.2.1' },
  { trust: true, forwardedFor: `_hidden, ${ONE_HOP}`, remoteAddr: '192.0.2.1' },
];

/** Values of a trusted client that are no addresses. */
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
  test.each(CASES.filter(({ server }) => server !== 'Express'))(
    'trustProxy $trust, X-Forwarded-For $forwardedFor: records $remoteAddr',
    async ({ trust, forwardedFor, remoteAddr }) => {
      const usage = trust === undefined ? {} : { trustProxy: trust as Trust };
      const site = await serve(engine, { usage });
      await site.client.request({ headers: forwardedFor ? { 'x-forwarded-for': forwardedFor } : {} });
      const record = await site.recorder.takeOne();
      await site.close();
      expect([record.remoteAddr, record.forwardedFor]).toEqual([remoteAddr, joinedHeader(forwardedFor)]);
    },
  );
});

describe.each(EXPRESSES)('%s', (_, make) => {
  test.each(CASES.filter(({ server }) => server !== 'node'))(
    'trust proxy $trust, X-Forwarded-For $forwardedFor: records $remoteAddr, like request.ip',
    async ({ trust, forwardedFor, remoteAddr }) => {
      const app = make();
      if (trust !== undefined) app.set('trust proxy', trust);
      let ip: string | undefined;
      app.get('/', (request, response) => {
        ip = request.ip;
        response.end();
      });
      const site = await serveApp(app);
      await site.client.request({ headers: forwardedFor ? { 'x-forwarded-for': forwardedFor } : {} });
      const record = await site.recorder.takeOne();
      await site.close();
      expect([record.remoteAddr, record.forwardedFor]).toEqual([remoteAddr, joinedHeader(forwardedFor)]);
      // Express keeps ports, zones and invalid addresses.
      if (isIP(ip ?? '') !== 0 && !ip?.includes('%') && !/^::ffff:[^.]+$/.test(ip ?? '')) {
        expect(record.remoteAddr).toBe(ip?.replace('::ffff:', ''));
      }
    },
  );

  test('ignores garbage in X-Forwarded-For', async () => {
    const app = make();
    app.set('trust proxy', true);
    app.get('/', (_request, response) => void response.end('fine'));
    const site = await serveApp(app);
    for (const garbage of GARBAGE) {
      const { status } = await site.client.request({ headers: { 'x-forwarded-for': garbage } });
      expect(status).toBe(200);
      const record = await site.recorder.takeOne();
      expect([garbage, record.remoteAddr]).toEqual([garbage, '127.0.0.1']);
      expect(record.forwardedFor?.slice(0, 1000)).toBe(garbage.slice(0, 1000));
    }
    expect(site.recorder.errors).toMatchObject([{ code: 'ADDRESS_UNREADABLE' }]);
    expect(site.recorder.errors[0]?.message).toContain('the trusted proxy 127.0.0.1 forwards "aaa');
    await site.close();
  });

  test('uses the trust proxy setting of a mounted app', async () => {
    const app = make();
    const inner = make();
    inner.set('trust proxy', true);
    inner.get('/', (_request, response) => void response.end());
    app.use('/inner', inner);
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    const headers = { 'x-forwarded-for': ONE_HOP };
    await site.client.request({ headers });
    expect((await site.recorder.takeOne()).remoteAddr).toBe('127.0.0.1');
    await site.client.request({ path: '/inner/', headers });
    expect((await site.recorder.takeOne()).remoteAddr).toBe('192.0.2.1');
    await site.close();
  });

  test.each([
    [false, 'http://example.org/a?b=c'],
    [true, 'https://shop.example/a?b=c'],
    ['loopback', 'https://shop.example/a?b=c'],
    ['10.0.0.0/8', 'http://example.org/a?b=c'],
  ])('trust proxy %s: builds the URL %s from X-Forwarded-Proto and X-Forwarded-Host', async (trust, url) => {
    const app = make();
    app.set('trust proxy', trust);
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    await site.client.request({
      path: '/a?b=c',
      headers: { host: 'example.org', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' },
    });
    expect((await site.recorder.takeOne()).url).toBe(url);
    await site.close();
  });
});

test.each(EXPRESSES)('%s records an IPv6 address', async (_, make) => {
  const app = make();
  const site = await serveApp(app, { host: '::1' });
  await site.client.request();
  expect((await site.recorder.takeOne()).remoteAddr).toBe('::1');
  await site.close();
});

describe('node:http', () => {
  const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;

  test('records an IPv6 address', async () => {
    const site = await serve(node, { host: '::1' });
    await site.client.request();
    expect((await site.recorder.takeOne()).remoteAddr).toBe('::1');
    await site.close();
  });

  test('records an IPv4 address on a dual-stack socket', async () => {
    const site = await serve(node, { host: '::' });
    const client = http1Client({ ...site.address, host: '127.0.0.1' });
    await client.request();
    client.close();
    expect((await site.recorder.takeOne()).remoteAddr).toBe('127.0.0.1');
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
  ] as const)('trustProxy %s, %o: builds the URL %s', async (trustProxy, headers, url) => {
    const site = await serve(node, { usage: trustProxy === undefined ? {} : { trustProxy } });
    await site.client.request({ path: '/a', headers: { host: 'example.org', ...headers } });
    expect((await site.recorder.takeOne()).url).toBe(url);
    await site.close();
  });

  test('reports a trust function that throws', async () => {
    const trustProxy = () => {
      throw new Error('broken');
    };
    const site = await serve(node, { usage: { trustProxy } });
    const { status } = await site.client.request({
      headers: { 'x-forwarded-for': ONE_HOP, 'x-forwarded-host': 'a' },
    });
    expect(status).toBe(200);
    const record = await site.recorder.takeOne();
    expect([record.remoteAddr, record.url]).toEqual(['127.0.0.1', expect.not.stringContaining('//a/')]);
    expect(site.recorder.errors).toMatchObject([{ code: 'HOOK_FAILED' }]);
    await site.close();
  });
});

describe('the Forwarded header', () => {
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
    // A client may send one header through a proxy that writes the other.
    [true, { forwarded: FORWARDED, 'x-forwarded-for': '192.0.2.9' }, '192.0.2.9', 'http://h/', '192.0.2.9'],
    [true, { forwarded: FORWARDED, 'x-forwarded-proto': 'https' }, '127.0.0.1', 'https://h/', null],
  ] as const)('trustProxy %s, %o: records %s', async (trustProxy, headers, remoteAddr, url, forwardedFor) => {
    const site = await serve(node, { usage: trustProxy === undefined ? {} : { trustProxy } });
    await site.client.request({ headers: { host: 'h', ...headers } });
    const record = await site.recorder.takeOne();
    expect(site.recorder.errors).toEqual([]);
    await site.close();
    expect([record.remoteAddr, record.url, record.forwardedFor]).toEqual([remoteAddr, url, forwardedFor]);
  });

  test('is trusted as far as Express trusts X-Forwarded-For', async () => {
    const app = express();
    app.set('trust proxy', 'loopback');
    app.get('/', (_request, response) => void response.end());
    const site = await serveApp(app);
    await site.client.request({ headers: { host: 'h', forwarded: FORWARDED } });
    const record = await site.recorder.takeOne();
    await site.close();
    expect([record.remoteAddr, record.url]).toEqual(['2001:db8::7', 'https://shop.example/']);
  });
});

describe('trustProxy for a framework that has its own setting', () => {
  const unusedError = (setting: string) =>
    expect.objectContaining({ code: 'TRUST_PROXY_UNUSED', hint: expect.stringContaining(setting) });

  test.each([
    ['Express', express, "app.set('trust proxy', …)"],
    ['Fastify', fastify, 'Fastify({ trustProxy: … })'],
    ['Koa', () => new Koa(), 'app.proxy = true'],
  ] as const)('is rejected for %s', (_, create, setting) => {
    const app = () => create() as unknown as TrackedApp;
    for (const trustProxy of [true, false, 'loopback', () => true]) {
      expect(() => new TrackUsage(app(), [], { trustProxy })).toThrow(unusedError(setting));
    }
    expect(() => new TrackUsage(null, [], { trustProxy: true }).attach(app())).toThrow(unusedError(setting));
  });

  test('is rejected by the middleware and the plugin', async () => {
    const usage = new TrackUsage(null, [], { trustProxy: true });
    expect(() => expressMiddleware(usage)).toThrow(unusedError('trust proxy'));
    expect(() => koaMiddleware(usage)).toThrow(unusedError('app.proxy'));
    const app = fastify();
    app.register(fastifyPlugin as never, { usage } as never);
    await expect(app.ready()).rejects.toThrow(unusedError('Fastify('));
    await app.close();
    await usage.close();
  });

  test('does not mistake a Connect app for an Express app', () => {
    const app = Object.assign(() => {}, { handle: () => {}, use: () => app, listen: () => {} });
    expect(() => new TrackUsage(app as never, [], { trustProxy: 'loopback' })).toThrow(
      expect.objectContaining({ code: 'APP_UNKNOWN' }),
    );
  });
});

function joinedHeader(forwardedFor: Case['forwardedFor']): string | null {
  return forwardedFor === undefined ? null : [forwardedFor].flat().join(', ');
}
