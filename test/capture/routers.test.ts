import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import Router from '@koa/router';
import express from 'express';
import express4 from 'express4';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { type Context, Hono } from 'hono';
import Koa from 'koa';
import Koa2 from 'koa2';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import type { Mark, TrackUsage, Views } from '../../src/index.ts';
import { trackUsage } from '../../src/integrations/fastify.ts';
import { http1Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const HOST = '127.0.0.1';

/** Marks a router or handler in the mode of the case. */
type Marker = <const M extends Mark>(mark: M) => M;
type Build = (mark: Marker, usage: TrackUsage) => Promise<Server> | Server;
/** Name of the marked part, app, and the requests that the mark covers. */
type Case = [name: string, build: Build, marked: string[]];

const REQUESTS = [
  '/',
  '/admin/users/7',
  'HEAD /admin/users/7',
  'POST /admin/users/7',
  '/admin/secret',
  '/admin/broken',
  '/admin/deep/x',
  '/admin/nowhere',
  '/other/users/7',
  '/other/deep/x',
];
const USERS = ['/admin/users/7', 'HEAD /admin/users/7', 'POST /admin/users/7'];
const ADMIN = [...USERS, '/admin/secret', '/admin/broken', '/admin/deep/x'];
const OTHER = ['/other/users/7', '/other/deep/x'];
const broken = (): never => {
  throw new Error('broken');
};

/** Returns the requests that were recorded in one mode. */
async function trackedRequests(views: Views, build: Build): Promise<string[]> {
  const recorder = await Recorder.create({ views, cookie: true });
  const { usage } = recorder;
  const server = await build((mark) => usage[views](mark), usage);
  if (!server.listening) await once(server.listen(0, HOST), 'listening');
  const client = http1Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
  const visitors = [];
  for (const request of REQUESTS) {
    const [path = '', method = 'GET'] = request.split(' ').reverse();
    const { headers } = await client.request({ path, method });
    if (headers['set-cookie']) visitors.push(request);
  }
  client.close();
  await closeServer(server);
  await usage.flush();
  const records = (await usage.getUsage({ limit: 0 })).reverse();
  expect(recorder.errors).toEqual([]);
  await recorder.close();
  const recorded = records.map(({ method, path }) => (method === 'GET' ? path : `${method} ${path}`));
  expect(visitors).toEqual(recorded);
  return recorded;
}

function testCases(cases: Case[]): void {
  test.each(cases)('excludes and includes %s', async (_, build, marked) => {
    expect(await trackedRequests('exclude', build)).toEqual(
      REQUESTS.filter((request) => !marked.includes(request)),
    );
    expect(await trackedRequests('include', build)).toEqual(
      REQUESTS.filter((request) => marked.includes(request)),
    );
  });
}

/** Parts of an app that a case marks. */
type Parts = { [part in 'admin' | 'deep' | 'post' | 'other']?: Marker };
const unchanged: Marker = (mark) => mark;

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('%s', (_, create) => {
  const build =
    (parts: (mark: Marker) => Parts, makeAdmin: () => express.Router = create.Router): Build =>
    (mark, usage) => {
      const { admin = unchanged, deep = unchanged, post = unchanged, other = unchanged } = parts(mark);
      const app = create();
      const handler: express.Handler = (_request, response) => void response.send('fine');
      app.get('/', handler);
      const inner = create.Router();
      inner.get('/x', handler);
      const router = makeAdmin();
      router.use((request, response, next) =>
        request.path === '/secret' ? response.status(401).end() : next(),
      );
      const createUser: express.Handler = (_request, response) => void response.status(201).end();
      router.route('/users/:id').get(handler).post(post(createUser));
      router.get('/broken', broken);
      router.use('/deep', deep(inner));
      app.use('/admin', admin(router));
      const others = create.Router();
      others.get('/users/:id', handler);
      others.get('/deep/x', handler);
      app.use('/other', other(others));
      const sorry: express.ErrorRequestHandler = (_error, _request, response, _next) =>
        void response.status(500).send('sorry');
      app.use(sorry);
      usage.attach(app as unknown as TrackedApp);
      return createServer(app);
    };
  testCases([
    ['a router', build((admin) => ({ admin })), ADMIN],
    ['an app inside the app', build((admin) => ({ admin }), create as () => express.Router), ADMIN],
    ['a router in a router', build((deep) => ({ deep })), ['/admin/deep/x']],
    ['both, nested', build((mark) => ({ admin: mark, deep: mark })), ADMIN],
    ['two separate routers', build((mark) => ({ deep: mark, other: mark })), ['/admin/deep/x', ...OTHER]],
    ['the handler of a method', build((post) => ({ post })), ['POST /admin/users/7']],
  ]);
});

describe.each([
  ['Koa 3', Koa],
  ['Koa 2', Koa2],
] as const)('%s', (_, Create) => {
  const build =
    (parts: (mark: Marker) => Parts): Build =>
    (mark, usage) => {
      const { admin = unchanged, deep = unchanged, post = unchanged, other = unchanged } = parts(mark);
      const app = new Create();
      app.silent = true;
      const respond = (): Koa.Middleware => (context) => {
        context.body = 'fine';
      };
      const root = new Router();
      root.get('/', respond());
      const inner = new Router();
      inner.get('/x', respond());
      deep(inner);
      const router = new Router({ prefix: '/admin' });
      router.use((context, next) => (context.path === '/admin/secret' ? context.throw(401) : next()));
      router.get('/secret', respond());
      router.get('/users/:id', respond());
      router.post(
        '/users/:id',
        post((context: Koa.Context) => {
          context.status = 201;
        }),
      );
      router.get('/broken', broken);
      router.use('/deep', inner.routes());
      const others = new Router({ prefix: '/other' });
      others.get('/users/:id', respond());
      others.get('/deep/x', respond());
      app.use(root.routes());
      app.use(admin(router.routes()));
      app.use(other(others).routes());
      usage.attach(app as unknown as TrackedApp);
      return createServer(app.callback());
    };
  testCases([
    ['a router, by its middleware', build((admin) => ({ admin })), ADMIN],
    ['a router', build((other) => ({ other })), OTHER],
    ['a router in a router', build((deep) => ({ deep })), ['/admin/deep/x']],
    ['the handler of a method', build((post) => ({ post })), ['POST /admin/users/7']],
  ]);
});

describe('Hono 4', () => {
  const build =
    (parts: (mark: Marker) => Parts): Build =>
    (mark, usage) => {
      const { admin = unchanged, deep = unchanged, post = unchanged, other = unchanged } = parts(mark);
      const app = new Hono();
      const respond = () => (context: { text(text: string): Response }) => context.text('fine');
      app.onError((_error, context) => context.text('sorry', 500));
      app.get('/', respond());
      const inner = new Hono();
      inner.get('/x', respond());
      const router = admin(new Hono());
      router.onError((_error, context) => context.text('own', 500));
      router.use(async (context, next) =>
        context.req.path === '/admin/secret' ? context.text('no', 401) : next(),
      );
      router.get('/secret', respond());
      router.get('/users/:id', respond());
      router.post(
        '/users/:id',
        post((context: Context) => context.text('made', 201)),
      );
      router.get('/broken', broken);
      router.route('/deep', deep(inner));
      const others = other(new Hono());
      others.get('/users/:id', respond());
      others.get('/deep/x', respond());
      app.route('/admin', router);
      app.route('/other', others);
      usage.attach(app as unknown as TrackedApp);
      return createAdaptorServer({ fetch: app.fetch }) as Server;
    };
  testCases([
    ['an app inside the app', build((admin) => ({ admin })), ADMIN],
    ['another', build((other) => ({ other })), ['/other/users/7', '/other/deep/x']],
    ['the handler of a method', build((post) => ({ post })), ['POST /admin/users/7']],
  ]);
});

describe.each([
  ['Fastify 5', fastify],
  ['Fastify 4', fastify4 as unknown as typeof fastify],
] as const)('%s', (_, create) => {
  const handler = async () => 'fine';
  const shared = <F extends object>(plugin: F): F =>
    Object.assign(plugin, { [Symbol.for('skip-override')]: true });
  /** Config of a route that overrides whether it is tracked. */
  type RouteConfig = { config?: { trackUsage?: boolean } };

  const build =
    (
      parts: (mark: Marker) => Parts,
      {
        routeConfig = {},
        withoutInstance = false,
        attach,
      }: { routeConfig?: RouteConfig; withoutInstance?: boolean; attach?: Attach } = {},
    ): Build =>
    async (mark, usage) => {
      const { admin = unchanged, deep = unchanged, post = unchanged, other = unchanged } = parts(mark);
      const app = create();
      if (attach) await attach(app, usage);
      else usage.attach(app as unknown as TrackedApp);
      app.get('/', handler);
      const inner = async (instance: FastifyInstance) => {
        instance.get('/x', handler);
      };
      const prefix = withoutInstance ? '/admin' : '';
      const plugin = async (instance: FastifyInstance) => {
        instance.addHook('onRequest', async (request, reply) =>
          request.url === '/admin/secret' ? reply.code(401).send() : undefined,
        );
        instance.get(`${prefix}/secret`, handler);
        instance.get(`${prefix}/users/:id`, handler);
        instance.post(`${prefix}/users/:id`, post(handler.bind(null)));
        instance.get(`${prefix}/broken`, routeConfig, broken);
        await instance.register(deep(inner), { prefix: `${prefix}/deep` });
      };
      const others = (
        instance: FastifyInstance,
        _options: { prefix: string },
        done: (error?: Error) => void,
      ) => {
        instance.get('/users/:id', handler);
        setImmediate(() => {
          instance.get('/deep/x', handler);
          done();
        });
      };
      app.register(admin(withoutInstance ? shared(plugin) : plugin), { prefix: '/admin' });
      app.register({ default: other(others) } as unknown as typeof others, { prefix: '/other' });
      await app.listen({ port: 0, host: HOST });
      return app.server;
    };
  type Attach = (app: FastifyInstance, usage: TrackUsage) => Promise<unknown> | unknown;
  const asPlugin: Attach = async (app, usage) => {
    await app.register(trackUsage, { usage });
  };

  testCases([
    ['a plugin', build((admin) => ({ admin })), ADMIN],
    ['a plugin without its own instance', build((admin) => ({ admin }), { withoutInstance: true }), ADMIN],
    ['a plugin in a plugin', build((deep) => ({ deep })), ['/admin/deep/x']],
    ['both, nested', build((mark) => ({ admin: mark, deep: mark })), ADMIN],
    ['a plugin with a callback, of a module', build((other) => ({ other })), OTHER],
    ['a handler', build((post) => ({ post })), ['POST /admin/users/7']],
    [
      "a plugin, tracked with this library's plugin",
      build((admin) => ({ admin }), { attach: asPlugin }),
      ADMIN,
    ],
  ]);

  test("a route's config takes precedence", async () => {
    const unmarked = () => ({});
    const marked = (admin: Marker) => ({ admin });
    const never = { routeConfig: { config: { trackUsage: false } } };
    const always = { routeConfig: { config: { trackUsage: true } } };
    const without = (...excluded: string[]) => REQUESTS.filter((request) => !excluded.includes(request));
    expect(await trackedRequests('exclude', build(unmarked, never))).toEqual(without('/admin/broken'));
    expect(await trackedRequests('include', build(unmarked, always))).toEqual(['/admin/broken']);
    expect(await trackedRequests('include', build(marked, never))).toEqual(
      ADMIN.filter((request) => request !== '/admin/broken'),
    );
    expect(await trackedRequests('exclude', build(marked, always))).toEqual(
      without(...ADMIN.filter((request) => request !== '/admin/broken')),
    );
    // Also if the route was added first.
    const late: Attach = (app, usage) => void app.register(trackUsage, { usage });
    expect(await trackedRequests('exclude', build(unmarked, { ...never, attach: late }))).toEqual(
      without('/admin/broken'),
    );
  });
});

test('returns the marked object itself', async () => {
  const { usage, ...recorder } = await Recorder.create();
  const marks = [express.Router(), express4.Router(), express4(), new Hono(), async () => {}];
  for (const mark of marks) {
    expect(usage.exclude(mark as Mark)).toBe(mark);
    expect(usage.include(mark as Mark)).toBe(mark);
  }
  const router = new Router();
  expect(usage.exclude(router)).toBe(router);
  await usage.close();
  expect(recorder.errors).toEqual([]);
});
