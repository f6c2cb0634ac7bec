import type { Request } from './exchange.ts';

type Vars = Record<string, unknown>;

/** What the app notes about its requests. An app that notes nothing pays nothing. */
export class RequestVars {
  readonly #key = Symbol('track-usage vars');
  #used = false;

  /** The object of a request, the same at every call. */
  of(request: Request): Vars {
    this.#used = true;
    const noted = request as Request & { [key: symbol]: Vars | undefined };
    noted[this.#key] ??= {};
    return noted[this.#key]!;
  }

  /** `undefined` where nothing was noted. */
  peek(request: Request): Vars | undefined {
    return this.#used ? (request as Request & { [key: symbol]: Vars | undefined })[this.#key] : undefined;
  }
}

/**
 * The request of Node in what a framework's handlers are given: Express's request is one, Fastify's has it as
 * `raw`, Koa's context and request as `req`, Hono's context in `env`.
 */
export function nodeRequestOf(given: unknown): Request | undefined {
  const { raw, req, env } = (given ?? {}) as { raw?: unknown; req?: unknown; env?: { incoming?: unknown } };
  return [given, raw, req, env?.incoming].find(isNodeRequest);
}

function isNodeRequest(value: unknown): value is Request {
  return typeof value === 'object' && value !== null && Array.isArray((value as Request).rawHeaders);
}
