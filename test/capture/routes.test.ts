import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import express4 from 'express4';
import { describe, expect, test } from 'vitest';
import type { App } from '../../src/frameworks/index.ts';
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
  is: [route: string | null, params: Record<string, unknown> | null, blueprint: string | null];
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
  { name: 'plain', build: ({ app }) => app.get('/about', ok), path: '/about', is: ['/about', null, null] },
  { name: 'the root', build: ({ app }) => app.get('/', ok), path: '/', is: ['/', null, null] },
  {
    name: 'with a query',
    build: ({ app }) => app.get('/about', ok),
    path: '/about?a=1',
    is: ['/about', null, null],
  },
  {
    name: 'a trailing slash',
    build: ({ app }) => app.get('/about', ok),
    path: '/about/',
    is: ['/about', null, null],
  },
  {
    name: 'parameters',
    build: ({ app }) => app.get('/users/:id/posts/:post', ok),
    path: '/users/7/posts/a%20b',
    is: ['/users/:id/posts/:post', { id: '7', post: 'a b' }, null],
  },
  {
    name: 'route()',
    build: ({ app }) => app.route('/users/:id').post(ok),
    path: '/users/7',
    method: 'POST',
    is: ['/users/:id', { id: '7' }, null],
  },
  {
    name: 'all()',
    build: ({ app }) => app.all('/any', ok),
    path: '/any',
    method: 'DELETE',
    is: ['/any', null, null],
  },
  {
    name: 'HEAD by a GET route',
    build: ({ app }) => app.get('/users/:id', ok),
    path: '/users/7',
    method: 'HEAD',
    is: ['/users/:id', { id: '7' }, null],
  },
  {
    name: 'OPTIONS, answered by Express',
    build: ({ app }) => app.get('/users/:id', ok),
    path: '/users/7',
    method: 'OPTIONS',
    is: [null, null, null],
  },
  { name: '404', build: ({ app }) => app.get('/about', ok), path: '/nothing', is: [null, null, null] },
  {
    name: '404 of a method',
    build: ({ app }) => app.get('/about', ok),
    path: '/about',
    method: 'PUT',
    is: [null, null, null],
  },
  {
    name: '404 inside a mounted router',
    build: posts,
    path: '/users/7/nothing',
    is: [null, null, null],
  },
  {
    name: 'a path that only differs in case',
    build: ({ app }) => app.get('/about', ok),
    path: '/ABOUT',
    is: ['/about', null, null],
  },
  {
    name: 'several handlers',
    build: ({ app }) => app.get('/a/:b', (_request, _response, next) => next(), ok),
    path: '/a/1',
    is: ['/a/:b', { b: '1' }, null],
  },
  {
    // Where an error is answered, Express has forgotten the parameters.
    name: 'an error in a route',
    build: ({ app }) => app.get('/a/:b', broken),
    path: '/a/1',
    is: ['/a/:b', null, null],
  },
  {
    name: 'an error in a mounted router, answered by Express',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/posts/:post', broken);
      app.use('/users/:id', router);
      app.get('/posts/:post', ok);
    },
    path: '/users/7/posts/8',
    is: ['/users/:id/posts/:post', null, '/users/:id'],
  },
  {
    name: 'an error in a mounted router, answered by the app',
    build: ({ app, makeRouter }) => {
      const [outer, inner] = [makeRouter(), makeRouter()];
      inner.get('/c', broken);
      outer.use('/b/:y', inner);
      app.use('/a/:x', outer);
      app.use(sorry);
    },
    path: '/a/1/b/2/c?d=e',
    is: ['/a/:x/b/:y/c', null, '/a/:x/b/:y'],
  },
  {
    name: 'an error in a router at two mounts',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/:id', broken);
      app.use('/one', router);
      app.use('/two', router);
      app.use(sorry);
    },
    path: '/two/1',
    is: ['/two/:id', null, '/two'],
  },
  {
    name: 'an error in a mounted router of a mounted app, answered by that app',
    build: ({ app, makeApp, makeRouter }) => {
      const [admin, router] = [makeApp(), makeRouter()];
      router.get('/:id', broken);
      admin.use('/users', router);
      admin.use(sorry);
      app.use('/admin', admin);
    },
    path: '/admin/users/7',
    is: ['/admin/users/:id', null, '/admin/users'],
  },
  {
    name: 'an error in a mounted app, answered outside, is not known, and never half the route',
    build: ({ app, makeApp }) => {
      const admin = makeApp();
      admin.get('/users/:id', broken);
      app.use('/admin', admin);
      app.use(sorry);
    },
    path: '/admin/users/7',
    is: [null, null, null],
  },
  {
    name: 'a router that a function calls',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/a/:b', ok);
      app.use((request, response, next) => router(request, response, next));
    },
    path: '/a/1',
    is: ['/a/:b', { b: '1' }, null],
  },
  {
    name: 'a parameter that the app replaced by what no JSON can hold',
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
    is: ['/users/:id', null, null],
  },
  {
    name: 'a list of paths',
    build: ({ app }) => app.get(['/a/:x', '/b/:x'], ok),
    path: '/b/1',
    is: ['/a/:x | /b/:x', { x: '1' }, null],
  },
  {
    name: 'a regular expression',
    build: ({ app }) => app.get(/^\/v(\d+)$/, ok),
    path: '/v12',
    is: ['/^\\/v(\\d+)$/', { 0: '12' }, null],
  },
  {
    name: 'a mounted router',
    build: posts,
    path: '/users/7/posts/8',
    is: ['/users/:id/posts/:post', { id: '7', post: '8' }, '/users/:id'],
  },
  {
    name: 'a mounted router without mergeParams',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/posts/:post', ok);
      app.use('/users/:id', router);
    },
    path: '/users/7/posts/8',
    is: ['/users/:id/posts/:post', { post: '8' }, '/users/:id'],
  },
  {
    name: 'the root of a mounted router',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/', ok);
      app.use('/shop', router);
    },
    path: '/shop',
    is: ['/shop/', null, '/shop'],
  },
  {
    name: 'a router at the root',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/a/:b', ok);
      app.use(router);
    },
    path: '/a/1',
    is: ['/a/:b', { b: '1' }, null],
  },
  {
    name: 'three levels',
    build: threeLevels,
    path: '/api/a/1/b/2/c/3',
    is: ['/api/a/:x/b/:y/c/:z', { x: '1', y: '2', z: '3' }, '/api/a/:x/b/:y'],
  },
  {
    name: 'one router at two mounts, the first',
    build: twoMounts,
    path: '/one/1',
    is: ['/one/:id', { id: '1' }, '/one'],
  },
  {
    name: 'one router at two mounts, the second',
    build: twoMounts,
    path: '/two/1',
    is: ['/two/:id', { id: '1' }, '/two'],
  },
  {
    name: 'a list of mounts',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/:id', ok);
      app.use(['/one', '/two'], router);
    },
    path: '/two/1',
    is: ['/two/:id', { id: '1' }, '/two'],
  },
  {
    name: 'two parameters in one mount',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/:a/:b', router);
    },
    path: '/x/x/c',
    is: ['/:a/:b/c', { a: 'x', b: 'x' }, '/:a/:b'],
  },
  {
    name: 'a value like the text beside it',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/users/:name', router);
    },
    path: '/users/users/c',
    is: ['/users/:name/c', { name: 'users' }, '/users/:name'],
  },
  {
    name: 'a value that is encoded',
    build: posts,
    path: '/users/a%2Fb/posts/%C3%BC',
    is: ['/users/:id/posts/:post', { id: 'a/b', post: 'ü' }, '/users/:id'],
  },
  {
    name: 'an app inside the app',
    build: ({ app, makeApp }) => {
      const admin = makeApp();
      admin.get('/users/:id', ok);
      app.use('/admin', admin);
    },
    path: '/admin/users/7',
    is: ['/admin/users/:id', { id: '7' }, '/admin'],
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
    is: ['/a/b/users/:id', { id: '7' }, '/a/b/users'],
  },
  {
    name: 'an app mounted by a parameter',
    build: ({ app, makeApp }) => {
      const inner = makeApp();
      inner.get('/here', ok);
      app.use('/:tenant', inner);
    },
    path: '/acme/here',
    is: ['/:tenant/here', null, '/:tenant'],
  },
  {
    name: 'a mount by part of a segment is not known, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/v:version', router);
    },
    path: '/v12/c',
    is: [null, null, null],
  },
  {
    name: 'a mount by a wildcard is not known, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/c', ok);
      app.use('/files/*path', router);
    },
    path: '/files/secret/c',
    is: [null, null, null],
    versions: 'Express 5',
  },
  {
    name: 'a mount by a regular expression is not known, and never the value',
    build: ({ app, makeRouter }) => {
      const router = makeRouter();
      router.get('/c', ok);
      app.use(/^\/v(\d+)/, router);
    },
    path: '/v12/c',
    is: [null, null, null],
  },
  {
    name: 'a wildcard route',
    build: ({ app }) => app.get('/files/*path', ok),
    path: '/files/a/b',
    is: ['/files/*path', { path: ['a', 'b'] }, null],
    versions: 'Express 5',
  },
  {
    name: 'an optional part',
    build: ({ app }) => app.get('/a{/:b}', ok),
    path: '/a',
    is: ['/a{/:b}', null, null],
    versions: 'Express 5',
  },
  {
    name: 'a wildcard route of Express 4',
    build: ({ app }) => app.get('/files/*', ok),
    path: '/files/a/b',
    is: ['/files/*', { 0: 'a/b' }, null],
    versions: 'Express 4',
  },
  {
    name: 'a parameter with an expression',
    build: ({ app }) => app.get('/a/:b(\\d+)', ok),
    path: '/a/12',
    is: ['/a/:b(\\d+)', { b: '12' }, null],
    versions: 'Express 4',
  },
  {
    name: 'static files',
    build: (tools) => tools.app.use('/files', tools.static(new URL('.', import.meta.url).pathname)),
    path: '/files/routes.test.ts',
    is: [null, null, null],
  },
  {
    name: 'middleware that answers',
    build: ({ app }) => {
      app.use('/secret', ok);
      app.get('/secret/:id', ok);
    },
    path: '/secret/7',
    is: [null, null, null],
  },
  {
    name: 'a route that passes on to another',
    build: ({ app }) => {
      app.get('/:any', (_request, _response, next) => next());
      app.get('/users', ok);
    },
    path: '/users',
    is: ['/users', null, null],
  },
  {
    name: 'an answer after the turn',
    build: ({ app, makeRouter }) => {
      const router = makeRouter({ mergeParams: true });
      router.get('/:id', (_request, response) => void setImmediate(() => response.send('late')));
      app.use('/late/:x', router);
    },
    path: '/late/1/2',
    is: ['/late/:x/:id', { x: '1', id: '2' }, '/late/:x'],
  },
];

const FRAMEWORK = { 'Express 5': express, 'Express 4': express4 } as Record<string, typeof express>;

describe.each(EXPRESSES)('%s', (version, make) => {
  const framework = FRAMEWORK[version]!;
  const tools = (app: Express): Tools => ({
    app,
    makeApp: () => quiet(make()),
    makeRouter: (options) => framework.Router(options),
    static: (root) => framework.static(root),
  });

  describe.each(['before', 'after'] as const)('routes added %s tracking', (when) => {
    test.each(CASES.filter(({ versions }) => !versions || versions === version))(
      '$name',
      async ({ build, path, method = 'GET', is }) => {
        const app = quiet(make());
        if (when === 'before') build(tools(app));
        const site = await serveApp(app);
        if (when === 'after') build(tools(app));
        // Twice: what was found out is kept.
        for (let i = 0; i < 2; i++) {
          await site.client.ask({ path, method });
          const { route, routeParams, blueprint } = await site.recorder.one();
          expect([route, routeParams, blueprint]).toEqual(is);
        }
        expect(site.recorder.errors).toEqual([]);
        await site.close();
      },
    );
  });

  test('a router that is added while the app runs', async () => {
    const app = quiet(make());
    const site = await serveApp(app);
    await site.client.ask({ path: '/users/1/posts/2' });
    expect((await site.recorder.one()).route).toBeNull();
    posts(tools(app));
    await site.client.ask({ path: '/users/1/posts/2' });
    expect((await site.recorder.one()).route).toBe('/users/:id/posts/:post');
    await site.close();
  });

  test('a thousand values of one mount', async () => {
    const app = quiet(make());
    posts(tools(app));
    const site = await serveApp(app);
    for (let i = 0; i < 1000; i++) await site.client.ask({ path: `/users/${i}/posts/${i}` });
    const routes = (await site.recorder.take(1000)).map(({ route }) => route);
    expect(new Set(routes)).toEqual(new Set(['/users/:id/posts/:post']));
    await site.close();
  });

  test('an app that is tracked only where it is mounted', async () => {
    const app = quiet(make());
    const inner = quiet(make());
    inner.get('/users/:id', ok);
    app.get('/outside', ok);
    app.use('/admin', inner);
    const site = await serveApp(quiet(make()));
    site.recorder.usage.attach(inner as unknown as App);
    site.app.use(app);
    const { status } = await site.client.ask({ path: '/admin/users/7' });
    expect(status).toBe(200);
    const record = await site.recorder.one();
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
