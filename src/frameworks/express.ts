import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type NodeServer, trackUpgrades } from './node.ts';

/** Parts of an Express 4 or 5 app used here. Structural, so that our types do not import Express. */
export interface ExpressApp {
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): unknown;
  handle(request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): unknown;
  listen(...args: unknown[]): NodeServer;
  get(setting: string): unknown;
  use: unknown;
  /** Router of Express 5. Reading it throws in Express 4. */
  router?: Router;
  /** Router of Express 4. */
  _router?: Router;
  mountpath?: string | string[];
  parent?: ExpressApp;
}

interface Router {
  stack: Layer[];
}

/** Element of a router's stack: middleware, a mounted router, or a route. */
interface Layer {
  route?: Route;
  handle: Partial<Router>;
  /** Path matchers of Express 5. */
  matchers?: ((path: string) => { path: string; params: Record<string, unknown> } | false)[];
  /** Path pattern of Express 4. */
  regexp?: RegExp & { fast_slash?: boolean };
  keys?: { name: string | number }[];
}

interface Route {
  stack?: { handle: unknown; method?: string }[];
  path: string | RegExp | (string | RegExp)[];
}

interface ExpressRequest extends IncomingMessage {
  app?: ExpressApp;
  originalUrl?: string;
  baseUrl?: string;
  route?: Route;
  params?: Record<string, unknown>;
  /** Set by express-ws on upgrades that it dispatches through the app. */
  wsHandled?: boolean;
  [ROUTERS]?: readonly object[] | undefined;
}

/** Marked routers and apps that contain the request. */
const ROUTERS = Symbol('track-usage Express routers');

/** Returns whether a value is an Express app. Routers look like apps, and can be marked too. */
export function isExpressApp(app: unknown): app is ExpressApp {
  const express = app as Partial<ExpressApp> | null | undefined;
  return (
    typeof app === 'function' &&
    typeof express?.handle === 'function' &&
    typeof express.use === 'function' &&
    // Connect apps have everything except this.
    typeof express.get === 'function'
  );
}

/** Tracks every request of the app, before any middleware, and upgrades on servers that it starts. */
export function trackExpress(app: ExpressApp, capture: Capture): void {
  wrapMethod<ExpressApp['handle']>(app, 'handle', (original) => {
    return function (this: ExpressApp, request: ExpressRequest, response, next) {
      beginExpress(capture, request, response);
      return original().call(this, request, response, next);
    };
  });
  wrapMethod<ExpressApp['listen']>(app, 'listen', (original) => {
    return function (this: ExpressApp, ...args: unknown[]) {
      const server = Reflect.apply(original(), this, args) as NodeServer;
      trackUpgrades(server, capture, {
        ...expressReader,
        trusts: (_request, address, hop) => trustOf(app)(address, hop),
      });
      return server;
    };
  });
}

/**
 * Starts a request. A parent app or router strips the mount path from its URL, so the original URL is used.
 */
export function beginExpress(capture: Capture, request: IncomingMessage, response: ServerResponse): void {
  try {
    const { originalUrl, url = '', wsHandled } = request as ExpressRequest;
    const target = originalUrl ?? url;
    capture.begin(
      request,
      response,
      wsHandled === undefined ? target : withoutWebSocket(target),
      expressReader,
    );
  } catch (error) {
    capture.unread(request, error);
  }
}

const watched = new WeakSet<object>();

/** Records on requests that they are in a router or a nested app, because Express does not expose it. */
export function watchRouter(router: Pick<ExpressApp, 'handle'>): void {
  if (watched.has(router)) return;
  watched.add(router);
  wrapMethod<ExpressApp['handle']>(router, 'handle', (original) => {
    return function (this: ExpressApp, request: ExpressRequest, response, next) {
      const outer = enterRouter(request, router);
      // An error thrown in the router belongs to it, wherever it is handled.
      const leave = (error?: unknown) => {
        if (!error) leaveRouter(request, outer);
        next?.(error);
      };
      return original().call(this, request, response, next && leave);
    };
  });
}

function enterRouter(request: ExpressRequest, router: object): readonly object[] | undefined {
  const outer = request?.[ROUTERS];
  leaveRouter(request, outer ? [...outer, router] : [router]);
  return outer;
}

/** Records that the request left a router. A frozen request has no routers. */
function leaveRouter(request: ExpressRequest, routers: readonly object[] | undefined): void {
  if (Object.isExtensible(request)) request[ROUTERS] = routers;
}

function trustOf(app: ExpressApp | undefined): (address: string, hop: number) => boolean {
  const trust = app?.get('trust proxy fn');
  return typeof trust === 'function' ? (trust as (address: string, hop: number) => boolean) : () => false;
}

export const expressReader: RequestReader = {
  trusts: (request, address, hop) => trustOf((request as ExpressRequest).app)(address, hop),
  route(request) {
    const { route } = request as ExpressRequest;
    if (route === undefined) return '';
    const mount = mountOf(request);
    if (mount === undefined) return '';
    const pattern = mount + patternOf(route.path) || '/';
    return (request as ExpressRequest).wsHandled === undefined ? pattern : withoutWebSocket(pattern);
  },
  blueprint: (request) => mountOf(request) ?? '',
  handlers(request) {
    const { route, method = '', [ROUTERS]: routers = [] } = request as ExpressRequest;
    const verb = method.toLowerCase();
    // A route may have handlers for several methods. Those without a method are for all.
    const matching = route?.stack?.filter(
      ({ method }) => method === undefined || method === verb || (method === 'get' && verb === 'head'),
    );
    return matching === undefined ? routers : [...matching.map(({ handle }) => handle), ...routers];
  },
  routeParams: (request) => (request as ExpressRequest).params,
};

/**
 * Returns the path or pattern as the app defined it. express-ws adds a segment to the URL of requests that it
 * dispatches.
 */
function withoutWebSocket(path: string): string {
  return path.replace(/\/\.websocket(?=\?|$)/, '').replace(/^(?=\?|$)/, '/');
}

function patternOf(path: Route['path']): string {
  return Array.isArray(path) ? path.map(String).join(' | ') : String(path);
}

/** Mount patterns, by route and base URL. Bounded, because a parameter in a mount can have any value. */
const mounts = new WeakMap<Route, Map<string, string>>();
const MOUNTS_OF_A_ROUTE = 100;

/**
 * Returns the pattern at which the router of the request's route is mounted. Express only exposes the path.
 * Returns `undefined` if the pattern is unknown.
 */
function mountOf(request: Request): string | undefined {
  const { app, baseUrl = '', route } = request as ExpressRequest;
  if (!app || !route) return baseUrl === '' ? '' : undefined;
  let known = mounts.get(route);
  if (!known) {
    known = new Map();
    mounts.set(route, known);
  }
  let pattern = known.get(baseUrl);
  if (pattern === undefined) {
    pattern = findMount(app, baseUrl, (layer, rest) => layer.route === route && rest === '') ?? ELSEWHERE;
    if (known.size >= MOUNTS_OF_A_ROUTE) known.clear();
    known.set(baseUrl, pattern);
  }
  if (pattern === ELSEWHERE) pattern = mountByPath(app, request, route);
  return pattern === UNKNOWN ? undefined : pattern;
}

/** Marks a route whose mount has no pattern, for example a wildcard. */
const UNKNOWN = '?';
/** Marks a route that is not found at the base URL. */
const ELSEWHERE = '??';

/**
 * Finds the mount by the original path. Express has reset the base URL if an error is handled outside the
 * router that threw it.
 */
function mountByPath(app: ExpressApp, request: Request, route: Route): string {
  const { originalUrl = '' } = request as ExpressRequest;
  const path = originalUrl.replace(/[?#].*/s, '');
  const pattern = findMount(
    app,
    path,
    (layer, rest) => layer.route === route && match(layer, rest === '' ? '/' : rest) !== undefined,
  );
  if (pattern !== undefined) return pattern;
  // The router was called by a function. It is at the root if its pattern has the length of the path.
  const plain = typeof route.path === 'string' && /^(\/:?[\w.~-]+)+\/?$/.test(route.path) ? route.path : '';
  return depthOf(plain) === depthOf(path) ? '' : UNKNOWN;
}

function depthOf(path: string): number {
  return path.replace(/\/$/, '').split('/').length;
}

type IsRoute = (layer: Layer, rest: string) => boolean;

/** Returns the mount, or `undefined` if the route is not found. */
function findMount(app: ExpressApp, path: string, isRoute: IsRoute): string | undefined {
  const outer = app.parent ? mountOfApp(app, path) : { pattern: '', rest: path };
  const router = routerOf(app);
  if (!outer || !router) return outer ? undefined : UNKNOWN;
  const inner = findInStack(router.stack, outer.rest, isRoute);
  return inner === undefined || inner === UNKNOWN ? inner : outer.pattern + inner;
}

function routerOf(app: ExpressApp): Router | undefined {
  if (app._router) return app._router;
  try {
    return app.router;
  } catch {
    return undefined;
  }
}

/**
 * Returns where an app is mounted in its parents, if the mounts are plain text or named parameters with a
 * segment each.
 */
function mountOfApp(app: ExpressApp, baseUrl: string): { pattern: string; rest: string } | undefined {
  let pattern = '';
  for (let inner: ExpressApp | undefined = app; inner?.parent; inner = inner.parent) {
    const { mountpath } = inner;
    if (typeof mountpath !== 'string' || !/^(\/(:\w+|[\w.~-]+))*\/?$/.test(mountpath)) return undefined;
    pattern = mountpath.replace(/\/$/, '') + pattern;
  }
  const depth = pattern.split('/').length - 1;
  const segments = baseUrl.split('/');
  return { pattern, rest: segments.length - 1 > depth ? `/${segments.slice(depth + 1).join('/')}` : '' };
}

/** Returns the pattern of `path`, which leads through mounted routers to the route. */
function findInStack(stack: Layer[], path: string, isRoute: IsRoute): string | undefined {
  for (const layer of stack) {
    if (isRoute(layer, path)) return '';
    const inner = layer.handle?.stack;
    if (layer.route || !Array.isArray(inner)) continue;
    const matched = matchMount(layer, path);
    if (matched === undefined) continue;
    const rest = findInStack(inner, path.slice(matched.length), isRoute);
    if (rest === undefined) continue;
    const pattern = mountPattern(layer, matched);
    return pattern === undefined || rest === UNKNOWN ? UNKNOWN : pattern + rest;
  }
  return undefined;
}

/** Returns the part of a path that a mounted router matches, or `undefined`. */
function matchMount(layer: Layer, path: string): string | undefined {
  const found = match(layer, path === '' ? '/' : path);
  return found === undefined ? undefined : found.path.replace(/\/$/, '');
}

function match(layer: Layer, path: string): { path: string; params: Record<string, unknown> } | undefined {
  if (layer.matchers) {
    for (const matcher of layer.matchers) {
      const found = matcher(path);
      if (found) return found;
    }
    return undefined;
  }
  if (layer.regexp?.fast_slash) return { path: '', params: {} };
  const found = layer.regexp?.exec(path);
  if (!found) return undefined;
  const names = layer.keys?.map(({ name }, index) => [String(name), found[index + 1]]) ?? [];
  return { path: found[0], params: Object.fromEntries(names) };
}

/**
 * Determines the pattern of a mount by trial. A segment that can be replaced, and whose value is then a
 * parameter's, is that parameter. A segment that cannot be replaced is literal. Returns `undefined` if
 * parameters remain (`/v:version`, wildcards, regular expressions), because the pattern could then contain a
 * value.
 */
function mountPattern(layer: Layer, path: string): string | undefined {
  const names = new Set(Object.keys(match(layer, path)?.params ?? {}));
  const segments = path.split('/');
  const pattern = segments.map((segment, index) => {
    if (segment === '') return '';
    const probe = 'track-usage-probe';
    const tried = match(layer, segments.with(index, probe).join('/'));
    if (tried === undefined || tried.path.split('/').length !== segments.length) return segment;
    const name = Object.keys(tried.params).find((key) => tried.params[key] === probe);
    if (name === undefined) return undefined;
    names.delete(name);
    return `:${name}`;
  });
  return names.size > 0 || pattern.includes(undefined) ? undefined : pattern.join('/');
}
