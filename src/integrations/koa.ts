import type { IncomingMessage, ServerResponse } from 'node:http';
import { koaReader, setContext } from '../frameworks/koa.ts';
import { refuseTrust } from '../frameworks/node.ts';
import type { TrackUsage } from '../tracker/tracker.ts';
import { captureOf } from './usage-source.ts';

/** Middleware of Koa, by a structural type: ours need no Koa. */
export type KoaMiddleware = (
  context: { req: IncomingMessage; res: ServerResponse; originalUrl: string },
  next: () => Promise<unknown>,
) => Promise<unknown>;

/**
 * Middleware of Koa 2 and 3: `app.use(trackUsage(usage))`. Only the requests that reach it are tracked;
 * `new TrackUsage(app, storages)` sees all.
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
