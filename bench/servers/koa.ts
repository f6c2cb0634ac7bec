import type { KoaApp } from '../../src/frameworks/koa.ts';
import { peer } from '../support/peers.ts';
import { type Addition, type Built, handled, type Middleware, PATHS, reply } from './handler.ts';

type Raw = Parameters<Middleware>;
interface Context {
  req: Raw[0];
  res: Raw[1];
  url: string;
  type: string;
  body: string;
}
type KoaMiddleware = (context: Context, next: () => Promise<void>) => unknown;
interface Router {
  get(path: string, handler: KoaMiddleware): void;
  routes(): KoaMiddleware;
}

/** Creates a Koa 3 app with the benchmark's routes, through `@koa/router`. */
export async function buildKoa({ middleware, plugIn }: Addition): Promise<Built> {
  const app = new (peer<new () => KoaApp & { use(middleware: KoaMiddleware): void }>('koa'))();
  const { Router } = peer<{ Router: new () => Router }>('@koa/router');
  await plugIn(app);
  if (middleware) {
    app.use((context, next) => {
      let following: Promise<void> | undefined;
      middleware(context.req, context.res, () => {
        following = next();
      });
      return following;
    });
  }
  const router = new Router();
  for (const path of PATHS) {
    router.get(path, (context) => {
      handled.count += 1;
      context.type = 'application/json; charset=utf-8';
      context.body = reply(context.url);
    });
  }
  app.use(router.routes());
  // Tracking replaces `listen`, so it is looked up when called.
  return {
    app,
    listen: (port, host) => app.listen(port as never, host as never) as ReturnType<Built['listen']>,
  };
}
