import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { pathOf } from '../capture/target.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type Holder, PLUGINS, watchPlugins } from './fastify-marks.ts';
import { type NodeServer, trackServer } from './node.ts';

/** A Fastify 4 or 5 instance, as far as it is used here: our types need no Fastify. */
export interface FastifyApp {
  server: object;
  addHook(name: never, hook: never): unknown;
  register: unknown;
  route: unknown;
}

/** Fastify binds a route's handler; what the app gave is kept in the route's own settings, with its plugins. */
interface RouteConfig {
  [HANDLER]?: unknown;
  [PLUGINS]?: readonly unknown[] | undefined;
  /** The app's own word on whether the route is tracked. */
  trackUsage?: unknown;
}

/** What Fastify says of a request. */
interface FastifyRequest {
  raw: IncomingMessage;
  originalUrl: string;
  is404: boolean;
  /** The peer, the proxies that are trusted, and the first one that is not; only where any may be trusted. */
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
 * Sees every request of the server, also those that Fastify answers before its hooks; and by a hook those of the
 * servers that Fastify adds when it listens at `localhost`.
 */
export function trackFastify(app: FastifyApp, capture: Capture): void {
  hookFastify(app, capture);
  trackServer(app.server as NodeServer, capture, fastifyReader);
}

/** Sees the requests of an instance's routes, and of those in it. */
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

/** As its router decodes it: all but the characters that have a meaning in a URL. */
function decodedPathOf(target: string): string {
  const path = pathOf(target);
  if (!path.includes('%')) return path;
  try {
    return decodeURI(path);
  } catch {
    // Malformed: Fastify answers 400, or looks for the route by what was sent.
    return path;
  }
}

const fastifyRequest = (request: Request) => (request as Tracked)[REQUEST];

/** Fastify makes it anew whenever it is asked. Requests that match no route have one without a URL. */
function optionsOf(request: Tracked): RouteOptions | undefined {
  request[OPTIONS] ??= request[REQUEST]?.routeOptions;
  return request[OPTIONS];
}

const fastifyReader: RequestReader = {
  path: (_request, target) => decodedPathOf(target),
  trusts(request, _address, hop) {
    // Its `trustProxy`, which it does not show, as it applied it.
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
    const own = optionsOf(request)?.config?.trackUsage;
    return typeof own === 'boolean' ? own : undefined;
  },
  routeParams(request) {
    const params = fastifyRequest(request)?.params;
    return typeof params === 'object' && params !== null ? params : undefined;
  },
};
