import type { IncomingMessage, ServerResponse } from 'node:http';
import { reasonOf } from '../errors.ts';
import { Access } from './access.ts';
import type { HandlerSource } from './api.ts';
import { type HandlerOptions, type HandlerSettings, readHandlerOptions } from './options.ts';
import type { Responder } from './respond.ts';

/**
 * The dashboard, its HTTP API and the metrics. It is middleware of Express, Koa and Hono, a plugin of Fastify, and a
 * listener of node:http: `app.use(usage.handler())`, `app.register(usage.handler())`.
 */
export interface UsageHandler {
  /** Node, Express, NestJS: answers what lies below its path, and calls `next` for everything else. */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): boolean;
  /** Koa. */
  (context: KoaContext, next: () => Promise<unknown>): Promise<unknown>;
  /** Hono on `@hono/node-server`. */
  (context: HonoContext, next: () => Promise<void>): Promise<Response | undefined>;
  /** Fastify. */
  (app: FastifyInstance, options: object, done?: (error?: Error) => void): void;
  /** Where the dashboard is. */
  readonly path: string;
  /**
   * A link to the dashboard that works once, where nothing else guards it; otherwise without a token.
   * @param origin Such as `http://localhost:3000`.
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
  reply: { raw: ServerResponse; hijack(): unknown };
}

const FORM = 'application/x-www-form-urlencoded';
/** How often the link is printed at most. In ms. */
const PRINT = 60_000;

/** @param leaveOut Told the path, whose requests are not tracked. */
export function createHandler(
  source: HandlerSource,
  options: HandlerOptions = {},
  leaveOut: (path: string) => void = () => {},
): UsageHandler {
  const settings = readHandlerOptions(options);
  leaveOut(settings.path);
  const mount = new Mount(source, settings);
  const handler = (...given: unknown[]): unknown => {
    const [first, second, third] = given as [never, never, never];
    if (isFastify(first)) return register(first, mount, third);
    if (isHono(first)) return mount.hono(first, second);
    if (isKoa(first)) return mount.koa(first, second);
    return mount.node(first, second, third);
  };
  // Express takes a function with four parameters for one of errors, and Fastify looks at their number too.
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
  #responder: Promise<Responder> | undefined;
  #printed = Number.NEGATIVE_INFINITY;

  constructor(source: HandlerSource, settings: HandlerSettings) {
    this.path = settings.path;
    this.#source = source;
    this.#settings = settings;
    this.#access = new Access(settings);
  }

  link(origin: string): string {
    this.#printed = Number.POSITIVE_INFINITY;
    const page = `${origin}${this.path}/`;
    return this.#access.isLocal ? `${page}?token=${this.#access.createLink()}` : page;
  }

  node(
    request: IncomingMessage & { originalUrl?: string; body?: unknown },
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): boolean {
    const url = this.#below(request.originalUrl ?? request.url);
    if (url !== undefined) void this.answer(request, response, url, request.body);
    else next?.();
    return url !== undefined;
  }

  async koa(context: KoaContext, next: () => Promise<unknown>): Promise<unknown> {
    const url = this.#below(context.originalUrl);
    if (url === undefined) return next();
    context.respond = false;
    const { body } = (context as { request?: { body?: unknown } }).request ?? {};
    await this.answer(context.req, context.res, url, body);
    return undefined;
  }

  async hono(context: HonoContext, next: () => Promise<void>): Promise<Response | undefined> {
    const { incoming, outgoing } = context.env as { incoming: IncomingMessage; outgoing: ServerResponse };
    const url = this.#below(incoming.url);
    if (url === undefined) {
      await next();
      return undefined;
    }
    await this.answer(incoming, outgoing, url);
    // What @hono/node-server takes for an answer that was sent past it.
    return new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
  }

  /** Never rejects. */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body?: unknown,
  ): Promise<void> {
    response.on('error', () => {});
    try {
      this.#print(request, url);
      // Loaded when it is first asked: an app that nobody looks at does not pay for it.
      this.#responder ??= import('./respond.ts').then(
        ({ Responder }) => new Responder(this.#source, this.#access, this.#settings),
      );
      await (await this.#responder).answer(request, response, url, body);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else {
        process.stderr.write(`track-usage: the dashboard failed: ${reasonOf(error)}\n`);
        response.writeHead(500, { 'content-type': 'text/plain' }).end('The dashboard failed.');
      }
    }
  }

  /** What of the URL lies behind the path; `undefined` where it lies elsewhere. */
  #below(url = ''): string | undefined {
    if (!url.startsWith(this.path)) return undefined;
    const rest = url.slice(this.path.length);
    return rest === '' || rest.startsWith('/') || rest.startsWith('?') ? rest : undefined;
  }

  /** Who opens the page on this machine finds the way in where the app runs. */
  #print(request: IncomingMessage, url: string): void {
    if (!this.#access.isLocal || url !== '/' || this.#access.refusal(request)) return;
    if (this.#access.hasSession(request) || performance.now() - this.#printed < PRINT) return;
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const link = this.link(`${scheme}://${request.headers.host}`);
    this.#printed = performance.now();
    process.stderr.write(`track-usage: the dashboard, by a link that works once: ${link}\n`);
  }
}

function register(app: FastifyInstance, mount: Mount, done?: (error?: Error) => void): void {
  if (!app.hasContentTypeParser(FORM)) {
    const unread = (_request: unknown, _payload: unknown, parsed: (error: null) => void) => parsed(null);
    app.addContentTypeParser(FORM, unread as never);
  }
  const handler = async (request: FastifyExchange['request'], reply: FastifyExchange['reply']) => {
    reply.hijack();
    const url = request.raw.originalUrl ?? request.raw.url ?? '';
    await mount.answer(request.raw, reply.raw, url.slice(mount.path.length), request.body ?? undefined);
  };
  // The prefix of the plugin may be part of the path.
  const url = mount.path.startsWith(app.prefix) ? mount.path.slice(app.prefix.length) : mount.path;
  for (const pattern of [url, `${url}/*`]) {
    app.route({ method: ['GET', 'HEAD', 'POST'], url: pattern, exposeHeadRoute: false, handler } as never);
  }
  done?.();
}

function isFastify(given: unknown): given is FastifyInstance {
  return typeof (given as Partial<FastifyInstance> | null)?.addContentTypeParser === 'function';
}

function isHono(given: unknown): given is HonoContext {
  const { env, req } = (given ?? {}) as Partial<HonoContext>;
  return typeof req === 'object' && typeof env === 'object' && env !== null && 'incoming' in env;
}

/** Its context has its own request and response beside those of Node. */
function isKoa(given: unknown): given is KoaContext {
  const { request, response, req, res } = (given ?? {}) as Record<string, unknown>;
  return [request, response, req, res].every((part) => typeof part === 'object');
}
