import type { IncomingMessage, ServerResponse } from 'node:http';
import { beginExpress } from '../frameworks/express.ts';
import { refuseTrust } from '../frameworks/node.ts';
import type { TrackUsage } from '../tracker/tracker.ts';
import { captureOf } from './usage-source.ts';

/** Middleware of Express, by a structural type: ours need no Express. */
export type ExpressMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Middleware of Express 4 and 5, for an app or a router: `app.use(trackUsage(usage))`. Only the requests that reach
 * it are tracked; `new TrackUsage(app, storages)` sees all.
 */
export function trackUsage(usage: TrackUsage<object>): ExpressMiddleware {
  const { capture, trust } = captureOf(usage);
  refuseTrust('Express', trust);
  return (request, response, next) => {
    beginExpress(capture, request, response);
    next();
  };
}
