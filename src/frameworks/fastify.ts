import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { pathOf } from '../capture/target.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type Holder, PLUGINS, watchPlugins } from './fastify-marks.ts';
import { type NodeServer, trackServer } from './node.ts';

/** Parts of a Fastify 4 or 5 instance used here. Structural, so that our types do not import Fastify. */
export interface FastifyApp {
  server: object;
  addHook(name: never, hook: never): unknown;
  register: unknown;
  route: unknown;
}

/**
 * Settings of a route. Fastify binds the handler, so the original handler is stored here, with the route's
 * plugins.
 */
interface RouteConfig {
  [HANDLER]?: unknown;
  [PLUGINS]?: readonly unknown[] | undefined;
  /** The app's own setting: whether the route is tracked. */
  trackUsage?: unknown;
}

/** Parts of a Fastify request used here. */
interface FastifyRequest {
  raw: IncomingMessage;
  originalUrl: string;
  is404: boolean;
  /** The peer, the trusted proxies, and the first untrusted one. Set only if proxies may be trusted. */
  ips?: string[];
  params?: unknown;
  routeOptions?: RouteOptions;
  server?: { prefix?: string };
}

interface RouteOptions {
  url?: string;
  config?: RouteConfig;
}

type OnRoute = (this: Holder, route: { handler?: unknown; config?: RouteConfig }) => void;
type OnRequest = (request: FastifyRequest, reply: { raw: ServerResponse }, done: () => void) => void;

const HANDLER: unique symbol = Symbol('track-usage Fastify handler');
const REQUEST = Symbol('track-usage Fastify request');
const OPTIONS = Symbol('track-usage Fastify route');
type Tracked = Request & { [REQUEST]?: FastifyRequest; [OPTIONS]?: RouteOptions | undefined };

export function isFastifyApp(app: unknown): app is FastifyApp {
  const fastify = app as Partial<FastifyApp> | null | undefined;
  return (
    typeof fastify === 'object' &&
    typeof fastify?.addHook === 'function' &&
    typeof fastify.register === 'function' &&
    typeof fastify.route === 'function' &&
    typeof fastify.server === 'object'
  );
}

/**
 * Tracks every request of the server, including those that Fastify handles before its hooks. A hook tracks
 * additional servers, which Fastify creates when it listens at `localhost`.
 */
export function trackFastify(app: FastifyApp, capture: Capture): void {
  hookFastify(app, capture);
  trackServer(app.server as NodeServer, capture, fastifyReader);
}

/** Tracks the requests of an instance's routes, and of nested instances. */
export function hookFastify(app: FastifyApp, capture: Capture): void {
  const onRequest: OnRequest = (request, reply, done) => {
    try {
      (request.raw as Tracked)[REQUEST] = request;
      capture.begin(request.raw, reply.raw, request.originalUrl, fastifyReader);
    } catch (error) {
      capture.unread(request.raw, error);
    }
    done();
  };
  const onRoute: OnRoute = function (route) {
    route.config = { ...route.config, [HANDLER]: route.handler, [PLUGINS]: this[PLUGINS] };
  };
  try {
    app.addHook('onRoute' as never, onRoute as never);
    app.addHook('onRequest' as never, onRequest as never);
  } catch (error) {
    throw new TrackUsageError('APP_STARTED', { reason: reasonOf(error) }, { cause: error });
  }
  watchPlugins(app, (plugin) => capture.isMarked(plugin));
}

/** Decodes a path as Fastify's router does: all characters except those with a meaning in a URL. */
function decodedPathOf(target: string): string {
  const path = pathOf(target);
  if (!path.includes('%')) return path;
  try {
    return decodeURI(path);
  } catch {
    // Malformed. Fastify responds with 400, or matches the undecoded path.
    return path;
  }
}

const fastifyRequest = (request: Request) => (request as Tracked)[REQUEST];

/**
 * Returns the route's options, which Fastify creates on each access. Requests without a route have options
 * without a URL.
 */
function optionsOf(request: Tracked): RouteOptions | undefined {
  request[OPTIONS] ??= request[REQUEST]?.routeOptions;
  return request[OPTIONS];
}

const fastifyReader: RequestReader = {
  path: (_request, target) => decodedPathOf(target),
  trusts(request, _address, hop) {
    // `ips` is the result of `trustProxy`, which is not exposed itself.
    const { ips } = fastifyRequest(request) ?? {};
    return ips !== undefined && hop < ips.length - 1;
  },
  route: (request) => (fastifyRequest(request)?.is404 === false && optionsOf(request)?.url) || '',
  blueprint: (request) => fastifyRequest(request)?.server?.prefix ?? '',
  handlers(request) {
    const { [HANDLER]: handler, [PLUGINS]: plugins = [] } = optionsOf(request)?.config ?? {};
    return [handler, ...plugins];
  },
  tracked(request) {
    const setting = optionsOf(request)?.config?.trackUsage;
    return typeof setting === 'boolean' ? setting : undefined;
  },
  routeParams(request) {
    const params = fastifyRequest(request)?.params;
    return typeof params === 'object' && params !== null ? params : undefined;
  },
};
