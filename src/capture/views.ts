import { show, TrackUsageError } from '../errors.ts';
import type { Exchange, Request } from './exchange.ts';
import { pathOf } from './target.ts';

/** Which requests are tracked: all but those that are marked, or those alone. */
export const VIEWS = ['exclude', 'include'] as const;
export type Views = (typeof VIEWS)[number];

/** A router of `@koa/router`, or an app of Hono that is part of another. */
export type MarkedRouter =
  | { stack: unknown[]; routes(): unknown }
  | { routes: unknown[]; fetch(...args: never[]): unknown };

/**
 * What `exclude` and `include` mark: a path (`/health`), everything below one (`/admin/*`), a route's pattern as the
 * framework has it (`/users/:id`), paths by a RegExp, a route's handler, or what holds routes: a router of Express or
 * Koa, an app inside another of Express or Hono, a plugin of Fastify.
 */
export type Mark = string | RegExp | ((...args: never[]) => unknown) | MarkedRouter;

/** Requests that are marked; by Flask-Track-Usage's code, only the marks of the mode count. */
export class MarkedViews {
  readonly #mode: Views;
  readonly #texts = new Set<string>();
  readonly #prefixes: string[] = [];
  readonly #patterns: RegExp[] = [];
  readonly #handlers = new Set<unknown>();
  readonly #holders: object[] = [];
  /** Requests that the dashboard answers. */
  readonly #leftOut = new WeakSet<object>();
  #leavesOut = false;
  #any = false;

  constructor(mode: Views) {
    this.#mode = mode;
  }

  /** Adds a mark, which has an effect in its own mode alone. Throws for what is none. */
  add(mode: Views, mark: Mark): void {
    if (typeof mark === 'string' && mark.startsWith('/')) {
      if (mode !== this.#mode) return;
      this.#texts.add(mark);
      if (mark.endsWith('/*')) this.#prefixes.push(mark.slice(0, -1));
    } else if (mark instanceof RegExp) {
      if (mode !== this.#mode) return;
      // With these flags a RegExp goes on where it stopped.
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

  /** Keeps a request from being tracked, whatever the mode: the dashboard answers it. */
  leaveOut(request: Request): void {
    this.#leavesOut = true;
    this.#leftOut.add(request);
  }

  /** Whether the function was marked. */
  has(given: unknown): boolean {
    return this.#handlers.has(given);
  }

  /** Whether the request becomes a record. To be asked when its route is known. */
  tracks(exchange: Exchange): boolean {
    if (this.#leavesOut && this.#leftOut.has(exchange.request)) return false;
    const own = exchange.reader.tracked?.(exchange.request);
    if (own !== undefined) return own;
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
    for (const holder of this.#holders) if (reader.holds?.(holder, request)) return true;
    return this.#handlers.size > 0 && reader.handlers(request).some((handler) => this.#handlers.has(handler));
  }
}

/** The middleware that a router of Koa is mounted by stands for it. Apps of Express have a `router` too. */
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
