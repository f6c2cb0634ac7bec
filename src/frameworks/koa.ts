import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { type NodeServer, trackUpgrades } from './node.ts';

/** A Koa 2 or 3 app, as far as it is used here: our types need no Koa. */
export interface KoaApp {
  createContext(request: IncomingMessage, response: ServerResponse): unknown;
  callback(): unknown;
  listen(...args: never[]): unknown;
  use: unknown;
}

/** What Koa, and `@koa/router` or `koa-router`, say of a request. */
interface KoaContext {
  app?: { proxy?: boolean; maxIpsCount?: number };
  params?: Record<string, unknown>;
  router?: { opts?: { prefix?: unknown } };
  /** The pattern, with the prefixes of the routers around it. */
  _matchedRoute?: unknown;
  /** What matched, with its middleware and handlers. */
  matched?: { stack?: unknown[]; methods?: string[] }[];
}

const CONTEXT = Symbol('track-usage Koa context');
type Tracked = Request & { [CONTEXT]?: KoaContext };

export function isKoaApp(app: unknown): app is KoaApp {
  const koa = app as Partial<KoaApp> | null | undefined;
  return (
    typeof koa === 'object' &&
    typeof koa?.createContext === 'function' &&
    typeof koa.callback === 'function' &&
    typeof koa.use === 'function'
  );
}

/** Sees every request for which Koa makes a context, before any middleware, and the upgrades of its `listen`. */
export function trackKoa(app: KoaApp, capture: Capture): void {
  const { createContext, listen } = app;
  app.createContext = function (this: KoaApp, request, response) {
    const context = createContext.call(this, request, response);
    (request as Tracked)[CONTEXT] = context as KoaContext;
    capture.begin(request, response, request.url ?? '', koaReader);
    return context;
  };
  app.listen = function (this: KoaApp, ...args: unknown[]) {
    const server = Reflect.apply(listen, this, args) as NodeServer;
    trackUpgrades(server, capture, {
      ...koaReader,
      trusts: (_request, _address, hop) => trusts(app as KoaContext['app'], hop),
    });
    return server;
  };
}

/** Koa's `proxy` trusts every proxy; `maxIpsCount` says how many there are. */
function trusts(app: KoaContext['app'], hop: number): boolean {
  return app?.proxy === true && (!app.maxIpsCount || hop < app.maxIpsCount);
}

const contextOf = (request: Request) => (request as Tracked)[CONTEXT];

const koaReader: RequestReader = {
  trusts: (request, _address, hop) => trusts(contextOf(request)?.app, hop),
  route: (request) => String(contextOf(request)?._matchedRoute ?? ''),
  blueprint(request) {
    const prefix = contextOf(request)?.router?.opts?.prefix;
    return typeof prefix === 'string' ? prefix : '';
  },
  // A layer without methods is middleware.
  handlers: (request) =>
    contextOf(request)?.matched?.flatMap(({ stack, methods }) => (methods?.length ? (stack ?? []) : [])) ??
    [],
  routeParams: (request) => contextOf(request)?.params,
};
