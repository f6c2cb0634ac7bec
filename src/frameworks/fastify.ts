import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Capture } from '../capture/capture.ts';
import type { Request, RequestReader } from '../capture/exchange.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type NodeServer, trackServer } from './node.ts';

/** A Fastify 4 or 5 instance, as far as it is used here: our types need no Fastify. */
export interface FastifyApp {
  server: object;
  addHook(name: never, hook: never): unknown;
  register: unknown;
  route: unknown;
}

/** Fastify binds a route's handler; what the app gave is kept in the route's own settings. */
interface RouteConfig {
  [HANDLER]?: unknown;
}

/** What Fastify says of a request. */
interface FastifyRequest {
  raw: IncomingMessage;
  originalUrl: string;
  is404: boolean;
  /** The peer, the proxies that are trusted, and the first one that is not; only where any may be trusted. */
  ips?: string[];
  params?: unknown;
  routeOptions?: { url?: string; config?: RouteConfig };
  server?: { prefix?: string };
}

type OnRoute = (route: { handler?: unknown; config?: RouteConfig }) => void;
type OnRequest = (request: FastifyRequest, reply: { raw: ServerResponse }, done: () => void) => void;

const HANDLER: unique symbol = Symbol('track-usage Fastify handler');
const REQUEST = Symbol('track-usage Fastify request');
type Tracked = Request & { [REQUEST]?: FastifyRequest };

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
  const onRequest: OnRequest = (request, reply, done) => {
    (request.raw as Tracked)[REQUEST] = request;
    capture.begin(request.raw, reply.raw, request.originalUrl, fastifyReader);
    done();
  };
  const onRoute: OnRoute = (route) => {
    route.config = { ...route.config, [HANDLER]: route.handler };
  };
  try {
    app.addHook('onRoute' as never, onRoute as never);
    app.addHook('onRequest' as never, onRequest as never);
  } catch (error) {
    throw new TrackUsageError('APP_STARTED', { reason: reasonOf(error) }, { cause: error });
  }
  trackServer(app.server as NodeServer, capture, fastifyReader);
}

const fastifyRequest = (request: Request) => (request as Tracked)[REQUEST];

/** Fastify gives requests that match no route a route of their own. */
function routeOf(request: Request): string {
  const known = fastifyRequest(request);
  return known === undefined || known.is404 ? '' : (known.routeOptions?.url ?? '');
}

const fastifyReader: RequestReader = {
  trusts(request, _address, hop) {
    // Its `trustProxy`, which it does not show, as it applied it.
    const { ips } = fastifyRequest(request) ?? {};
    return ips !== undefined && hop < ips.length - 1;
  },
  route: routeOf,
  blueprint: (request) => fastifyRequest(request)?.server?.prefix ?? '',
  handlers: (request) => [fastifyRequest(request)?.routeOptions?.config?.[HANDLER]],
  routeParams(request) {
    const params = fastifyRequest(request)?.params;
    return typeof params === 'object' && params !== null ? params : undefined;
  },
};
