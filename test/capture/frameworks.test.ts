import 'reflect-metadata';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { serve as serveHono } from '@hono/node-server';
import Router from '@koa/router';
import { Controller, Get, type INestApplication, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { Hono } from 'hono';
import Koa from 'koa';
import Koa2 from 'koa2';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { type TrackUsage, TrackUsageError, type UsageRecord } from '../../src/index.ts';
import { type ClientRequest, http1Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const broken = (): never => {
  throw new Error('broken');
};
const HOST = '127.0.0.1';

interface BuiltApp {
  app: object;
  start(): Promise<Server> | Server;
}

/** A request, and the response and record expected of every framework. */
interface Case extends ClientRequest {
  status: number;
  bytes?: number;
  expected: [route: string | null, params: Record<string, unknown> | null, blueprint: string | null];
}

const CASES: Case[] = [
  { path: '/', status: 200, bytes: 4, expected: ['/', null, null] },
  { path: '/?a=1', status: 200, bytes: 4, expected: ['/', null, null] },
  { path: '/api/users/7', status: 200, bytes: 6, expected: ['/api/users/:id', { id: '7' }, '/api'] },
  { path: '/api/users/a%20b', status: 200, bytes: 8, expected: ['/api/users/:id', { id: 'a b' }, '/api'] },
  {
    path: '/api/users/7',
    method: 'HEAD',
    status: 200,
    bytes: 0,
    expected: ['/api/users/:id', { id: '7' }, '/api'],
  },
  { path: '/api/broken', status: 500, expected: ['/api/broken', null, '/api'] },
  { path: '/late', status: 200, bytes: 4, expected: ['/late', null, null] },
  { path: '/nowhere', status: 404, expected: [null, null, null] },
  { path: '/api/nowhere', status: 404, expected: [null, null, null] },
];

function buildFastify(app: FastifyInstance): BuiltApp {
  app.get('/', () => 'root');
  app.get('/late', async () => {
    await new Promise(setImmediate);
    return 'late';
  });
  app.register(
    async (api) => {
      api.get('/users/:id', (request) => `user ${(request.params as { id: string }).id}`);
      api.get('/broken', broken);
    },
    { prefix: '/api' },
  );
  return {
    app,
    async start() {
      await app.listen({ port: 0, host: HOST });
      return app.server;
    },
  };
}

function buildKoa(app: Koa): BuiltApp {
  app.silent = true;
  const root = new Router();
  root.get('/', (context) => {
    context.body = 'root';
  });
  root.get('/late', async (context) => {
    await new Promise(setImmediate);
    context.body = 'late';
  });
  const api = new Router({ prefix: '/api' });
  api.get('/users/:id', (context) => {
    context.body = `user ${context.params.id}`;
  });
  api.get('/broken', broken);
  app.use(root.routes()).use(api.routes());
  return { app, start: () => app.listen(0, HOST) };
}

function buildHono(): BuiltApp {
  const app = new Hono();
  app.onError((_error, context) => context.text('sorry', 500));
  app.use('*', async (_context, next) => next());
  app.get('/', (context) => context.text('root'));
  app.get('/late', async (context) => {
    await new Promise(setImmediate);
    return context.text('late');
  });
  const api = new Hono();
  api.get('/users/:id', (context) => context.text(`user ${context.req.param('id')}`));
  api.get('/broken', broken);
  app.route('/api', api);
  return {
    app,
    start: () => serveHono({ fetch: (...args) => app.fetch(...args), port: 0, hostname: HOST }) as Server,
  };
}

class UsersController {}
Object.assign(UsersController.prototype, {
  getRoot: () => 'root',
  getLate: async () => {
    await new Promise(setImmediate);
    return 'late';
  },
  getUser: (id: string) => `user ${id}`,
  getBroken: broken,
});
for (const [name, path] of [
  ['getRoot', '/'],
  ['getLate', '/late'],
  ['getUser', '/api/users/:id'],
  ['getBroken', '/api/broken'],
] as const) {
  Get(path)(
    UsersController.prototype,
    name,
    Object.getOwnPropertyDescriptor(UsersController.prototype, name)!,
  );
}
Param('id')(UsersController.prototype, 'getUser', 0);
Controller()(UsersController);
class RootModule {}
Module({ controllers: [UsersController] })(RootModule);

function buildNest(app: INestApplication): BuiltApp {
  return {
    app,
    async start() {
      await app.listen(0, HOST);
      return app.getHttpServer();
    },
  };
}

/** Returns whether prefixes belong to routers, not only to paths. */
const hasRouters = (name: string) => !name.startsWith('NestJS');

const FRAMEWORKS: [name: string, build: () => BuiltApp | Promise<BuiltApp>][] = [
  ['NestJS on Express', async () => buildNest(await NestFactory.create(RootModule, { logger: false }))],
  [
    'NestJS on Fastify',
    async () => buildNest(await NestFactory.create(RootModule, new FastifyAdapter(), { logger: false })),
  ],
  ['Fastify 5', () => buildFastify(fastify())],
  ['Fastify 4', () => buildFastify(fastify4() as unknown as FastifyInstance)],
  ['Koa 3', () => buildKoa(new Koa())],
  ['Koa 2', () => buildKoa(new Koa2())],
  ['Hono 4', buildHono],
];

/** Sends requests to a tracked app, and returns the responses and records. */
async function track(built: BuiltApp, requests: ClientRequest[], given?: Recorder) {
  const recorder = given ?? (await Recorder.create());
  recorder.usage.attach(built.app as TrackedApp);
  const server = await built.start();
  if (!server.listening) await once(server, 'listening');
  const client = http1Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
  const responses = [];
  for (const request of requests) responses.push(await client.request(request));
  const records = await recorder.take(requests.length);
  client.close();
  await closeServer(server);
  await recorder.close();
  return { responses, records };
}

const fieldsOf = ({ route, routeParams, blueprint }: UsageRecord) => [route, routeParams, blueprint];

describe.each(FRAMEWORKS)('%s', (name, build) => {
  test('records routes, parameters, prefixes, errors and unknown paths', async () => {
    const { responses, records } = await track(await build(), CASES);
    expect(responses.map(({ status }) => status)).toEqual(CASES.map(({ status }) => status));
    expect(records.map(({ status }) => status)).toEqual(CASES.map(({ status }) => status));
    expect(records.map(({ contentLength }) => contentLength)).toEqual(
      CASES.map(({ bytes }, i) => bytes ?? responses[i]!.body.length),
    );
    expect(records.map(fieldsOf)).toEqual(
      CASES.map(({ expected: [route, params, blueprint] }) => [
        route,
        params,
        hasRouters(name) ? blueprint : null,
      ]),
    );
  });

  test('cannot be tracked twice', async () => {
    const { app } = await build();
    const recorder = await Recorder.create();
    recorder.usage.attach(app as TrackedApp);
    expect(() => recorder.usage.attach(app as TrackedApp)).toThrow(
      expect.objectContaining({ code: 'APP_TRACKED' }),
    );
    await recorder.close();
  });
});

describe('vars of a request', () => {
  const setVars = (usage: TrackUsage<{ plan?: string; user?: number }>) => (request: object) => {
    usage.vars(request).plan = 'gold';
    usage.vars(request).user = 7;
    return 'noted';
  };
  const apps: [name: string, build: (setVars: (request: object) => string) => BuiltApp][] = [
    [
      'Express',
      (respond) => {
        const app = express();
        app.get('/:id', (request, response) => void response.send(respond(request)));
        return { app, start: () => app.listen(0, HOST) };
      },
    ],
    [
      'Fastify',
      (respond) => {
        const app = fastify();
        app.get('/:id', (request) => respond(request));
        return buildFastify(app);
      },
    ],
    [
      'the context of Koa',
      (respond) => {
        const app = new Koa();
        app.use((context) => {
          context.body = respond(context);
        });
        return { app, start: () => app.listen(0, HOST) };
      },
    ],
    [
      'the request of Koa',
      (respond) => {
        const app = new Koa();
        app.use((context) => {
          context.body = respond(context.request);
        });
        return { app, start: () => app.listen(0, HOST) };
      },
    ],
    [
      'Hono',
      (respond) => {
        const app = new Hono();
        app.get('/:id', (context) => context.text(respond(context)));
        return {
          app,
          start: () =>
            serveHono({ fetch: (...args) => app.fetch(...args), port: 0, hostname: HOST }) as Server,
        };
      },
    ],
  ];

  test.each(apps)('are recorded with %s', async (_, build) => {
    const recorder = await Recorder.create();
    const { responses, records } = await track(
      build(setVars(recorder.usage as TrackUsage)),
      [{ path: '/5' }],
      recorder,
    );
    expect(responses[0]!.body.toString()).toBe('noted');
    expect(records[0]!.vars).toEqual({ plan: 'gold', user: 7 });
    expect(recorder.errors).toEqual([]);
  });

  test.each([
    ['nothing', () => ({}), null, null],
    ['a circular object', () => circularObject(), null, /vars.*circular/],
    ['an object with toJSON', () => ({ toJSON: () => 'text' }), null, /vars.*toJSON/],
    ['an object that is too long', () => ({ text: 'a'.repeat(20_000) }), null, /vars.*20011 characters/],
    ['a property named __proto__', () => JSON.parse('{"__proto__":{"a":1},"b":2}'), { b: 2 }, null],
    ['text that databases reject', () => ({ a: '\0\ud800' }), { a: '\ufffd\ufffd' }, null],
  ] as const)('are stored or reported: %s', async (_, make, stored, error) => {
    const recorder = await Recorder.create();
    const app = express();
    app.get('/:id', (request, response) => {
      Object.assign(recorder.usage.vars(request), make());
      response.send('fine');
    });
    const { records } = await track({ app, start: () => app.listen(0, HOST) }, [{ path: '/5' }], recorder);
    expect([records[0]!.routeParams, records[0]!.vars]).toEqual([{ id: '5' }, stored]);
    expect(recorder.errors.map(({ message }) => message)).toEqual(
      error === null ? [] : [expect.stringMatching(error)],
    );
  });

  test('report an argument that is not a request', async () => {
    const recorder = await Recorder.create();
    for (const given of [null, 'text', {}, { raw: {} }]) {
      recorder.usage.vars(given as object).plan = 'gold';
    }
    expect(recorder.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/usage\.vars\(\) was given .*, which is not a request/),
    ]);
    await recorder.close();
  });
});

function circularObject(): object {
  const object: { self?: object } = {};
  object.self = object;
  return object;
}

const FORWARDED = { headers: { 'x-forwarded-for': '192.0.2.1, 198.51.100.2' } };

describe("the recorded address is the framework's", () => {
  test.each([false, true, 1, '127.0.0.1', '127.0.0.1, 198.51.100.0/24', '10.0.0.0/8'])(
    "with Fastify's trustProxy %s",
    async (trustProxy) => {
      const app = fastify({ trustProxy: trustProxy as string });
      const built = buildFastify(app);
      app.get('/ip', (request) => request.ip);
      const { responses, records } = await track(built, [{ path: '/ip', ...FORWARDED }]);
      expect(records[0]!.remoteAddr).toBe(responses[0]!.body.toString());
    },
  );

  test.each([
    { proxy: false },
    { proxy: true },
    { proxy: true, maxIpsCount: 1 },
    { proxy: true, maxIpsCount: 2 },
  ])("with Koa's settings %o", async (settings) => {
    const app = new Koa(settings);
    app.use((context) => {
      context.body = context.ip;
    });
    const { responses, records } = await track({ app, start: () => app.listen(0, HOST) }, [FORWARDED]);
    expect(records[0]!.remoteAddr).toBe(responses[0]!.body.toString());
  });
});

describe('Fastify', () => {
  test('rejects an app that has started', async () => {
    const app = fastify();
    await app.ready();
    const recorder = await Recorder.create();
    const attach = () => recorder.usage.attach(app);
    expect(attach).toThrow(TrackUsageError);
    expect(attach).toThrow(expect.objectContaining({ code: 'APP_STARTED' }));
    await app.close();
    await recorder.close();
  });

  test('responds to injected requests as without tracking', async () => {
    const app = fastify();
    const { app: tracked } = buildFastify(app);
    const recorder = await Recorder.create();
    recorder.usage.attach(tracked as TrackedApp);
    const response = await app.inject('/api/users/7');
    expect([response.statusCode, response.body]).toEqual([200, 'user 7']);
    expect(recorder.errors).toEqual([]);
    await app.close();
    await recorder.close();
  });
});

describe('Hono', () => {
  test('responds to requests without a server as without tracking', async () => {
    const { app } = buildHono();
    const recorder = await Recorder.create();
    recorder.usage.attach(app as TrackedApp);
    const response = await (app as Hono).request('/api/users/7');
    expect([response.status, await response.text()]).toEqual([200, 'user 7']);
    expect(recorder.usage.status().captured).toBe(0);
    await recorder.close();
  });
});
