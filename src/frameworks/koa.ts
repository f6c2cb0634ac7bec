import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type NodeServer, trackUpgrades } from './node.ts';

/** Parts of a Koa 2 or 3 app used here. Structural, so that our types do not import Koa. */
export interface KoaApp {
  createContext(request: IncomingMessage, response: ServerResponse): unknown;
  callback(): unknown;
  listen(...args: never[]): unknown;
  use: unknown;
}

/** Properties that Koa, and `@koa/router` or `koa-router`, set on a context. */
interface KoaContext {
  app?: { proxy?: boolean; maxIpsCount?: number };
  params?: Record<string, unknown>;
  router?: { opts?: { prefix?: unknown } };
  /** Pattern, including the prefixes of outer routers. */
  _matchedRoute?: unknown;
  /** Layers that match the path, with any method. */
  matched?: Layer[];
}

/** Layer of a router: a route, or middleware, which has no methods. */
interface Layer {
  path?: unknown;
  /** Middleware and handler. */
  stack?: unknown[];
  methods?: string[];
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

/**
 * Tracks every request for which Koa creates a context, before any middleware, and upgrades on servers from
 * its `listen`.
 */
export function trackKoa(app: KoaApp, capture: Capture): void {
  wrapMethod<KoaApp['createContext']>(app, 'createContext', (original) => {
    return function (this: KoaApp, request, response) {
      const context = original().call(this, request, response);
      // koa-websocket creates a context for an upgrade, without a response.
      if (response === undefined) return context;
      try {
        setContext(request, context as object);
        capture.begin(request, response, request.url ?? '', koaReader);
      } catch (error) {
        capture.unread(request, error);
      }
      return context;
    };
  });
  wrapMethod<(this: KoaApp, ...args: unknown[]) => unknown>(app, 'listen', (original) => {
    return function (this: KoaApp, ...args) {
      const server = Reflect.apply(original(), this, args) as NodeServer;
      trackUpgrades(server, capture, {
        ...koaReader,
        trusts: (_request, _address, hop) => trusts(app as KoaContext['app'], hop),
      });
      return server;
    };
  });
}

/**
 * Returns whether a proxy is trusted. Koa's `proxy` trusts every proxy; `maxIpsCount` limits their number.
 */
function trusts(app: KoaContext['app'], hop: number): boolean {
  return app?.proxy === true && (!app.maxIpsCount || hop < app.maxIpsCount);
}

const contextOf = (request: Request) => (request as Tracked)[CONTEXT];

/** Records the context that Koa has created for a request. */
export function setContext(request: Request, context: object): void {
  (request as Tracked)[CONTEXT] = context;
}

/**
 * Returns the pattern of the matched route. If middleware responds first, returns the first matching pattern.
 */
function patternOf(request: Request): unknown {
  const { matched, _matchedRoute } = contextOf(request) ?? {};
  if (_matchedRoute === undefined || !matched) return undefined;
  let first: unknown;
  for (const { path, methods } of matched) {
    if (!methods?.includes(request.method ?? '')) continue;
    if (path === _matchedRoute) return path;
    first ??= path;
  }
  return first;
}

/** Returns the routes with that pattern. */
function routesOf(request: Request): Layer[] {
  const pattern = patternOf(request);
  const isRoute = ({ path, methods }: Layer) => path === pattern && methods?.includes(request.method ?? '');
  return (pattern !== undefined && contextOf(request)?.matched?.filter(isRoute)) || [];
}

/** Returns whether a route is a copy. A nested router is copied into its parent, with longer paths. */
function isCopy(copy: Layer, { path, stack, methods }: Layer): boolean {
  return (
    methods?.length !== 0 &&
    stack?.at(-1) === copy.stack?.at(-1) &&
    (path === '/' || String(copy.path).endsWith(String(path)))
  );
}

export const koaReader: RequestReader = {
  trusts: (request, _address, hop) => trusts(contextOf(request)?.app, hop),
  route: (request) => String(patternOf(request) ?? ''),
  blueprint(request) {
    const prefix = contextOf(request)?.router?.opts?.prefix;
    return typeof prefix === 'string' ? prefix : '';
  },
  handlers: (request) => routesOf(request).flatMap(({ stack }) => stack ?? []),
  isWithin(holder, request) {
    const { stack = [] } = holder as { stack?: Layer[] };
    return routesOf(request).some((route) => stack.some((inner) => inner === route || isCopy(route, inner)));
  },
  routeParams: (request) => contextOf(request)?.params,
};
