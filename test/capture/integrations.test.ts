import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import Router from '@koa/router';
import express from 'express';
import express4 from 'express4';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { Hono } from 'hono';
import Koa from 'koa';
import Koa2 from 'koa2';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { OutputWriter, TrackUsage, type UsageRecord } from '../../src/index.ts';
import { trackUsage as trackExpress } from '../../src/integrations/express.ts';
import trackFastify, { trackUsage } from '../../src/integrations/fastify.ts';
import { trackUsage as trackHono } from '../../src/integrations/hono.ts';
import { trackUsage as trackKoa } from '../../src/integrations/koa.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { http1Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const HOST = '127.0.0.1';

interface BuiltApp {
  app: object;
  server(): Server;
}

const broken = (): never => {
  throw new Error('broken');
};

/** `/early` responds before the middleware is reached. `/ended` responds, and then calls the middleware. */
const MIDDLEWARE: [name: string, build: (usage: TrackUsage) => BuiltApp][] = [
  ...(
    [
      ['Express 5', express],
      ['Express 4', express4],
    ] as const
  ).map(([name, create]): (typeof MIDDLEWARE)[number] => [
    name,
    (usage) => {
      const app = create();
      app.get('/early', (_request, response) => void response.send('early'));
      app.get('/ended', (_request, response, next) => {
        response.send('ended');
        next();
      });
      app.use(trackExpress(usage));
      const api = create.Router();
      api.get('/users/:id', (request, response) => void response.send(`user ${request.params.id}`));
      api.get('/broken', broken);
      app.use('/api', api);
      const sorry: express.ErrorRequestHandler = (_error, _request, response, next) =>
        response.headersSent ? next() : void response.status(500).send('sorry');
      app.use(sorry);
      return { app, server: () => createServer(app) };
    },
  ]),
  ...(
    [
      ['Koa 3', Koa],
      ['Koa 2', Koa2],
    ] as const
  ).map(([name, Create]): (typeof MIDDLEWARE)[number] => [
    name,
    (usage) => {
      const app = new Create();
      app.silent = true;
      app.use(async (context, next) => {
        if (context.path === '/early') context.body = 'early';
        else if (context.path === '/ended') {
          context.respond = false;
          context.res.statusCode = 200;
          context.res.end('ended');
          await next();
        } else await next();
      });
      app.use(trackKoa(usage));
      const api = new Router({ prefix: '/api' });
      api.get('/users/:id', (context) => {
        context.body = `user ${context.params.id}`;
      });
      api.get('/broken', broken);
      app.use(api.routes());
      return { app, server: () => createServer(app.callback()) };
    },
  ]),
  [
    'Hono 4',
    (usage) => {
      const app = new Hono();
      app.onError((_error, context) => context.text('sorry', 500));
      app.get('/early', (context) => context.text('early'));
      app.get('/ended', (context) => context.text('ended'));
      app.use(trackHono(usage));
      const api = new Hono();
      api.get('/users/:id', (context) => context.text(`user ${context.req.param('id')}`));
      api.get('/broken', broken);
      app.route('/api', api);
      const fetch = (...args: Parameters<typeof app.fetch>) => app.fetch(...args);
      return { app, server: () => createAdaptorServer({ fetch }) as Server };
    },
  ],
];

const PATHS = ['/early', '/ended', '/api/users/7?a=1', '/api/broken', '/nowhere'];
const EXPECTED = [
  ['/api/users/7', 200, '/api/users/:id', { id: '7' }, '/api'],
  ['/api/broken', 500, '/api/broken', null, '/api'],
  ['/nowhere', 404, null, null, null],
];
const fieldsOf = ({ path, status, route, routeParams, blueprint }: UsageRecord) => [
  path,
  status,
  route,
  routeParams,
  blueprint,
];

/** Requests each path on one connection and closes it, so that no record can arrive later. */
async function requestAll(server: Server, paths: string[]): Promise<number[]> {
  const client = http1Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
  const statuses = [];
  for (const path of paths) statuses.push((await client.request({ path })).status);
  client.close();
  return statuses;
}

async function recordsOf(usage: TrackUsage): Promise<unknown[]> {
  await usage.flush();
  return (await usage.getUsage({ limit: 0 })).reverse().map(fieldsOf);
}

describe.each(MIDDLEWARE)('middleware of %s', (_, build) => {
  test('records the requests that reach it', async () => {
    const recorder = await Recorder.create();
    const server = build(recorder.usage).server().listen(0, HOST);
    await once(server, 'listening');
    expect(await requestAll(server, PATHS)).toEqual([200, 200, 200, 500, 404]);
    await closeServer(server);
    expect(await recordsOf(recorder.usage)).toEqual(EXPECTED);
    expect(recorder.errors).toEqual([]);
    await recorder.close();
  });

  test('records each request once if the app and server are tracked too', async () => {
    const recorder = await Recorder.create();
    const { app, server: make } = build(recorder.usage);
    recorder.usage.attach(app as TrackedApp);
    const server = make();
    recorder.usage.attach(server as unknown as TrackedApp);
    server.listen(0, HOST);
    await once(server, 'listening');
    await requestAll(server, PATHS);
    await closeServer(server);
    const records = await recordsOf(recorder.usage);
    expect(records).toHaveLength(PATHS.length);
    expect(records.slice(2)).toEqual(EXPECTED);
    await recorder.close();
  });

  test('requires an open TrackUsage', async () => {
    for (const given of [undefined, {}, new SqliteStorage('unused.db')]) {
      expect(() => build(given as TrackUsage)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    }
    const recorder = await Recorder.create();
    await recorder.close();
    expect(() => build(recorder.usage)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });
});

test.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('records the requests of a mounted %s app once per TrackUsage', async (_, create) => {
  const [recorder, other] = [await Recorder.create(), await Recorder.create()];
  const [app, admin] = [create(), create()];
  admin.get('/users/:id', (_request, response) => void response.send('fine'));
  app.use('/admin', admin);
  recorder.usage.attach(app as unknown as TrackedApp).attach(admin as unknown as TrackedApp);
  app.use('/admin', trackExpress(other.usage), admin);
  app.get('/other', trackExpress(other.usage), (_request, response) => void response.send('fine'));
  const server = app.listen(0, HOST);
  await once(server, 'listening');
  await requestAll(server, ['/admin/users/7', '/other']);
  await closeServer(server);
  const [first, second] = [
    ['/admin/users/7', 200, '/admin/users/:id', { id: '7' }, '/admin'],
    ['/other', 200, '/other', null, null],
  ];
  expect(await recordsOf(recorder.usage)).toEqual([first, second]);
  expect(await recordsOf(other.usage)).toEqual([second]);
  await recorder.close();
  await other.close();
});

describe.each([
  ['Fastify 5', fastify],
  ['Fastify 4', fastify4 as unknown as typeof fastify],
] as const)('the plugin of %s', (_, create) => {
  const api = async (app: FastifyInstance) => {
    app.get('/users/:id', async (request) => `user ${(request.params as { id: string }).id}`);
  };
  async function start(app: FastifyInstance): Promise<Server> {
    await app.listen({ port: 0, host: HOST });
    return app.server;
  }

  test('has a default and a named export', () => expect(trackFastify).toBe(trackUsage));

  test('records routes registered before and after it', async () => {
    const recorder = await Recorder.create();
    const app = create();
    app.get('/first', async () => 'first');
    app.register(api, { prefix: '/before' });
    app.register(trackUsage, { usage: recorder.usage });
    app.register(api, { prefix: '/after' });
    const server = await start(app);
    await requestAll(server, ['/first', '/before/users/7', '/after/users/8', '/nowhere', '/%']);
    await app.close();
    expect(await recordsOf(recorder.usage)).toEqual([
      ['/first', 200, '/first', null, null],
      ['/before/users/7', 200, '/before/users/:id', { id: '7' }, '/before'],
      ['/after/users/8', 200, '/after/users/:id', { id: '8' }, '/after'],
      ['/nowhere', 404, null, null, null],
      ['/%', 400, null, null, null],
    ]);
    // The plugin does not close a TrackUsage that it did not create.
    expect(() => recorder.usage.openCapture()).not.toThrow();
    await recorder.close();
  });

  test('records only the routes of its context if it is encapsulated', async () => {
    const recorder = await Recorder.create();
    const app = create();
    app.register(api, { prefix: '/outside' });
    app.register(
      async (inside) => {
        inside.register(trackUsage, { usage: recorder.usage, encapsulate: true });
        inside.get('/', async () => 'inside');
        inside.register(api, { prefix: '/deeper' });
      },
      { prefix: '/inside' },
    );
    const server = await start(app);
    await requestAll(server, ['/outside/users/7', '/inside', '/inside/deeper/users/7', '/nowhere']);
    await app.close();
    expect(await recordsOf(recorder.usage)).toEqual([
      ['/inside', 200, '/inside', null, '/inside'],
      ['/inside/deeper/users/7', 200, '/inside/deeper/users/:id', { id: '7' }, '/inside/deeper'],
    ]);
    await recorder.close();
  });

  test('records each request once if the app is tracked and the plugin is registered twice', async () => {
    const recorder = await Recorder.create();
    const { usage } = recorder;
    const app = create();
    usage.attach(app as TrackedApp);
    app.register(trackUsage, { usage });
    app.register(api);
    app.register(trackUsage, { usage, encapsulate: true });
    const server = await start(app);
    await requestAll(server, ['/users/7', '/nowhere']);
    await app.close();
    expect(await recordsOf(usage)).toEqual([
      ['/users/7', 200, '/users/:id', { id: '7' }, null],
      ['/nowhere', 404, null, null, null],
    ]);
    await recorder.close();
  });

  test('accepts writers like a TrackUsage', async () => {
    const app = create();
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-'));
    const lines: string[] = [];
    const output = {
      write(text: string | Uint8Array, callback: () => void) {
        lines.push(String(text));
        callback();
      },
    };
    const storages = new OutputWriter({ output, transform: ({ path }) => path });
    app.register(trackUsage, { storages, journal: { dir: directory }, geo: false });
    app.get('/a', async () => 'a');
    await app.inject('/a');
    await app.close();
    rmSync(directory, { recursive: true });
    expect(lines).toEqual(['/a']);
  });

  test('closes its TrackUsage after the pending requests', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-'));
    const file = join(directory, 'usage.db');
    const app = create();
    app.register(trackUsage, { storages: new SqliteStorage(file), journal: { dir: directory }, geo: false });
    let close: Promise<unknown> = Promise.resolve();
    app.addHook('preClose', async () => void response.resolve('late'));
    const response = Promise.withResolvers<string>();
    app.get('/late', async () => {
      close = app.close();
      return response.promise;
    });
    const server = await start(app);
    expect(await requestAll(server, ['/late'])).toEqual([200]);
    await close;
    const after = new TrackUsage(null, new SqliteStorage(file), { journal: { dir: directory }, geo: false });
    await after.ready();
    expect((await after.getUsage()).map(fieldsOf)).toEqual([['/late', 200, '/late', null, null]]);
    await after.close();
    rmSync(directory, { recursive: true });
  });

  test.each([
    [{}, 'OPTION_INVALID'],
    [{ storages: null }, 'STORAGE_INVALID'],
    [{ usage: {} }, 'OPTION_INVALID'],
    [{ storages: [], encapsulate: 'yes' }, 'OPTION_INVALID'],
    [{ storages: [], colour: 'red' }, 'OPTION_UNKNOWN'],
  ])('rejects the options %o', async (options, code) => {
    const app = create();
    app.register(trackUsage, options as { storages: [] });
    await expect(app.ready()).rejects.toMatchObject({ code });
    await app.close();
  });
});
