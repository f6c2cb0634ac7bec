import 'reflect-metadata';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { text } from 'node:stream/consumers';
import formBody from '@fastify/formbody';
import { serve as serveHono } from '@hono/node-server';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import express from 'express';
import express4 from 'express4';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { Hono } from 'hono';
import Koa from 'koa';
import Koa2 from 'koa2';
import { afterEach, describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import type { TrackUsage, TrackUsageOptions, UsageHandler } from '../../src/index.ts';
import { type Client, type ClientResponse, http1Client, http2Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';
import { TLS } from '../support/tls.ts';
import { bearer, cookieOf, form, HOST, jsonOf, TOKEN, whenListening } from './support.ts';

/** Builds a tracked app that responds with `app` at `/`, with the handlers in front of it. */
type Build = (usage: TrackUsage, handlers: UsageHandler[], parsesBody: boolean) => Server | Promise<Server>;

const attach = (usage: TrackUsage, app: object) => usage.attach(app as TrackedApp);

function buildExpress(make: typeof express): Build {
  return (usage, handlers, parsesBody) => {
    const app = make();
    attach(usage, app);
    if (parsesBody) app.use(make.urlencoded({ extended: false }));
    for (const handler of handlers) app.use(handler as express.RequestHandler);
    app.get('/', (_request, response) => void response.send('app'));
    return app.listen(0, HOST);
  };
}

function buildFastify(make: () => FastifyInstance, parser: (app: FastifyInstance) => void): Build {
  return async (usage, handlers, parsesBody) => {
    const app = make();
    attach(usage, app);
    if (parsesBody) parser(app);
    for (const handler of handlers) app.register(handler as never);
    app.get('/', () => 'app');
    await app.listen({ port: 0, host: HOST });
    return app.server;
  };
}

/** Parses forms like `@fastify/formbody`, which does not support this version. */
function parseForms(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request: unknown, body: unknown, done: (error: null, fields: object) => void) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function buildKoa(Make: typeof Koa): Build {
  return (usage, handlers, parsesBody) => {
    const app = new Make();
    attach(usage, app);
    if (parsesBody) {
      app.use(async (context, next) => {
        const body = new URLSearchParams(await text(context.req));
        Object.assign(context.request, { body: Object.fromEntries(body) });
        return next();
      });
    }
    for (const handler of handlers) app.use(handler as never);
    app.use((context) => {
      if (context.path === '/') context.body = 'app';
    });
    return app.listen(0, HOST);
  };
}

const buildHono: Build = (usage, handlers, parsesBody) => {
  const app = new Hono();
  attach(usage, app);
  if (parsesBody) {
    app.use('*', async (context, next) => {
      if (context.req.method === 'POST') await context.req.parseBody();
      await next();
    });
  }
  for (const handler of handlers) app.use(handler as never);
  app.get('/', (context) => context.text('app'));
  return serveHono({ fetch: (...given) => app.fetch(...given), port: 0, hostname: HOST }) as Server;
};

class PagesController {
  root() {
    return 'app';
  }
}
Get('/')(
  PagesController.prototype,
  'root',
  Object.getOwnPropertyDescriptor(PagesController.prototype, 'root')!,
);
Controller()(PagesController);
class RootModule {}
Module({ controllers: [PagesController] })(RootModule);
const SILENT = { logger: false, abortOnError: false } as const;

const nestExpress: Build = async (usage, handlers, parsesBody) => {
  const app = await NestFactory.create<NestExpressApplication>(RootModule, SILENT);
  attach(usage, app);
  if (parsesBody) app.use(express.urlencoded({ extended: true }));
  for (const handler of handlers) app.use(handler);
  await app.listen(0, HOST);
  return app.getHttpServer();
};

const nestFastify: Build = async (usage, handlers, parsesBody) => {
  const app = await NestFactory.create<NestFastifyApplication>(RootModule, new FastifyAdapter(), SILENT);
  attach(usage, app);
  // Nest adds its own parser during initialization.
  if (parsesBody) await app.init();
  for (const handler of handlers) await app.register(handler as never);
  await app.listen(0, HOST);
  return app.getHttpServer();
};

function buildNode(create: (listener: never) => object): Build {
  return (usage, handlers) => {
    const server = create(((request: http.IncomingMessage, response: http.ServerResponse) => {
      if (handlers.some((handler) => handler(request, response))) return;
      response.statusCode = request.url === '/' ? 200 : 404;
      response.end('app');
    }) as never) as Server;
    attach(usage, server);
    return server.listen(0, HOST);
  };
}

interface Framework {
  name: string;
  build: Build;
  secure?: boolean;
  isHttp2?: boolean;
  /** True if middleware can parse the body before the handler. */
  parsesBody?: boolean;
}

const FRAMEWORKS: Framework[] = [
  { name: 'Express 5', build: buildExpress(express), parsesBody: true },
  { name: 'Express 4', build: buildExpress(express4 as unknown as typeof express), parsesBody: true },
  {
    name: 'Fastify 5',
    build: buildFastify(
      () => fastify(),
      (app) => void app.register(formBody),
    ),
    parsesBody: true,
  },
  {
    name: 'Fastify 4',
    build: buildFastify(() => fastify4() as unknown as FastifyInstance, parseForms),
    parsesBody: true,
  },
  { name: 'Koa 3', build: buildKoa(Koa), parsesBody: true },
  { name: 'Koa 2', build: buildKoa(Koa2), parsesBody: true },
  { name: 'Hono 4', build: buildHono, parsesBody: true },
  { name: 'NestJS on Express', build: nestExpress, parsesBody: true },
  { name: 'NestJS on Fastify', build: nestFastify, parsesBody: true },
  { name: 'node:http', build: buildNode((listener) => http.createServer(listener)) },
  { name: 'node:https', build: buildNode((listener) => https.createServer(TLS, listener)), secure: true },
  {
    name: 'node:http2 without TLS',
    build: buildNode((listener) => http2.createServer(listener)),
    isHttp2: true,
  },
  {
    name: 'node:http2',
    build: buildNode((listener) => http2.createSecureServer(TLS, listener)),
    secure: true,
    isHttp2: true,
  },
];

interface StartedApp {
  client: Client;
  recorder: Recorder;
  get(path: string, headers?: Record<string, string>, method?: string): Promise<ClientResponse>;
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of cleanups.splice(0).reverse()) await close();
});

async function start(
  { build, secure = false, isHttp2 }: Framework,
  given: { options?: TrackUsageOptions; parsesBody?: boolean } = {},
): Promise<StartedApp> {
  const recorder = await Recorder.create(given.options);
  cleanups.push(() => recorder.close());
  const { usage } = recorder;
  const handlers = [
    usage.handler({ token: TOKEN }),
    usage.handler({ path: '/stats/all', public: true, hosts: ['example.com'] }),
  ];
  const server = await whenListening(await build(usage, handlers, given.parsesBody ?? false));
  cleanups.push(() => closeServer(server as http.Server));
  const { port } = server.address() as AddressInfo;
  const client = (isHttp2 ? http2Client : http1Client)({ host: HOST, port, secure });
  cleanups.push(() => client.close());
  return {
    client,
    recorder,
    get: (path, headers = {}, method = 'GET') => client.request({ path, headers, method }),
  };
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  const { isHttp2, secure, parsesBody } = framework;

  test('handles only requests below its path, next to another handler and the app', async () => {
    const { get, client, recorder } = await start(framework);
    expect((await get('/')).body.toString()).toBe('app');
    await recorder.captured(1);
    await recorder.usage.flush();

    const bare = await get('/usage?range=7d');
    expect([bare.status, bare.headers.location]).toEqual([303, '/usage/?range=7d']);
    expect((await get('/usage/api/v1/site')).status).toBe(401);
    expect((await get('/usagex')).status).toBe(404);
    expect((await get('/usagex')).headers['x-frame-options']).toBeUndefined();

    const missing = await get('/usage/nothing/here');
    expect([missing.status, missing.headers['content-type'], jsonOf(missing).code]).toEqual([
      404,
      'application/problem+json; charset=utf-8',
      'PATH_UNKNOWN',
    ]);
    const login = await client.request({ path: '/usage/login', ...form(TOKEN) });
    expect([login.status, login.headers.location]).toEqual([303, '/usage/']);
    expect(String(login.headers['set-cookie'])).toMatch(
      secure ? /HttpOnly; Secure; SameSite=Strict/ : /HttpOnly; SameSite=Strict/,
    );
    const signedIn = { cookie: cookieOf(login) };

    const site = await get('/usage/api/v1/site', signedIn);
    expect([site.status, site.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    expect(jsonOf(site).summaries.map(({ name }: { name: string }) => name)).toContain('urls');
    // Only requests outside its path are counted. Those for /usagex are stored a little later.
    const { totals } = jsonOf(await get('/usage/api/v1/totals', bearer()));
    expect(totals.hits).toBeGreaterThanOrEqual(1);

    const csv = await get('/usage/api/v1/summaries/server?format=csv', bearer());
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(csv.body.toString()).toMatch(/^key,hits,transfer,errors,duration\r\ndefault,\d+,/);

    const head = await get('/usage/api/v1/totals', bearer(), 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(Number(head.headers['content-length'])).toBeGreaterThan(100);
    for (const path of ['nothing', 'api/v1/summaries/server?format=csv', 'api/v1/live']) {
      const response = await get(`/usage/${path}`, bearer(), 'HEAD');
      expect([response.status, response.body.length]).toEqual([path === 'nothing' ? 404 : 200, 0]);
    }
    if (isHttp2) {
      expect(head.headers).not.toHaveProperty('connection');
      expect(head.headers).not.toHaveProperty('transfer-encoding');
    }
    const again = await get('/usage/api/v1/openapi.json', bearer());
    const same = await get('/usage/api/v1/openapi.json', {
      ...bearer(),
      'if-none-match': String(again.headers.etag),
    });
    expect([same.status, same.body.length]).toEqual([304, 0]);

    const stream = client.start({ path: '/usage/api/v1/live', headers: bearer() });
    await stream.received('retry: 3000\n\nevent: usage\ndata: {'.length);
    stream.abort();
    await expect(stream.response).rejects.toThrow();

    const host = isHttp2 ? { ':authority': 'example.com' } : { host: 'example.com' };
    expect((await get('/stats/all/api/v1/site', host)).status).toBe(200);
    expect((await get('/usage/api/v1/site', host)).status).toBe(401);
    expect(jsonOf(await get('/stats/all/api/v1/openapi.json', host)).servers).toEqual([
      { url: '/stats/all/api/v1' },
    ]);
    expect((await get('/stats/all/api/v1/site')).status).toBe(421);
    expect((await get('/stats')).status).toBe(404);
  });

  test.each(['exclude', 'include'] as const)('is not tracked, with views: %s', async (views) => {
    const { get, client, recorder } = await start(framework, { options: { views } });
    if (views === 'include') {
      recorder.usage.include('/');
      recorder.usage.include('/usage/*');
    }
    for (const path of ['/', '/usage', '/usage/', '/usage/api/v1/site?x=1', '/stats/all/', '/']) {
      await get(path, bearer());
    }
    await client.request({ path: '/usage/login', ...form('wrong') });
    await get('/usage/api/v1/site', bearer(), 'HEAD');
    await get('/');
    const records = await recorder.take(3);
    expect(records.map(({ path }) => path)).toEqual(['/', '/', '/']);
  });

  if (parsesBody) {
    test('accepts a form that was parsed already', async () => {
      const { client } = await start(framework, { parsesBody: true });
      const wrong = await client.request({ path: '/usage/login', ...form('wrong') });
      expect([wrong.status, jsonOf(wrong).code]).toEqual([401, 'TOKEN_WRONG']);
      const right = await client.request({ path: '/usage/login', ...form(TOKEN) });
      expect(right.status).toBe(303);
    });
  }
});

describe('Fastify', () => {
  async function registered(prefix: string, path: string) {
    const recorder = await Recorder.create();
    cleanups.push(() => recorder.close());
    const app = fastify({ routerOptions: { caseSensitive: false } });
    attach(recorder.usage, app);
    app.register(recorder.usage.handler({ path, token: TOKEN }) as never, { prefix });
    cleanups.push(() => app.close() as unknown as Promise<void>);
    // Fastify is a thenable.
    return { app };
  }

  test.each([
    ['/admin', '/admin/usage'],
    ['/admin', '/admin'],
    ['/admin/deep', '/admin/deep/usage'],
  ])('handles requests with the prefix %s at %s', async (prefix, path) => {
    const { app } = await registered(prefix, path);
    const { statusCode } = await app.inject({ url: `${path}/api/v1/site`, headers: bearer() });
    expect(statusCode).toBe(200);
    expect((await app.inject(path)).headers.location).toBe(`${path}/`);
  });

  test.each([
    ['/admin', '/usage'],
    ['/us', '/usage'],
  ])('rejects the prefix %s for %s', async (prefix, path) => {
    const { app } = await registered(prefix, path);
    await expect(app.ready()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  test('leaves other spellings of its path to the app', async () => {
    const { app } = await registered('', '/usage');
    for (const url of ['/%75sage/api/v1/site', '/USAGE/api/v1/site', '/%75sage/', '/USAGE']) {
      const { statusCode, headers } = await app.inject({ url, headers: bearer() });
      expect([url, statusCode, headers['x-frame-options']]).toEqual([url, 404, undefined]);
    }
  });
});
