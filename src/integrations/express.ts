/**
 * Middleware of Express, for a part of an app.
 * @module track-usage/express
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { beginExpress } from '../frameworks/express.ts';
import { refuseTrust } from '../frameworks/node.ts';
import type { TrackUsage } from '../tracker/tracker.ts';
import { captureOf } from './usage-source.ts';

/** Express middleware. Structural, so that our types do not import Express. */
export type ExpressMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Middleware of Express 4 and 5, for an app or a router: `app.use(trackUsage(usage))`. Tracks only requests
 * that reach it; `new TrackUsage(app, storages)` tracks all.
 */
export function trackUsage(usage: TrackUsage<object>): ExpressMiddleware {
  const { capture, trust } = captureOf(usage);
  refuseTrust('Express', trust);
  return (request, response, next) => {
    beginExpress(capture, request, response);
    next();
  };
}
