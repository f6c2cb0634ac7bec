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
import type { App } from '../../src/frameworks/index.ts';
import type { Mark, TrackUsage, Views } from '../../src/index.ts';
import { trackUsage } from '../../src/integrations/fastify.ts';
import { http1Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const HOST = '127.0.0.1';

/** Marks in the mode of the case. */
type Marker = <const M extends Mark>(mark: M) => M;
type Build = (mark: Marker, usage: TrackUsage) => Promise<Server> | Server;
/** What an app marks, and which of its requests that are. */
type Case = [what: string, build: Build, marked: string[]];

const ASKS = [
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

/** The requests that became records in one mode. */
async function tracked(views: Views, build: Build): Promise<string[]> {
  const recorder = await Recorder.create({ views, cookie: true });
  const { usage } = recorder;
  const server = await build((mark) => usage[views](mark), usage);
  if (!server.listening) await once(server.listen(0, HOST), 'listening');
  const client = http1Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
  const visitors = [];
  for (const ask of ASKS) {
    const [path = '', method = 'GET'] = ask.split(' ').reverse();
    const { headers } = await client.ask({ path, method });
    if (headers['set-cookie']) visitors.push(ask);
  }
  client.close();
  await closeServer(server);
  await usage.flush();
  const records = (await usage.getUsage({ limit: 0 })).reverse();
  expect(recorder.errors).toEqual([]);
  await recorder.close();
  const asked = records.map(({ method, path }) => (method === 'GET' ? path : `${method} ${path}`));
  expect(visitors).toEqual(asked);
  return asked;
}

function check(cases: Case[]): void {
  test.each(cases)('%s', async (_, build, marked) => {
    expect(await tracked('exclude', build)).toEqual(ASKS.filter((ask) => !marked.includes(ask)));
    expect(await tracked('include', build)).toEqual(ASKS.filter((ask) => marked.includes(ask)));
  });
}

/** What a case marks of an app; the rest is given back as it is. */
type Parts = { [part in 'admin' | 'deep' | 'post' | 'other']?: Marker };
const same: Marker = (mark) => mark;

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('%s', (_, create) => {
  const build =
    (parts: (mark: Marker) => Parts, makeAdmin: () => express.Router = create.Router): Build =>
    (mark, usage) => {
      const { admin = same, deep = same, post = same, other = same } = parts(mark);
      const app = create();
      const handler: express.Handler = (_request, response) => void response.send('fine');
      app.get('/', handler);
      const inner = create.Router();
      inner.get('/x', handler);
      const router = makeAdmin();
      router.use((request, response, next) =>
        request.path === '/secret' ? response.status(401).end() : next(),
      );
      const create7: express.Handler = (_request, response) => void response.status(201).end();
      router.route('/users/:id').get(handler).post(post(create7));
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
      usage.attach(app as unknown as App);
      return createServer(app);
    };
  check([
    ['a router', build((admin) => ({ admin })), ADMIN],
    ['an app inside the app', build((admin) => ({ admin }), create as () => express.Router), ADMIN],
    ['a router in a router', build((deep) => ({ deep })), ['/admin/deep/x']],
    ['both', build((mark) => ({ admin: mark, deep: mark })), ADMIN],
    ['two beside each other', build((mark) => ({ deep: mark, other: mark })), ['/admin/deep/x', ...OTHER]],
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
      const { admin = same, deep = same, post = same, other = same } = parts(mark);
      const app = new Create();
      app.silent = true;
      const fine = (): Koa.Middleware => (context) => {
        context.body = 'fine';
      };
      const root = new Router();
      root.get('/', fine());
      const inner = new Router();
      inner.get('/x', fine());
      deep(inner);
      const router = new Router({ prefix: '/admin' });
      router.use((context, next) => (context.path === '/admin/secret' ? context.throw(401) : next()));
      router.get('/secret', fine());
      router.get('/users/:id', fine());
      router.post(
        '/users/:id',
        post((context: Koa.Context) => {
          context.status = 201;
        }),
      );
      router.get('/broken', broken);
      router.use('/deep', inner.routes());
      const others = new Router({ prefix: '/other' });
      others.get('/users/:id', fine());
      others.get('/deep/x', fine());
      app.use(root.routes());
      app.use(admin(router.routes()));
      app.use(other(others).routes());
      usage.attach(app as unknown as App);
      return createServer(app.callback());
    };
  check([
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
      const { admin = same, deep = same, post = same, other = same } = parts(mark);
      const app = new Hono();
      const fine = () => (context: { text(text: string): Response }) => context.text('fine');
      app.onError((_error, context) => context.text('sorry', 500));
      app.get('/', fine());
      const inner = new Hono();
      inner.get('/x', fine());
      const router = admin(new Hono());
      router.onError((_error, context) => context.text('own', 500));
      router.use(async (context, next) =>
        context.req.path === '/admin/secret' ? context.text('no', 401) : next(),
      );
      router.get('/secret', fine());
      router.get('/users/:id', fine());
      router.post(
        '/users/:id',
        post((context: Context) => context.text('made', 201)),
      );
      router.get('/broken', broken);
      router.route('/deep', deep(inner));
      const others = other(new Hono());
      others.get('/users/:id', fine());
      others.get('/deep/x', fine());
      app.route('/admin', router);
      app.route('/other', others);
      usage.attach(app as unknown as App);
      return createAdaptorServer({ fetch: app.fetch }) as Server;
    };
  check([
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
  /** Its config says of a route whether it is tracked. */
  type Said = { config?: { trackUsage?: boolean } };

  const build =
    (
      parts: (mark: Marker) => Parts,
      { said = {}, inPlace = false, begin }: { said?: Said; inPlace?: boolean; begin?: Begin } = {},
    ): Build =>
    async (mark, usage) => {
      const { admin = same, deep = same, post = same, other = same } = parts(mark);
      const app = create();
      if (begin) await begin(app, usage);
      else usage.attach(app as unknown as App);
      app.get('/', handler);
      const inner = async (instance: FastifyInstance) => {
        instance.get('/x', handler);
      };
      const prefix = inPlace ? '/admin' : '';
      const plugin = async (instance: FastifyInstance) => {
        instance.addHook('onRequest', async (request, reply) =>
          request.url === '/admin/secret' ? reply.code(401).send() : undefined,
        );
        instance.get(`${prefix}/secret`, handler);
        instance.get(`${prefix}/users/:id`, handler);
        instance.post(`${prefix}/users/:id`, post(handler.bind(null)));
        instance.get(`${prefix}/broken`, said, broken);
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
      app.register(admin(inPlace ? shared(plugin) : plugin), { prefix: '/admin' });
      app.register({ default: other(others) } as unknown as typeof others, { prefix: '/other' });
      await app.listen({ port: 0, host: HOST });
      return app.server;
    };
  type Begin = (app: FastifyInstance, usage: TrackUsage) => Promise<unknown> | unknown;
  const asPlugin: Begin = async (app, usage) => {
    await app.register(trackUsage, { usage });
  };

  check([
    ['a plugin', build((admin) => ({ admin })), ADMIN],
    ['a plugin without an instance of its own', build((admin) => ({ admin }), { inPlace: true }), ADMIN],
    ['a plugin in a plugin', build((deep) => ({ deep })), ['/admin/deep/x']],
    ['both', build((mark) => ({ admin: mark, deep: mark })), ADMIN],
    ['a plugin with a callback, of a module', build((other) => ({ other })), OTHER],
    ['a handler', build((post) => ({ post })), ['POST /admin/users/7']],
    ['with the plugin of ours', build((admin) => ({ admin }), { begin: asPlugin }), ADMIN],
  ]);

  test("a route's config has the last word", async () => {
    const unmarked = () => ({});
    const marked = (admin: Marker) => ({ admin });
    const never = { said: { config: { trackUsage: false } } };
    const always = { said: { config: { trackUsage: true } } };
    const without = (...gone: string[]) => ASKS.filter((ask) => !gone.includes(ask));
    expect(await tracked('exclude', build(unmarked, never))).toEqual(without('/admin/broken'));
    expect(await tracked('include', build(unmarked, always))).toEqual(['/admin/broken']);
    expect(await tracked('include', build(marked, never))).toEqual(
      ADMIN.filter((ask) => ask !== '/admin/broken'),
    );
    expect(await tracked('exclude', build(marked, always))).toEqual(
      without(...ADMIN.filter((ask) => ask !== '/admin/broken')),
    );
    // Also where the route was there first.
    const late: Begin = (app, usage) => void app.register(trackUsage, { usage });
    expect(await tracked('exclude', build(unmarked, { ...never, begin: late }))).toEqual(
      without('/admin/broken'),
    );
  });
});

test('what is marked stays itself', async () => {
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
