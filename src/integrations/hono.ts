/**
 * Middleware of Hono, for a part of an app.
 * @module track-usage/hono
 */
import type { Request, RequestReader, Response } from '../capture/exchange.ts';
import { honoReader, type Route, setRoutes } from '../frameworks/hono.ts';
import { trustBy } from '../frameworks/node.ts';
import type { TrackUsage } from '../tracker/tracker.ts';
import { captureOf } from './usage-source.ts';

/** Hono middleware. Structural, so that our types do not import Hono. */
export type HonoMiddleware = (
  context: { env: unknown; req: object },
  next: () => Promise<void>,
) => Promise<void>;

/** Parts of a Hono request used here. */
interface HonoRequest {
  matchedRoutes: Route[];
  path: string;
  param(): Record<string, string>;
}

const REQUEST = Symbol('track-usage Hono request');
type Tracked = Request & { [REQUEST]?: HonoRequest };

/**
 * Middleware of Hono 4 on `@hono/node-server`: `app.use(trackUsage(usage))`. Tracks only requests that reach
 * it; `new TrackUsage(app, storages)` tracks all.
 */
export function trackUsage(usage: TrackUsage<object>): HonoMiddleware {
  const { capture, trust } = captureOf(usage);
  const reader: RequestReader = {
    ...honoReader,
    trusts: trustBy(trust),
    routeParams: (request) => (request as Tracked)[REQUEST]?.param(),
  };
  return (context, next) => {
    const { incoming, outgoing } = (context.env ?? {}) as { incoming?: Tracked; outgoing?: Response };
    if (incoming && outgoing) {
      try {
        const request = context.req as HonoRequest;
        incoming[REQUEST] = request;
        setRoutes(incoming, request.matchedRoutes, request.path);
        capture.begin(incoming, outgoing, incoming.url ?? '', reader);
      } catch (error) {
        capture.unread(incoming, error);
      }
    }
    return next();
  };
}
