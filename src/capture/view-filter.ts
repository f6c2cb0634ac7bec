import { show, TrackUsageError } from '../errors.ts';
import type { Exchange, Request } from './exchange.ts';
import { pathOf } from './target.ts';

/** Modes of tracking. */
export const VIEWS = ['exclude', 'include'] as const;
/**
 * Mode of tracking: all requests except those marked with `exclude`, or only those marked with `include`.
 * @useDeclaredType
 */
export type Views = (typeof VIEWS)[number];

/** Router of `@koa/router`, or a nested Hono app. */
export type MarkedRouter =
  | { stack: unknown[]; routes(): unknown }
  | { routes: unknown[]; fetch(...args: never[]): unknown };

/**
 * Mark for `exclude` and `include`: a path (`/health`), everything below a path (`/admin/*`), a route's
 * pattern (`/users/:id`), or a RegExp on paths. Also a route's handler, or a container of routes: a router of
 * Express or Koa, a nested app of Express or Hono, a plugin of Fastify.
 */
export type Mark = string | RegExp | ((...args: never[]) => unknown) | MarkedRouter;

/** Marks of requests. As in Flask-Track-Usage's code, only the marks of the current mode apply. */
export class ViewFilter {
  readonly #mode: Views;
  readonly #texts = new Set<string>();
  readonly #prefixes: string[] = [];
  readonly #patterns: RegExp[] = [];
  readonly #handlers = new Set<unknown>();
  readonly #holders: object[] = [];
  /** Requests to the dashboard. */
  readonly #excluded = new WeakSet<object>();
  #hasExcluded = false;
  #any = false;

  constructor(mode: Views) {
    this.#mode = mode;
  }

  /** Adds a mark, which only has an effect in its own mode. Throws for an invalid mark. */
  add(mode: Views, mark: Mark): void {
    if (typeof mark === 'string' && mark.startsWith('/')) {
      if (mode !== this.#mode) return;
      this.#texts.add(mark);
      if (mark.endsWith('/*')) this.#prefixes.push(mark.slice(0, -1));
    } else if (mark instanceof RegExp) {
      if (mode !== this.#mode) return;
      // With these flags, a RegExp is stateful.
      this.#patterns.push(new RegExp(mark.source, mark.flags.replace(/[gy]/g, '')));
    } else if (isRouter(routerOf(mark))) {
      if (mode !== this.#mode) return;
      this.#holders.push(routerOf(mark) as object);
    } else if (typeof mark === 'function') {
      if (mode !== this.#mode) return;
      this.#handlers.add(mark);
    } else {
      throw new TrackUsageError('OPTION_INVALID', {
        name: mode,
        value: show(mark),
        expected: 'a path or pattern that begins with "/", a RegExp, a handler, a router or a plugin',
      });
    }
    this.#any = true;
  }

  /** Excludes a request to the dashboard, in either mode. */
  exclude(request: Request): void {
    this.#hasExcluded = true;
    this.#excluded.add(request);
  }

  /** Returns whether the function was marked. */
  has(given: unknown): boolean {
    return this.#handlers.has(given);
  }

  /** Returns whether the request becomes a record. Call it when the route is known. */
  tracks(exchange: Exchange): boolean {
    if (this.#hasExcluded && this.#excluded.has(exchange.request)) return false;
    const setting = exchange.reader.tracked?.(exchange.request);
    if (setting !== undefined) return setting;
    if (!this.#any) return this.#mode === 'exclude';
    return this.#isMarked(exchange) === (this.#mode === 'include');
  }

  #isMarked({ request, reader, target }: Exchange): boolean {
    const path = reader.path?.(request, target) ?? pathOf(target);
    if (this.#texts.has(path) || this.#texts.has(reader.route(request))) return true;
    for (const prefix of this.#prefixes) {
      if (path.startsWith(prefix) || path === prefix.slice(0, -1)) return true;
    }
    for (const pattern of this.#patterns) if (pattern.test(path)) return true;
    for (const holder of this.#holders) if (reader.isWithin?.(holder, request)) return true;
    return this.#handlers.size > 0 && reader.handlers(request).some((handler) => this.#handlers.has(handler));
  }
}

/**
 * Returns the router behind the middleware that mounts it in Koa. Express apps have a `router` property too.
 */
function routerOf(mark: unknown): unknown {
  return typeof mark === 'function' && 'router' in mark && !('handle' in mark) ? mark.router : mark;
}

function isRouter(mark: unknown): boolean {
  if (typeof mark !== 'object' || mark === null) return false;
  const { stack, routes, fetch } = mark as { stack?: unknown; routes?: unknown; fetch?: unknown };
  return Array.isArray(stack)
    ? typeof routes === 'function'
    : Array.isArray(routes) && typeof fetch === 'function';
}
