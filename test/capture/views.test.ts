import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { serve as serveHono } from '@hono/node-server';
import Router from '@koa/router';
import express from 'express';
import express4 from 'express4';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { TrackUsage, type TrackUsageOptions, type Views } from '../../src/index.ts';
import { exchange, http1Client } from '../support/client.ts';
import { closeServer } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const HOST = '127.0.0.1';
const PATHS = ['/', '/health', '/health?deep=1', '/users/7', '/admin', '/admin/a/b', '/nowhere'];

interface BuiltApp {
  app: object;
  /** True if it is tracked already. */
  attached?: boolean;
  start(): Promise<Server> | Server;
}

const answers = { root: () => 'root', health: () => 'fine', user: () => 'user', admin: () => 'admin' };
type Route = [path: string, answer: () => string];
const routes: Route[] = [
  ['/', answers.root],
  ['/health', answers.health],
  ['/users/:id', answers.user],
  ['/admin', answers.admin],
  ['/admin/a/b', answers.admin],
];

const FRAMEWORKS: [
  name: string,
  make: (marked: (path: string, handler: never) => never, usage: TrackUsage) => BuiltApp,
][] = [
  ...(
    [
      ['Express 5', express],
      ['Express 4', express4],
    ] as const
  ).map(([name, create]): (typeof FRAMEWORKS)[number] => [
    name,
    (marked) => {
      const app = create();
      for (const [path, answer] of routes) {
        const handler: express.Handler = (_request, response) => void response.send(answer());
        app.get(path, marked(path, handler as never));
      }
      return { app, start: () => app.listen(0, HOST) };
    },
  ]),
  [
    'Fastify',
    (marked, usage) => {
      const app = fastify();
      usage.attach(app);
      for (const [path, answer] of routes) app.get(path, marked(path, (async () => answer()) as never));
      return {
        app,
        attached: true,
        async start() {
          await app.listen({ port: 0, host: HOST });
          return app.server;
        },
      };
    },
  ],
  [
    'Koa',
    (marked) => {
      const app = new Koa();
      const router = new Router();
      for (const [path, answer] of routes) {
        const handler: Koa.Middleware = (context) => {
          context.body = answer();
        };
        router.get(path, marked(path, handler as never));
      }
      app.use(router.routes());
      return { app, start: () => app.listen(0, HOST) };
    },
  ],
  [
    'Hono',
    (marked) => {
      const app = new Hono();
      for (const [path, answer] of routes) {
        app.get(
          path,
          marked(path, ((context: { text(text: string): unknown }) => context.text(answer())) as never),
        );
      }
      const fetch = (...args: Parameters<typeof app.fetch>) => app.fetch(...args);
      return { app, start: () => serveHono({ fetch, port: 0, hostname: HOST }) as Server };
    },
  ],
];

/** Returns the paths of `PATHS` that were recorded, and those whose responses set a cookie. */
async function trackPaths(
  options: TrackUsageOptions,
  prepare: (usage: TrackUsage) => BuiltApp,
): Promise<{ paths: string[]; cookies: string[] }> {
  const recorder = await Recorder.create(options);
  const built = prepare(recorder.usage);
  if (!built.attached) recorder.usage.attach(built.app as TrackedApp);
  const server = await built.start();
  if (!server.listening) await once(server, 'listening');
  const client = http1Client({ host: HOST, port: (server.address() as AddressInfo).port, secure: false });
  const cookies: string[] = [];
  for (const path of PATHS) {
    const { headers, status } = await client.request({ path });
    expect(status).toBe(path === '/nowhere' ? 404 : 200);
    if (headers['set-cookie'] !== undefined) cookies.push(path);
  }
  client.close();
  await closeServer(server);
  await recorder.usage.flush();
  const records = await recorder.usage.getUsage({ limit: 0 });
  expect(recorder.errors).toEqual([]);
  expect(recorder.usage.status().captured).toBe(records.length);
  await recorder.close();
  const paths = records.map(({ url }) => url.replace(/^http:\/\/[^/]+/, '')).reverse();
  return { paths, cookies };
}

const without = (...excluded: string[]) => PATHS.filter((path) => !excluded.includes(path));

afterEach(() => vi.unstubAllEnvs());

describe.each(FRAMEWORKS)('%s', (_, make) => {
  const plain = (usage: TrackUsage) => make((_path, handler) => handler, usage);

  test.each([
    ['a path', '/health', ['/health', '/health?deep=1']],
    ['the paths below a path', '/admin/*', ['/admin', '/admin/a/b']],
    ["a route's pattern", '/users/:id', ['/users/7']],
    ['a RegExp', /^\/(users|admin)/g, ['/users/7', '/admin', '/admin/a/b']],
  ] as const)('excludes and includes %s', async (_, mark, marked) => {
    const excluded = await trackPaths({ cookie: true }, (usage) => {
      usage.exclude(mark);
      return plain(usage);
    });
    expect(excluded.paths).toEqual(without(...marked));
    // A request that is not counted gets no visitor cookie.
    expect(excluded.cookies).toEqual(without(...marked));
    const included = await trackPaths({ views: 'include' }, (usage) => {
      usage.include(mark);
      return plain(usage);
    });
    expect(included.paths).toEqual([...marked]);
  });

  test('excludes a handler', async () => {
    const { paths } = await trackPaths({}, (usage) =>
      make((path, handler) => (path === '/users/:id' ? usage.exclude(handler) : handler), usage),
    );
    expect(paths).toEqual(without('/users/7'));
  });
});

describe('a path with dot segments', () => {
  /** Returns for each target which route responded and how many requests were recorded. */
  async function requestTargets(
    make: (answer: (text: string) => string, usage: TrackUsage) => BuiltApp,
    targets: readonly string[],
    mark: string,
  ): Promise<[string, string, number][]> {
    const recorder = await Recorder.create();
    let respondent = '';
    const count = async () => {
      await recorder.usage.flush();
      return (await recorder.usage.getUsage({ limit: 0 })).length;
    };
    const built = make((text) => {
      respondent = text;
      return text;
    }, recorder.usage);
    recorder.usage.exclude(mark);
    if (!built.attached) recorder.usage.attach(built.app as TrackedApp);
    const server = await built.start();
    if (!server.listening) await once(server, 'listening');
    const address = { host: HOST, port: (server.address() as AddressInfo).port, secure: false };
    const results: [string, string, number][] = [];
    for (const target of targets) {
      respondent = 'nobody';
      const before = await count();
      await exchange(address, `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
      results.push([target, respondent, (await count()) - before]);
    }
    await closeServer(server);
    expect(recorder.errors).toEqual([]);
    await recorder.close();
    return results;
  }
  const TARGETS = ['/health/x', '/health/../admin', '/health/%2e%2e/admin', '/x/../health/y', '/%68ealth/x'];

  test('is matched normalized and decoded with Hono, as Hono routes', async () => {
    const make = (answer: (text: string) => string) => {
      const app = new Hono();
      app.get('/health/:what', (context) => context.text(answer('health')));
      app.get('/admin', (context) => context.text(answer('admin')));
      const fetch = (...args: Parameters<typeof app.fetch>) => app.fetch(...args);
      return { app, start: () => serveHono({ fetch, port: 0, hostname: HOST }) as Server };
    };
    expect(await requestTargets(make, TARGETS, '/health/*')).toEqual([
      ['/health/x', 'health', 0],
      ['/health/../admin', 'admin', 1],
      ['/health/%2e%2e/admin', 'admin', 1],
      ['/x/../health/y', 'health', 0],
      ['/%68ealth/x', 'health', 0],
    ]);
  });

  test('is matched normalized with a Node server that parses URLs', async () => {
    const make = (answer: (text: string) => string) => {
      const app = createServer((request, response) => {
        response.end(answer(new URL(request.url!, 'http://h').pathname));
      });
      return { app, start: () => app.listen(0, HOST) };
    };
    expect(await requestTargets(make, TARGETS, '/health/*')).toEqual([
      ['/health/x', '/health/x', 0],
      ['/health/../admin', '/admin', 1],
      ['/health/%2e%2e/admin', '/admin', 1],
      ['/x/../health/y', '/health/y', 0],
      ['/%68ealth/x', '/%68ealth/x', 1],
    ]);
  });

  test('is matched as sent with Express, as Express routes', async () => {
    const make = (answer: (text: string) => string) => {
      const app = express();
      app.get('/health/*what', (_request, response) => void response.send(answer('health')));
      app.get('/admin', (_request, response) => void response.send(answer('admin')));
      return { app, start: () => app.listen(0, HOST) };
    };
    expect(await requestTargets(make, TARGETS, '/health/*')).toEqual([
      ['/health/x', 'health', 0],
      ['/health/../admin', 'health', 0],
      ['/health/%2e%2e/admin', 'health', 0],
      ['/x/../health/y', 'nobody', 1],
      ['/%68ealth/x', 'nobody', 1],
    ]);
  });

  test('is matched decoded with Fastify, as Fastify routes', async () => {
    const make = (answer: (text: string) => string, usage: TrackUsage) => {
      const app = fastify();
      usage.attach(app);
      app.get('/health/*', async () => answer('health'));
      app.get('/admin', async () => answer('admin'));
      return {
        app,
        attached: true,
        async start() {
          await app.listen({ port: 0, host: HOST });
          return app.server;
        },
      };
    };
    expect(await requestTargets(make, TARGETS, '/health/*')).toEqual([
      ['/health/x', 'health', 0],
      ['/health/../admin', 'health', 0],
      ['/health/%2e%2e/admin', 'health', 0],
      ['/x/../health/y', 'nobody', 1],
      ['/%68ealth/x', 'health', 0],
    ]);
  });

  test('is recorded if it belongs to the app, although it looks like a path of the dashboard', async () => {
    const make = (answer: (text: string) => string, usage: TrackUsage) => {
      const handler = usage.handler({ token: 'a-token-of-22-letters!' });
      const app = new Hono();
      app.use(handler);
      app.get('/admin', (context) => context.text(answer('admin')));
      const fetch = (...args: Parameters<typeof app.fetch>) => app.fetch(...args);
      return { app, start: () => serveHono({ fetch, port: 0, hostname: HOST }) as Server };
    };
    const targets = [
      '/usage/',
      '/usage/../admin',
      '/usage/%2e%2e/admin',
      '/x/../usage/api/v1/site',
      '/usages',
    ];
    expect(await requestTargets(make, targets, '/health')).toEqual([
      ['/usage/', 'nobody', 0],
      ['/usage/../admin', 'admin', 1],
      ['/usage/%2e%2e/admin', 'admin', 1],
      ['/x/../usage/api/v1/site', 'nobody', 0],
      ['/usages', 'nobody', 1],
    ]);
  });
});

describe('marks', () => {
  const server = () => {
    const app = createServer((request, response) => {
      response.statusCode = request.url === '/nowhere' ? 404 : 200;
      response.end();
    });
    return { app, start: () => app.listen(0, HOST) };
  };
  const both = (usage: TrackUsage) => {
    usage.exclude('/health');
    usage.include('/admin/*');
    return server();
  };

  test.each([
    ['exclude', without('/health', '/health?deep=1')],
    ['include', ['/admin', '/admin/a/b']],
  ] as [Views, string[]][])('have an effect only in the mode %s', async (views, paths) => {
    expect((await trackPaths({ views }, both)).paths).toEqual(paths);
    vi.stubEnv('TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS', views);
    expect((await trackPaths({}, both)).paths).toEqual(paths);
    // The option takes precedence over the environment variable.
    vi.stubEnv('TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS', views === 'include' ? 'exclude' : 'include');
    expect((await trackPaths({ views }, both)).paths).toEqual(paths);
  });

  test('track nothing in mode include if there are none', async () => {
    expect((await trackPaths({ views: 'include' }, server)).paths).toEqual([]);
  });

  test('throw if they are invalid', async () => {
    const recorder = await Recorder.create();
    for (const mark of ['health', '', 7, null, {}]) {
      expect(() => recorder.usage.exclude(mark as string)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      );
    }
    await recorder.close();
    expect(() => new TrackUsage(null, [], { views: 'all' as Views })).toThrow('option "views" is "all"');
    vi.stubEnv('TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS', 'both');
    expect(() => new TrackUsage()).toThrow('option "views" is "both"');
  });
});
