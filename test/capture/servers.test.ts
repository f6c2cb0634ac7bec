import dns from 'node:dns';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import Router from '@koa/router';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { Hono } from 'hono';
import Koa from 'koa';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { http1Client, http2Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const HOST = '127.0.0.1';
const FASTIFIES = [
  ['Fastify 5', fastify],
  ['Fastify 4', fastify4 as unknown as typeof fastify],
] as const;

afterEach(() => vi.restoreAllMocks());

describe.each(FASTIFIES)('%s', (_, create) => {
  function routes(app: FastifyInstance): FastifyInstance {
    app.get('/users/:id', async (request) => `user ${(request.params as { id: string }).id}`);
    app.get('/broken', async () => {
      throw new Error('broken');
    });
    return app;
  }

  test('is tracked on all addresses of localhost', async () => {
    const recorder = await Recorder.create();
    const app = create();
    recorder.usage.attach(app as TrackedApp);
    routes(app);
    // The addresses of localhost differ between machines. Fastify creates a server for each.
    const { lookup } = dns;
    vi.spyOn(dns, 'lookup').mockImplementation(((...given: Parameters<typeof dns.lookup>) => {
      const [host, options, done] = given as unknown as [
        string,
        { all?: boolean },
        (...given: unknown[]) => void,
      ];
      if (host !== 'localhost' || !options.all) return lookup(...given);
      done(null, [{ address: HOST }, { address: process.platform === 'linux' ? '127.0.0.2' : '::1' }]);
    }) as never);
    await app.listen({ port: 0, host: 'localhost' });
    const addresses = app.addresses() as AddressInfo[];
    expect(addresses.length).toBe(2);
    for (const { address, port } of addresses) {
      const client = http1Client({ host: address, port, secure: false });
      expect((await client.request({ path: '/users/7' })).body.toString()).toBe('user 7');
      client.close();
    }
    const records = await recorder.take(addresses.length);
    expect(records.map(({ route }) => route)).toEqual(addresses.map(() => '/users/:id'));
    await app.close();
    await recorder.close();
  });

  test.each(['append', 'group'] as const)('records injected requests once, mode %s', async (mode) => {
    const recorder = await Recorder.create({ journal: { mode } });
    const app = create();
    recorder.usage.attach(app as TrackedApp);
    routes(app);
    for (const [url, status] of [
      ['/users/7?a=1', 200],
      ['/broken', 500],
      ['/nowhere', 404],
    ] as const) {
      expect((await app.inject(url)).statusCode).toBe(status);
      const record = await recorder.takeOne();
      expect(record).toMatchObject({ status, method: 'GET', remoteAddr: '127.0.0.1' });
    }
    expect(recorder.errors).toEqual([]);
    await app.close();
    await recorder.close();
  });

  test('is tracked with HTTP/2', async () => {
    const recorder = await Recorder.create();
    const app = create({ http2: true }) as unknown as FastifyInstance;
    recorder.usage.attach(app as TrackedApp);
    routes(app);
    await app.listen({ port: 0, host: HOST });
    const client = http2Client({
      host: HOST,
      port: (app.server.address() as AddressInfo).port,
      secure: false,
    });
    for (const [path, status, bytes, route] of [
      ['/users/7', 200, 6, '/users/:id'],
      ['/broken', 500, undefined, '/broken'],
      ['/nowhere', 404, undefined, null],
    ] as const) {
      const response = await client.request({ path });
      expect(response.status).toBe(status);
      expect(await recorder.takeOne()).toMatchObject({
        status,
        route,
        protocol: 'HTTP/2.0',
        contentLength: bytes ?? response.body.length,
      });
    }
    expect(recorder.errors).toEqual([]);
    client.close();
    await app.close();
    await recorder.close();
  });
});

test('records the original URL if an asynchronous handler rewrites it, as custom servers of Next.js do', async () => {
  const recorder = await Recorder.create();
  const prepared = Promise.withResolvers<http.RequestListener>();
  const server = http.createServer(async (request, response) => (await prepared.promise)(request, response));
  recorder.usage.attach(server);
  server.listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = http1Client({ host: HOST, port, secure: false });
  const pending = client.start({ path: '/posts/7?draft=1' });
  await once(server, 'request');
  prepared.resolve(async (request, response) => {
    request.url = `/_pages${request.url}`;
    response.writeHead(200, { 'content-type': 'text/html' });
    response.write('<p>');
    await new Promise(setImmediate);
    response.end('Hello!</p>');
  });
  expect((await pending.response).body.toString()).toBe('<p>Hello!</p>');
  expect(await recorder.takeOne()).toMatchObject({
    path: '/posts/7',
    query: { draft: '1' },
    contentLength: 13,
    status: 200,
  });
  client.close();
  await closeServer(server);
  await recorder.close();
});

describe('HTTP/2', () => {
  const apps: [name: string, make: () => { app: object; start(): Server }][] = [
    [
      'Koa',
      () => {
        const app = new Koa();
        app.silent = true;
        const router = new Router();
        router.get('/users/:id', (context) => {
          context.body = `user ${context.params.id}`;
        });
        router.get('/broken', () => {
          throw new Error('broken');
        });
        app.use(router.routes());
        return { app, start: () => http2.createServer(app.callback() as never) };
      },
    ],
    [
      'Hono',
      () => {
        const app = new Hono();
        app.onError((_error, context) => context.text('sorry', 500));
        app.get('/users/:id', (context) => context.text(`user ${context.req.param('id')}`));
        app.get('/broken', () => {
          throw new Error('broken');
        });
        const fetch = (...args: Parameters<typeof app.fetch>) => app.fetch(...args);
        return {
          app,
          start: () => createAdaptorServer({ fetch, createServer: http2.createServer } as never) as Server,
        };
      },
    ],
  ];
  test.each(apps)('is tracked with %s', async (_, make) => {
    const recorder = await Recorder.create();
    const { app, start } = make();
    recorder.usage.attach(app as TrackedApp);
    const server = start();
    server.listen(0, HOST);
    await once(server, 'listening');
    const client = http2Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
    for (const [path, status, route] of [
      ['/users/7', 200, '/users/:id'],
      ['/broken', 500, '/broken'],
      ['/nowhere', 404, null],
    ] as const) {
      const response = await client.request({ path });
      expect(response.status).toBe(status);
      expect(await recorder.takeOne()).toMatchObject({
        status,
        route,
        protocol: 'HTTP/2.0',
        contentLength: response.body.length,
      });
    }
    expect(recorder.errors).toEqual([]);
    client.close();
    await closeServer(server);
    await recorder.close();
  });
});
