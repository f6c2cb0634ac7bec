import { writeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasDotSegments, pathOf } from '../capture/target.ts';
import { reasonOf, show, TrackUsageError } from '../errors.ts';
import { monotonicClock } from '../platform/clock.ts';
import { Access } from './access.ts';
import type { HandlerSource } from './api.ts';
import { protect } from './headers.ts';
import { type HandlerOptions, type HandlerSettings, readHandlerOptions } from './options.ts';
import { sendProblem } from './problem.ts';
import type { Responder } from './respond.ts';

/**
 * The dashboard, its HTTP API and the metrics. Works as middleware of Express, Koa and Hono, a plugin of
 * Fastify, and a listener of node:http: `app.use(usage.handler())`, `app.register(usage.handler())`.
 */
export interface UsageHandler {
  /** Node, Express, NestJS. Handles requests below its path, and calls `next` for all others. */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): boolean;
  /** Koa. */
  (context: KoaContext, next: () => Promise<unknown>): Promise<unknown>;
  /** Hono on `@hono/node-server`. */
  (context: HonoContext, next: () => Promise<void>): Promise<Response | undefined>;
  /** Fastify. */
  (app: FastifyInstance, options: object, done?: (error?: Error) => void): void;
  /** Path of the dashboard. */
  readonly path: string;
  /**
   * Returns a link to the dashboard. It works once if no option restricts access; otherwise it has no token.
   * @param origin For example `http://localhost:3000`.
   */
  link(origin: string): string;
}

export interface KoaContext {
  req: IncomingMessage;
  res: ServerResponse;
  respond?: boolean;
  originalUrl: string;
}
export interface HonoContext {
  env: unknown;
  req: object;
}
export interface FastifyInstance {
  prefix: string;
  route(route: never): unknown;
  hasContentTypeParser(type: string): boolean;
  addContentTypeParser(type: string, parser: never): unknown;
}

interface FastifyExchange {
  request: { raw: IncomingMessage & { originalUrl?: string }; body: unknown };
  reply: { raw: ServerResponse; hijack(): unknown; callNotFound(): unknown };
}

const FORM = 'application/x-www-form-urlencoded';
/** Minimum interval between printing links or errors. In ms. */
const PRINT = 60_000;

/**
 * Creates the handler.
 * @param leaveOut Called with each request that it handles, which is not tracked.
 */
export function createHandler(
  source: HandlerSource,
  options: HandlerOptions = {},
  leaveOut: (request: IncomingMessage) => void = () => {},
): UsageHandler {
  const settings = readHandlerOptions(options);
  const mount = new Mount(source, settings, leaveOut);
  const handler = (...given: unknown[]): unknown => {
    const [first, second, third] = given as [never, never, never];
    if (isFastify(first)) return register(first, mount, third);
    if (isHono(first)) return mount.hono(first, second);
    if (isKoa(first)) return mount.koa(first, second);
    return mount.node(first, second, third);
  };
  // Express treats a function with four parameters as an error handler, and Fastify checks their number too.
  Object.defineProperty(handler, 'length', { value: 3 });
  return Object.assign(handler, {
    path: settings.path,
    link: (origin: string) => mount.link(origin),
    [Symbol.for('fastify.display-name')]: 'track-usage-handler',
  }) as UsageHandler;
}

class Mount {
  readonly path: string;
  readonly #source: HandlerSource;
  readonly #settings: HandlerSettings;
  readonly #access: Access;
  readonly #exclude: (request: IncomingMessage) => void;
  #responder: Promise<Responder> | undefined;
  #printed = Number.NEGATIVE_INFINITY;
  #failed = Number.NEGATIVE_INFINITY;

  constructor(
    source: HandlerSource,
    settings: HandlerSettings,
    leaveOut: (request: IncomingMessage) => void,
  ) {
    this.path = settings.path;
    this.#source = source;
    this.#settings = settings;
    this.#exclude = leaveOut;
    this.#access = new Access(settings, (error) =>
      this.#reportFailure(`authorize failed: ${reasonOf(error)}`),
    );
  }

  link(origin: string): string {
    if (!URL.canParse(origin)) {
      const expected = 'the URL of the app, such as "http://localhost:3000"';
      throw new TrackUsageError('OPTION_INVALID', { name: 'link', value: show(origin), expected });
    }
    this.#printed = monotonicClock.now();
    const page = `${origin.replace(/\/+$/, '')}${this.path}/`;
    return this.#access.isLocal ? `${page}?token=${this.#access.createLink()}` : page;
  }

  node(
    request: IncomingMessage & { originalUrl?: string; body?: unknown },
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): boolean {
    const url = this.below(request.originalUrl ?? request.url);
    if (url !== undefined) void this.answer(request, response, url, request.body);
    else next?.();
    return url !== undefined;
  }

  async koa(context: KoaContext, next: () => Promise<unknown>): Promise<unknown> {
    const url = this.below(context.originalUrl);
    if (url === undefined) return next();
    context.respond = false;
    const { body } = (context as { request?: { body?: unknown } }).request ?? {};
    await this.answer(context.req, context.res, url, body);
    return undefined;
  }

  async hono(context: HonoContext, next: () => Promise<void>): Promise<Response | undefined> {
    const { incoming, outgoing } = context.env as { incoming: IncomingMessage; outgoing: ServerResponse };
    const { parseBody } = context.req as { parseBody?: () => Promise<unknown> };
    // Hono routes by the normalized URL, without dot segments.
    const { pathname, search } = new URL((context.req as { url: string }).url);
    const url = this.below(pathname + search);
    if (url === undefined) {
      await next();
      return undefined;
    }
    // Hono caches a body that middleware has read.
    const body = incoming.readableDidRead
      ? await parseBody?.call(context.req).catch(() => undefined)
      : undefined;
    await this.answer(incoming, outgoing, url, body);
    // Tells @hono/node-server that the response was sent without it. Its fast path would ignore the header;
    // accessing the body disables that path.
    const sent = new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
    void sent.body;
    return sent;
  }

  /** Handles a request. Never rejects. */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body?: unknown,
  ): Promise<void> {
    this.#exclude(request);
    response.on('error', () => {});
    // A reset HTTP/2 stream is reported here.
    request.on('error', () => {});
    try {
      this.#print(request, url);
      // Loaded at the first request, so that an unused dashboard costs nothing.
      this.#responder ??= this.#load();
      await (await this.#responder).answer(request, response, url, body);
    } catch (error) {
      this.#fail(response, error);
    }
  }

  async #load(): Promise<Responder> {
    try {
      const { Responder } = await import('./respond.ts');
      return new Responder(this.#source, this.#access, this.#settings);
    } catch (error) {
      this.#responder = undefined;
      throw error;
    }
  }

  #fail(response: ServerResponse, error: unknown): void {
    this.#reportFailure(`the dashboard failed: ${reasonOf(error)}`);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    try {
      protect(response);
      const title = 'The dashboard failed';
      const detail = 'See the standard error output of the app.';
      sendProblem(response, { status: 500, title, detail, code: 'HANDLER_FAILED' });
    } catch {
      response.destroy();
    }
  }

  #reportFailure(failure: string): void {
    if (monotonicClock.now() - this.#failed <= PRINT) return;
    this.#failed = monotonicClock.now();
    print(failure);
  }

  /** Returns the part of the URL after the path, or `undefined` for other URLs. */
  below(url = ''): string | undefined {
    // With dot segments it may be another path, which the app must handle.
    if (!url.startsWith(this.path) || hasDotSegments(pathOf(url))) return undefined;
    const rest = url.slice(this.path.length);
    return rest === '' || rest.startsWith('/') || rest.startsWith('?') ? rest : undefined;
  }

  /** Prints the link where the app runs, for a user who opens the page on this machine. */
  #print(request: IncomingMessage, url: string): void {
    if (!this.#access.isLocal || url !== '/' || this.#access.refusal(request)) return;
    if (this.#access.hasSession(request) || monotonicClock.now() - this.#printed < PRINT) return;
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const link = this.link(`${scheme}://${request.headers.host}`);
    this.#printed = monotonicClock.now();
    print(`dashboard (one-time link): ${link}`);
  }
}

function register(app: FastifyInstance, mount: Mount, done?: (error?: Error) => void): void {
  if (!app.hasContentTypeParser(FORM)) {
    const unread = (_request: unknown, _payload: unknown, parsed: (error: null) => void) => parsed(null);
    app.addContentTypeParser(FORM, unread as never);
  }
  const handler = async (request: FastifyExchange['request'], reply: FastifyExchange['reply']) => {
    // Fastify also matches other spellings of a route, for example /%75sage.
    const url = mount.below(request.raw.originalUrl ?? request.raw.url);
    if (url === undefined) return reply.callNotFound();
    reply.hijack();
    await mount.answer(request.raw, reply.raw, url, request.body ?? undefined);
  };
  // `path` is the requested path, so it includes the plugin's prefix.
  const isBelow = mount.path === app.prefix || mount.path.startsWith(`${app.prefix}/`);
  if (!isBelow) {
    const expected = `a path below the prefix that it is registered with, such as "${app.prefix}/usage"`;
    const option = { name: 'handler.path', value: show(mount.path), expected };
    done?.(new TrackUsageError('OPTION_INVALID', option));
    return;
  }
  const url = mount.path.slice(app.prefix.length);
  for (const pattern of [url, `${url}/*`]) {
    app.route({ method: ['GET', 'HEAD', 'POST'], url: pattern, exposeHeadRoute: false, handler } as never);
  }
  done?.();
}

/** Prints a text. A closed terminal or pipe must not end the app. */
function print(text: string): void {
  try {
    writeSync(2, `track-usage: ${text}\n`);
  } catch {}
}

function isFastify(given: unknown): given is FastifyInstance {
  return typeof (given as Partial<FastifyInstance> | null)?.addContentTypeParser === 'function';
}

function isHono(given: unknown): given is HonoContext {
  const { env, req } = (given ?? {}) as Partial<HonoContext>;
  return typeof req === 'object' && typeof env === 'object' && env !== null && 'incoming' in env;
}

/** Returns whether an argument is a Koa context, which has its own request and response beside Node's. */
function isKoa(given: unknown): given is KoaContext {
  const { request, response, req, res } = (given ?? {}) as Record<string, unknown>;
  return [request, response, req, res].every((part) => typeof part === 'object');
}
