import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import express4 from 'express4';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { EXPRESSES, serveApp } from '../support/engines.ts';

const ok = (_request: unknown, response: Response) => void response.send('fine');

const broken = () => {
  throw new Error('broken');
};
const sorry = (_error: Error, _request: Request, response: Response, _next: NextFunction) =>
  void response.status(500).send('sorry');

interface Tools {
  app: Express;
  makeApp(): Express;
  makeRouter(options?: { mergeParams?: boolean }): Router;
  static(root: string): express.Handler;
}

interface Case {
  name: string;
  build(tools: Tools): void;
  path: string;
  method?: string;
  /** route, routeParams, blueprint */
  expected: [route: string | null, params: Record<string, unknown> | null, blueprint: string | null];
  versions?: string;
}

const posts = ({ app, makeRouter }: Tools) => {
  const router = makeRouter({ mergeParams: true });
  router.get('/posts/:post', ok);
  app.use('/users/:id', router);
};

const threeLevels = ({ app, makeRouter }: Tools) => {
  const [outer, middle, inner] = [
    makeRouter(),
    makeRouter({ mergeParams: true }),
    makeRouter({ mergeParams: true }),
  ];
  inner.get('/c/:z', ok);
  middle.use('/b/:y', inner);
  outer.use('/a/:x', middle);
  app.use('/api', outer);
};

const twoMounts = ({ app, makeRouter }: Tools) => {
  const router = makeRouter();
  router.get('/:id', ok);
  app.use('/one', router);
  app.use('/two', router);
};

const CASES: Case[] = [
  {
    name: 'plain',
    build: ({ app }) => app.get('/about', ok),
    path: '/about',
    expected: ['/about', null, null],
  },
  { name: 'the root', build: ({ app }) => app.get('/', ok), path: '/', expected: ['/', null, null] },
  {
    name: 'with a query',
    build: ({ app }) => app.get('/about', ok),
    path: '/about?a=1',
    expected: ['/about', null, null],
  },
  {
    name: 'a trailing slash',
    build: ({ app }) => app.get('/about', ok),
    path: '/about/',
    expected: ['/about', null, null],
  },
  {
    name: 'parameters',
    build: ({ app }) => app.get('/users/:id/posts/:post', ok),
    path: '/users/7/posts/a%20b',
    expected: ['/users/:id/posts/:post', { id: '7', post: 'a b' }, null],
  },
  {
    name: 'route()',
    build: ({ app }) => app.route('/users/:id').post(ok),
    path: '/users/7',
    method: 'POST',
    expected: ['/users/:id', { id: '7' }, null],
  },
  {
    name: 'all()',
    build: ({ app }) => app.all('/any', ok),
    path: '/any',
    method: 'DELETE',
    expected: ['/any', null, null],
  },
  {
    name: 'HEAD by a GET route',
    build: ({ app }) => app.get('/users/:id', ok),
    path: '/users/7',
    method: 'HEAD',
    expected: ['/users/:id', { id: '7' }, null],
  },
  {
    name: 'OPTIONS handled by Express',
    build: ({ app }) => app.get('/users/:id', ok),
    path: '/users/7',
    method: 'OPTIONS',
    expected: [null, null, null],
  },
  { name: '404', build: ({ app }) => app.get('/about', ok), path: '/nothing', expected: [null, null, null] },
  {
    name: '404 for a method',
    build: ({ app }) => app.get('/about', ok),
    path: '/about',
    method: 'PUT',
    expected: [null, null, null],
  },
  {
    name: '404 inside a mounted router',
    build: posts,
    path: '/users/7/nothing',
    expected: [null, null, null],
  },
  {
    name: 'a path that only differs in case',
    build: ({ app }) => app.get('/about', ok),
    path: '/ABOUT',
    expected: ['/about', null, null],
  },
  {
    name: 'several handlers',
    build: ({ app }) => app.get('/a/:b', (_request, _response, next) => next(), ok),
    path: '/a/1',
    expected: ['/a/:b', { b: '1' }, null],
  },
  {
    // Express no longer has the parameters when an error is handled.
    name: 'an error in a route',
    build: ({ app }) => app.get('/a/:b', broken),
    path: '/a/1',
    expected: ['/a/:b', null, null],
  },
  {
    name: 'an error in a mounted router, handled by Express',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/posts/:post', broken);
      app.use('/users/:id', router);
      app.get('/posts/:post', ok);
    },
    path: '/users/7/posts/8',
    expected: ['/users/:id/posts/:post', null, '/users/:id'],
  },
  {
    name: 'an error in a mounted router, handled by the app',
    build: ({ app, makeRouter }) => {
      const [outer, inner] = [makeRouter(), makeRouter()];
      inner.get('/c', broken);
      outer.use('/b/:y', inner);
      app.use('/a/:x', outer);
      app.use(sorry);
    },
    path: '/a/1/b/2/c?d=e',
    expected: ['/a/:x/b/:y/c', null, '/a/:x/b/:y'],
  },
  {
    name: 'an error in a router mounted twice',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/:id', broken);
      app.use('/one', router);
      app.use('/two', router);
      app.use(sorry);
    },
    path: '/two/1',
    expected: ['/two/:id', null, '/two'],
  },
  {
    name: 'an error in a mounted router of a mounted app, handled by that app',
    build: ({ app, makeApp, makeRouter }) => {
      const [admin, router] = [makeApp(), makeRouter()];
      router.get('/:id', broken);
      admin.use('/users', router);
      admin.use(sorry);
      app.use('/admin', admin);
    },
    path: '/admin/users/7',
    expected: ['/admin/users/:id', null, '/admin/users'],
  },
  {
    name: 'an error in a mounted app, handled outside: no route, and never part of it',
    build: ({ app, makeApp }) => {
      const admin = makeApp();
      admin.get('/users/:id', broken);
      app.use('/admin', admin);
      app.use(sorry);
    },
    path: '/admin/users/7',
    expected: [null, null, null],
  },
  {
    name: 'a router that a function calls',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/a/:b', ok);
      app.use((request, response, next) => router(request, response, next));
    },
    path: '/a/1',
    expected: ['/a/:b', { b: '1' }, null],
  },
  {
    name: 'a parameter that the app replaced with a value that JSON cannot represent',
    build: ({ app }) => {
      app.param('id', (request, _response, next) => {
        const document: Record<string, unknown> = { big: 1n };
        document.self = document;
        request.params.id = document as never;
        next();
      });
      app.get('/users/:id', ok);
    },
    path: '/users/7',
    expected: ['/users/:id', null, null],
  },
  {
    name: 'a list of paths',
    build: ({ app }) => app.get(['/a/:x', '/b/:x'], ok),
    path: '/b/1',
    expected: ['/a/:x | /b/:x', { x: '1' }, null],
  },
  {
    name: 'a regular expression',
    build: ({ app }) => app.get(/^\/v(\d+)$/, ok),
    path: '/v12',
    expected: ['/^\\/v(\\d+)$/', { 0: '12' }, null],
  },
  {
    name: 'a mounted router',
    build: posts,
    path: '/users/7/posts/8',
    expected: ['/users/:id/posts/:post', { id: '7', post: '8' }, '/users/:id'],
  },
  {
    name: 'a mounted router without mergeParams',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/posts/:post', ok);
      app.use('/users/:id', router);
    },
    path: '/users/7/posts/8',
    expected: ['/users/:id/posts/:post', { post: '8' }, '/users/:id'],
  },
  {
    name: 'the root of a mounted router',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/', ok);
      app.use('/shop', router);
    },
    path: '/shop',
    expected: ['/shop/', null, '/shop'],
  },
  {
    name: 'a router at the root',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/a/:b', ok);
      app.use(router);
    },
    path: '/a/1',
    expected: ['/a/:b', { b: '1' }, null],
  },
  {
    name: 'three levels',
    build: threeLevels,
    path: '/api/a/1/b/2/c/3',
    expected: ['/api/a/:x/b/:y/c/:z', { x: '1', y: '2', z: '3' }, '/api/a/:x/b/:y'],
  },
  {
    name: 'a router mounted twice, first mount path',
    build: twoMounts,
    path: '/one/1',
    expected: ['/one/:id', { id: '1' }, '/one'],
  },
  {
    name: 'a router mounted twice, second mount path',
    build: twoMounts,
    path: '/two/1',
    expected: ['/two/:id', { id: '1' }, '/two'],
  },
  {
    name: 'a list of mount paths',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/:id', ok);
      app.use(['/one', '/two'], router);
    },
    path: '/two/1',
    expected: ['/two/:id', { id: '1' }, '/two'],
  },
  {
    name: 'two parameters in one mount path',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/:a/:b', router);
    },
    path: '/x/x/c',
    expected: ['/:a/:b/c', { a: 'x', b: 'x' }, '/:a/:b'],
  },
  {
    name: 'a parameter equal to the preceding path segment',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/users/:name', router);
    },
    path: '/users/users/c',
    expected: ['/users/:name/c', { name: 'users' }, '/users/:name'],
  },
  {
    name: 'an encoded parameter',
    build: posts,
    path: '/users/a%2Fb/posts/%C3%BC',
    expected: ['/users/:id/posts/:post', { id: 'a/b', post: 'ü' }, '/users/:id'],
  },
  {
    name: 'an app inside the app',
    build: ({ app, makeApp }) => {
      const admin = makeApp();
      admin.get('/users/:id', ok);
      app.use('/admin', admin);
    },
    path: '/admin/users/7',
    expected: ['/admin/users/:id', { id: '7' }, '/admin'],
  },
  {
    name: 'an app inside an app inside the app, with a router',
    build: ({ app, makeApp, makeRouter }) => {
      const [middle, inner, router] = [makeApp(), makeApp(), makeRouter()];
      router.get('/:id', ok);
      inner.use('/users', router);
      middle.use('/b', inner);
      app.use('/a', middle);
    },
    path: '/a/b/users/7',
    expected: ['/a/b/users/:id', { id: '7' }, '/a/b/users'],
  },
  {
    name: 'an app mounted at a parameter',
    build: ({ app, makeApp }) => {
      const inner = makeApp();
      inner.get('/here', ok);
      app.use('/:tenant', inner);
    },
    path: '/acme/here',
    expected: ['/:tenant/here', null, '/:tenant'],
  },
  {
    name: 'a mount path with a parameter in part of a segment: no route, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/v:version', router);
    },
    path: '/v12/c',
    expected: [null, null, null],
  },
  {
    name: 'a mount path with a wildcard: no route, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/files/*path', router);
    },
    path: '/files/secret/c',
    expected: [null, null, null],
    versions: 'Express 5',
  },
  {
    name: 'a mount path that is a regular expression: no route, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/c', ok);
      app.use(/^\/v(\d+)/, router);
    },
    path: '/v12/c',
    expected: [null, null, null],
  },
  {
    name: 'a wildcard route',
    build: ({ app }) => app.get('/files/*path', ok),
    path: '/files/a/b',
    expected: ['/files/*path', { path: ['a', 'b'] }, null],
    versions: 'Express 5',
  },
  {
    name: 'an optional part',
    build: ({ app }) => app.get('/a{/:b}', ok),
    path: '/a',
    expected: ['/a{/:b}', null, null],
    versions: 'Express 5',
  },
  {
    name: 'a wildcard route of Express 4',
    build: ({ app }) => app.get('/files/*', ok),
    path: '/files/a/b',
    expected: ['/files/*', { 0: 'a/b' }, null],
    versions: 'Express 4',
  },
  {
    name: 'a parameter with a regular expression',
    build: ({ app }) => app.get('/a/:b(\\d+)', ok),
    path: '/a/12',
    expected: ['/a/:b(\\d+)', { b: '12' }, null],
    versions: 'Express 4',
  },
  {
    name: 'static files',
    build: (tools) => tools.app.use('/files', tools.static(new URL('.', import.meta.url).pathname)),
    path: '/files/routes.test.ts',
    expected: [null, null, null],
  },
  {
    name: 'middleware that responds',
    build: ({ app }) => {
      app.use('/secret', ok);
      app.get('/secret/:id', ok);
    },
    path: '/secret/7',
    expected: [null, null, null],
  },
  {
    name: 'a route that passes the request to another route',
    build: ({ app }) => {
      app.get('/:any', (_request, _response, next) => next());
      app.get('/users', ok);
    },
    path: '/users',
    expected: ['/users', null, null],
  },
  {
    name: 'a response in a later turn',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/:id', (_request, response) => void setImmediate(() => response.send('late')));
      app.use('/late/:x', router);
    },
    path: '/late/1/2',
    expected: ['/late/:x/:id', { x: '1', id: '2' }, '/late/:x'],
  },
];

const FRAMEWORKS = { 'Express 5': express, 'Express 4': express4 } as Record<string, typeof express>;

describe.each(EXPRESSES)('%s', (version, make) => {
  const framework = FRAMEWORKS[version]!;
  const tools = (app: Express): Tools => ({
    app,
    makeApp: () => quiet(make()),
    makeRouter: (options) => framework.Router(options),
    static: (root) => framework.static(root),
  });

  describe.each(['before', 'after'] as const)('records the route, added %s tracking', (when) => {
    test.each(CASES.filter(({ versions }) => !versions || versions === version))(
      '$name',
      async ({ build, path, method = 'GET', expected }) => {
        const app = quiet(make());
        if (when === 'before') build(tools(app));
        const site = await serveApp(app);
        if (when === 'after') build(tools(app));
        // The second request uses the cached result.
        for (let i = 0; i < 2; i++) {
          await site.client.request({ path, method });
          const { route, routeParams, blueprint } = await site.recorder.takeOne();
          expect([route, routeParams, blueprint]).toEqual(expected);
        }
        expect(site.recorder.errors).toEqual([]);
        await site.close();
      },
    );
  });

  test('records the route of a router that is added while the app runs', async () => {
    const app = quiet(make());
    const site = await serveApp(app);
    await site.client.request({ path: '/users/1/posts/2' });
    expect((await site.recorder.takeOne()).route).toBeNull();
    posts(tools(app));
    await site.client.request({ path: '/users/1/posts/2' });
    expect((await site.recorder.takeOne()).route).toBe('/users/:id/posts/:post');
    await site.close();
  });

  test('records the same route for a thousand values of a mount parameter', async () => {
    const app = quiet(make());
    posts(tools(app));
    const site = await serveApp(app);
    for (let i = 0; i < 1000; i++) await site.client.request({ path: `/users/${i}/posts/${i}` });
    const routes = (await site.recorder.take(1000)).map(({ route }) => route);
    expect(new Set(routes)).toEqual(new Set(['/users/:id/posts/:post']));
    await site.close();
  });

  test('records the route of a mounted app that alone is tracked', async () => {
    const app = quiet(make());
    const inner = quiet(make());
    inner.get('/users/:id', ok);
    app.get('/outside', ok);
    app.use('/admin', inner);
    const site = await serveApp(quiet(make()));
    site.recorder.usage.attach(inner as unknown as TrackedApp);
    site.app.use(app);
    const { status } = await site.client.request({ path: '/admin/users/7' });
    expect(status).toBe(200);
    const record = await site.recorder.takeOne();
    expect([record.path, record.route, record.blueprint]).toEqual([
      '/admin/users/7',
      '/admin/users/:id',
      '/admin',
    ]);
    await site.close();
  });
});

function quiet(app: Express): Express {
  return app.set('env', 'test');
}
