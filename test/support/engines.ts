import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import express, { type Express } from 'express';
import express4 from 'express4';
import fastify, { type FastifyInstance } from 'fastify';
import fastify4 from 'fastify4';
import { Hono } from 'hono';
import Koa from 'koa';
import Koa2 from 'koa2';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import type { TrackUsageOptions } from '../../src/index.ts';
import { type Address, type Client, http1Client, http2Client } from './client.ts';
import { Recorder } from './recorder.ts';
import { TLS } from './tls.ts';

export type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

/** A type of server, and a client for it. */
export interface Engine {
  name: string;
  protocol: 'HTTP/1.1' | 'HTTP/2.0';
  secure: boolean;
  /** True if it has its own setting for trusted proxies. */
  knowsProxies?: boolean;
  /** True if its server sends responses or upgrades that the app does not see, so that both are tracked. */
  needsServer?: boolean;
  /** Creates an app with a handler. */
  create(handler: Handler, options: object): { app: TrackedApp; listen(host: string): Server };
}

function server(make: (handler: Handler, options: object) => Server): Engine['create'] {
  return (handler, options) => {
    const made = make(handler, options);
    return { app: made as unknown as TrackedApp, listen: (host) => made.listen(0, host) };
  };
}

function expressApp(make: () => Express): Engine['create'] {
  return (handler) => {
    const app = make();
    app.use((request, response) => handler(request, response) as undefined);
    return { app: app as unknown as TrackedApp, listen: (host) => app.listen(0, host) };
  };
}

const compat = (handler: Handler) => handler as unknown as (request: object, response: object) => void;

const NODE: Engine = {
  name: 'node:http',
  protocol: 'HTTP/1.1',
  secure: false,
  create: server((handler, options) => http.createServer(options, handler)),
};
const TLS1: Engine = {
  name: 'node:https',
  protocol: 'HTTP/1.1',
  secure: true,
  create: server((handler, options) => https.createServer({ ...TLS, ...options }, handler)),
};
const H2C: Engine = {
  name: 'http2 without TLS',
  protocol: 'HTTP/2.0',
  secure: false,
  create: server((handler, options) => http2.createServer(options, compat(handler))),
};
const H2: Engine = {
  name: 'http2',
  protocol: 'HTTP/2.0',
  secure: true,
  create: server((handler, options) =>
    http2.createSecureServer({ ...TLS, allowHTTP1: true, ...options }, compat(handler)),
  ),
};
const H2_OLD: Engine = { ...H2, name: 'http2 asked in HTTP/1.1', protocol: 'HTTP/1.1' };
const EXPRESS5: Engine = {
  name: 'Express 5',
  protocol: 'HTTP/1.1',
  secure: false,
  knowsProxies: true,
  create: expressApp(() => express()),
};
const EXPRESS4: Engine = { ...EXPRESS5, name: 'Express 4', create: expressApp(() => express4()) };

function koaApp(make: () => Koa): Engine['create'] {
  return (handler) => {
    const app = make();
    // The test cases cause errors deliberately, so they are not printed.
    app.silent = true;
    app.use((context) => {
      context.respond = false;
      context.res.statusCode = 200;
      return handler(context.req, context.res) as undefined;
    });
    return { app: app as unknown as TrackedApp, listen: (host) => app.listen(0, host) };
  };
}
const KOA3: Engine = { ...EXPRESS5, name: 'Koa 3', create: koaApp(() => new Koa()) };
const KOA2: Engine = { ...EXPRESS5, name: 'Koa 2', create: koaApp(() => new Koa2()) };

function fastifyApp(make: () => FastifyInstance): Engine['create'] {
  return (handler) => {
    const app = make();
    // The handlers read bodies themselves, as with the other engines.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _body, done) => done(null));
    const route = (request: { raw: http.IncomingMessage }, reply: { raw: unknown; hijack(): void }) => {
      reply.hijack();
      handler(request.raw, reply.raw as http.ServerResponse);
    };
    app.setNotFoundHandler(route as never);
    return {
      app: app as unknown as TrackedApp,
      listen(host) {
        void app.listen({ port: 0, host });
        return app.server;
      },
    };
  };
}
const FASTIFY5: Engine = { ...EXPRESS5, name: 'Fastify 5', create: fastifyApp(() => fastify()) };
const FASTIFY4: Engine = {
  ...EXPRESS5,
  name: 'Fastify 4',
  create: fastifyApp(() => fastify4() as unknown as FastifyInstance),
};

const HONO: Engine = {
  ...EXPRESS5,
  name: 'Hono 4',
  knowsProxies: false,
  needsServer: true,
  create(handler) {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.all('*', (context) => {
      handler(context.env.incoming, context.env.outgoing);
      return RESPONSE_ALREADY_SENT;
    });
    return {
      app: app as unknown as TrackedApp,
      listen: (host) => createAdaptorServer({ fetch: app.fetch }).listen(0, host) as Server,
    };
  },
};

export const ENGINES: readonly Engine[] = [
  ...[NODE, TLS1, H2C, H2, H2_OLD],
  ...[EXPRESS5, EXPRESS4, FASTIFY5, FASTIFY4, KOA3, KOA2, HONO],
];
/** Engines whose connections serve one request after the other. */
export const HTTP1_ENGINES: readonly Engine[] = ENGINES.filter(({ protocol }) => protocol === 'HTTP/1.1');
export const PLAIN_HTTP1: readonly Engine[] = HTTP1_ENGINES.filter(({ secure }) => !secure);

/** A tracked server of an engine. Each test case may replace its handler. */
export interface Site {
  engine: Engine;
  server: Server;
  address: Address;
  client: Client;
  recorder: Recorder;
  handle: Handler;
  close(): Promise<void>;
}

export interface SiteOptions {
  usage?: TrackUsageOptions;
  /** Options of the server. */
  server?: object;
  host?: string;
}

export async function serve(engine: Engine, options: SiteOptions = {}): Promise<Site> {
  const { usage, server: serverOptions = {}, host = '127.0.0.1' } = options;
  const recorder = await Recorder.create(usage);
  const made = engine.create((request, response) => site.handle(request, response), serverOptions);
  recorder.usage.attach(made.app);
  const server = made.listen(host);
  if (engine.needsServer) recorder.usage.attach(server as unknown as TrackedApp);
  await once(server, 'listening');
  const address = { host, port: (server.address() as AddressInfo).port, secure: engine.secure };
  const client = (engine.protocol === 'HTTP/2.0' ? http2Client : http1Client)(address);
  const site: Site = {
    engine,
    server,
    address,
    client,
    recorder,
    handle: (_request, response) => response.end(),
    async close() {
      client.close();
      await closeServer(server);
      await recorder.close();
    },
  };
  return site;
}

export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  if ('closeAllConnections' in server) (server as http.Server).closeAllConnections();
  await closed;
}

/** Listens on any free port. */
export async function listen(
  app: { listen(port: number, host: string): Server },
  host = '127.0.0.1',
): Promise<{ server: Server; address: Address }> {
  const server = app.listen(0, host);
  await once(server, 'listening');
  return { server, address: { host, port: (server.address() as AddressInfo).port, secure: false } };
}

/** A tracked Express app. */
export interface AppSite {
  app: Express;
  server: Server;
  address: Address;
  client: Client;
  recorder: Recorder;
  close(): Promise<void>;
}

export interface AppOptions {
  usage?: TrackUsageOptions;
  host?: string;
}

export async function serveApp(app: Express, options: AppOptions = {}): Promise<AppSite> {
  const { usage, host = '127.0.0.1' } = options;
  const recorder = await Recorder.create(usage);
  recorder.usage.attach(app as unknown as TrackedApp);
  const { server, address } = await listen(app, host);
  const client = http1Client(address);
  return {
    app,
    server,
    address,
    client,
    recorder,
    async close() {
      client.close();
      await closeServer(server);
      await recorder.close();
    },
  };
}

/** Both versions of Express, configured the same. */
export const EXPRESSES = [
  ['Express 5', express],
  ['Express 4', express4],
] as const;
