/**
 * Middleware of Koa, for a part of an app.
 * @module track-usage/koa
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { koaReader, setContext } from '../frameworks/koa.ts';
import { refuseTrust } from '../frameworks/node.ts';
import type { TrackUsage } from '../tracker/tracker.ts';
import { captureOf } from './usage-source.ts';

/** Koa middleware. Structural, so that our types do not import Koa. */
export type KoaMiddleware = (
  context: { req: IncomingMessage; res: ServerResponse; originalUrl: string },
  next: () => Promise<unknown>,
) => Promise<unknown>;

/**
 * Middleware of Koa 2 and 3: `app.use(trackUsage(usage))`. Tracks only requests that reach it; `new
 * TrackUsage(app, storages)` tracks all.
 */
export function trackUsage(usage: TrackUsage<object>): KoaMiddleware {
  const { capture, trust } = captureOf(usage);
  refuseTrust('Koa', trust);
  return (context, next) => {
    try {
      setContext(context.req, context);
      capture.begin(context.req, context.res, context.originalUrl, koaReader);
    } catch (error) {
      capture.unread(context.req, error);
    }
    return next();
  };
}
