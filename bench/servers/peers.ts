import { createWriteStream } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { peer } from '../support/peers.ts';
import type { Middleware } from './handler.ts';
import type { Variant } from './variant.ts';

const LOG = 'access.log';
const logFile = (directory: string) => join(directory, LOG);

/** pino's options for writing to a file: a system call for each line, or for each 4 KiB. */
const EACH_LINE = {};
const BUFFERED = { sync: false, minLength: 4096 };
type Destination = typeof EACH_LINE | typeof BUFFERED;

function pinoFile(directory: string, options: Destination): unknown {
  return peer<{ destination(options: object): unknown }>('pino').destination({
    dest: logFile(directory),
    ...options,
  });
}

function pinoHttp(options: Destination): Variant {
  return {
    middleware: (directory) =>
      peer<(options: object, stream: unknown) => Middleware>('pino-http')({}, pinoFile(directory, options)),
  };
}

function fastifyLogger(options: Destination): Variant {
  return { options: (directory) => ({ logger: { stream: pinoFile(directory, options) } }) };
}

/** Returns a function that writes a logger's lines to a file. */
function printer(directory: string): (line: string) => void {
  const stream = createWriteStream(logFile(directory));
  return (line) => void stream.write(`${line}\n`);
}

/** Collects metrics, without a scraper. Instruments the servers of every framework. */
function openTelemetry(): void {
  type Made = new (options?: object) => object;
  const { HttpInstrumentation } = peer<{ HttpInstrumentation: Made }>('@opentelemetry/instrumentation-http');
  const { MeterProvider } = peer<{ MeterProvider: Made }>('@opentelemetry/sdk-metrics');
  const { PrometheusExporter } = peer<{ PrometheusExporter: Made }>('@opentelemetry/exporter-prometheus');
  const { registerInstrumentations } = peer<{ registerInstrumentations(options: object): void }>(
    '@opentelemetry/instrumentation',
  );
  registerInstrumentations({
    instrumentations: [new HttpInstrumentation()],
    meterProvider: new MeterProvider({ readers: [new PrometheusExporter({ preventServerStart: true })] }),
  });
  // Patches modules when they are required, including the prototype of existing servers.
  createRequire(import.meta.url)('node:http');
}

interface KoaContext {
  method: string;
  status: number;
  _matchedRoute?: string;
}
type Use<Context> = { use(middleware: (context: Context, next: () => Promise<void>) => unknown): void };
type Client = { Histogram: new (options: object) => { startTimer(): (labels: object) => void } };

/** Custom middleware for Koa, because prom-client has no maintained one. */
function promClientForKoa(app: Use<KoaContext>): void {
  const durations = new (peer<Client>('prom-client').Histogram)({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests',
    labelNames: ['method', 'route', 'status'],
  });
  app.use(async (context, next) => {
    const end = durations.startTimer();
    await next();
    end({ method: context.method, route: context._matchedRoute, status: context.status });
  });
}

/** Comparable libraries, configured as their documentation shows. Loggers write to a file. */
export const PEERS = {
  morgan: {
    middleware: (directory) =>
      peer<(format: string, options: object) => Middleware>('morgan')('combined', {
        stream: createWriteStream(logFile(directory)),
      }),
  },
  'pino-http': pinoHttp(EACH_LINE),
  'pino-http, buffered': pinoHttp(BUFFERED),
  "Fastify's logger": fastifyLogger(EACH_LINE),
  "Fastify's logger, buffered": fastifyLogger(BUFFERED),
  'koa-logger': {
    plugIn: (app: Use<unknown>, directory) =>
      app.use(peer<(print: (line: string) => void) => () => unknown>('koa-logger')(printer(directory))),
  },
  'hono/logger': {
    plugIn: (app: Use<unknown>, directory) =>
      app.use(
        peer<{ logger(print: (line: string) => void): () => unknown }>('hono/logger').logger(
          printer(directory),
        ),
      ),
  },
  'OpenTelemetry http metrics': { plugIn: openTelemetry },
  'swagger-stats': {
    middleware: () => peer<{ getMiddleware(options: object): Middleware }>('swagger-stats').getMiddleware({}),
  },
  'express-prom-bundle': {
    middleware: () =>
      peer<(options: object) => Middleware>('express-prom-bundle')({
        includeMethod: true,
        includePath: true,
      }),
  },
  'fastify-metrics': {
    plugIn: (app: { register(plugin: unknown): unknown }) => app.register(peer('fastify-metrics')),
  },
  'prom-client by hand': { plugIn: promClientForKoa },
  '@hono/prometheus': {
    plugIn: (app: Use<unknown>) =>
      app.use(
        peer<{ prometheus(): { registerMetrics: () => unknown } }>('@hono/prometheus').prometheus()
          .registerMetrics,
      ),
  },
} satisfies Record<string, Variant>;
