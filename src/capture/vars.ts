import type { Request } from './exchange.ts';

type Vars = Record<string, unknown>;

/** Vars that the app sets on its requests. Costs nothing if the app sets none. */
export class RequestVars {
  readonly #key = Symbol('track-usage vars');
  #used = false;

  /** Returns the vars object of a request, the same for every call. */
  of(request: Request): Vars {
    this.#used = true;
    const noted = request as Request & { [key: symbol]: Vars | undefined };
    noted[this.#key] ??= {};
    return noted[this.#key]!;
  }

  /** Returns the vars, or `undefined` if none were set. */
  peek(request: Request): Vars | undefined {
    return this.#used ? (request as Request & { [key: symbol]: Vars | undefined })[this.#key] : undefined;
  }
}

/**
 * Returns Node's request from the arguments of a framework's handler. Express's request is one; Fastify has
 * it as `raw`, Koa's context and request as `req`, Hono's context in `env`.
 */
export function nodeRequestOf(given: unknown): Request | undefined {
  const { raw, req, env } = (given ?? {}) as { raw?: unknown; req?: unknown; env?: { incoming?: unknown } };
  return [given, raw, req, env?.incoming].find(isNodeRequest);
}

function isNodeRequest(value: unknown): value is Request {
  return typeof value === 'object' && value !== null && Array.isArray((value as Request).rawHeaders);
}
