import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader, Response } from '../capture/exchange.ts';
import { normalizedPathOf } from '../capture/target.ts';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type Trust, trustBy } from './node.ts';

/** Parts of a Hono 4 app used here. Structural, so that our types do not import Hono. */
export interface HonoApp {
  fetch(request: never, ...rest: never[]): unknown;
  router: HonoRouter;
  routes: unknown[];
}

interface HonoRouter {
  name: string;
  add(method: string, path: string, handler: never): void;
  match(method: string, path: string): unknown;
}

export interface Route {
  path: string;
  basePath: string;
  method: string;
  handler: (...args: never[]) => unknown;
}

/** A handler with its route and parameters: their values, or their indexes in the stash. */
type Matched = [[handler: (...args: never[]) => unknown, route: Route], Record<string, string | number>];
type MatchResult = [matched: Matched[], stash?: (string | undefined)[]];

/** Second argument that `@hono/node-server` passes to `fetch`. */
interface NodeBindings {
  incoming?: Request;
  outgoing?: Response;
}

const MATCH = Symbol('track-usage Hono match');
const PATH = Symbol('track-usage Hono path');
type Tracked = Request & { [MATCH]?: MatchResult; [PATH]?: string };

export function isHonoApp(app: unknown): app is HonoApp {
  const hono = app as Partial<HonoApp> | null | undefined;
  return (
    typeof hono === 'object' &&
    typeof hono?.fetch === 'function' &&
    typeof hono.router?.match === 'function' &&
    Array.isArray(hono.routes)
  );
}

/**
 * Tracks every request that `@hono/node-server` passes to the app's `fetch`. `fetch` must be read after this
 * call. Hono has no proxy setting, so `trust` comes from the option `trustProxy`.
 */
export function trackHono(app: HonoApp, capture: Capture, trust: Trust | undefined): void {
  const reader: RequestReader = { ...honoReader, trusts: trustBy(trust) };
  // Hono matches the path before `fetch` returns.
  let current: Tracked | undefined;
  const { router } = app;
  wrapMethod<(...given: unknown[]) => unknown>(app, 'fetch', (original) => (...given) => {
    const { incoming, outgoing } = (given[1] ?? {}) as NodeBindings;
    if (!incoming || !outgoing) return Reflect.apply(original(), app, given);
    try {
      capture.begin(incoming, outgoing, incoming.url ?? '', reader);
    } catch (error) {
      capture.unread(incoming, error);
    }
    current = incoming;
    try {
      return Reflect.apply(original(), app, given);
    } finally {
      current = undefined;
    }
  });
  // Hono's router replaces its `match` at the first request, so a wrapper object is used.
  app.router = {
    get name() {
      return router.name;
    },
    add: (method, path, handler) => router.add(method, path, handler),
    match(method, path) {
      const result = router.match(method, path);
      if (current !== undefined && Object.isExtensible(current)) {
        current[MATCH] = result as MatchResult;
        current[PATH] = path;
      }
      return result;
    },
  };
}

/** Records the routes that Hono has matched for a request, and the path it matched. */
export function setRoutes(request: Tracked, routes: Route[], path: string): void {
  request[PATH] = path;
  request[MATCH] = [routes.map((route) => [[route.handler, route], {}])];
}

/**
 * Returns the handler of the request: the first match that is not middleware, which has a second parameter.
 */
function handlerOf(request: Request): Matched | undefined {
  return (request as Tracked)[MATCH]?.[0].find(([[handler]]) => originalOf(handler).length < 2);
}

/** Returns the original handler. Hono wraps the handlers of a nested app with its own error handler. */
function originalOf(handler: Matched[0][0]): Matched[0][0] {
  const { __COMPOSED_HANDLER: original } = handler as { __COMPOSED_HANDLER?: Matched[0][0] };
  return original === undefined ? handler : originalOf(original);
}

/** Returns whether a route is a copy. A nested app is copied into its parent, with longer paths. */
function isCopy(copy: Route, { path, basePath, method, handler }: Route): boolean {
  if (method !== copy.method || originalOf(handler) !== originalOf(copy.handler)) return false;
  const end = path === '/' ? '' : path;
  if (!copy.path.endsWith(end)) return false;
  const mount = withoutSlash(copy.path.slice(0, copy.path.length - end.length));
  const base = withoutSlash(copy.basePath);
  // Older versions of Hono omit the inner part.
  return base === mount + withoutSlash(basePath) || base === mount;
}

const withoutSlash = (path: string) => (path.endsWith('/') ? path.slice(0, -1) : path);

export const honoReader: Omit<RequestReader, 'trusts'> = {
  // The path as Hono decoded it. Before it has matched a route, the path that it will decode.
  path: (request, target) => (request as Tracked)[PATH] ?? normalizedPathOf(target),
  route: (request) => handlerOf(request)?.[0][1].path ?? '',
  blueprint(request) {
    const base = handlerOf(request)?.[0][1].basePath ?? '';
    return base === '/' ? '' : base;
  },
  handlers(request) {
    const matched = handlerOf(request);
    return matched ? [originalOf(matched[0][0])] : [];
  },
  isWithin(holder, request) {
    const route = handlerOf(request)?.[0][1];
    const { routes = [] } = holder as { routes?: Route[] };
    return route !== undefined && routes.some((inner) => isCopy(route, inner));
  },
  routeParams(request) {
    const matched = handlerOf(request);
    const stash = (request as Tracked)[MATCH]?.[1];
    if (!matched || !stash) return matched?.[1];
    const params: Record<string, string> = {};
    for (const name in matched[1]) {
      const value = stash[Number(matched[1][name])];
      if (value !== undefined) params[name] = value;
    }
    return params;
  },
};
