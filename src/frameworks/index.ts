import type { Capture } from '../capture/capture.ts';
import { show, TrackUsageError } from '../errors.ts';
import { type ExpressApp, isExpressApp, trackExpress, watchRouter } from './express.ts';
import { type FastifyApp, isFastifyApp, trackFastify } from './fastify.ts';
import { type HonoApp, isHonoApp, trackHono } from './hono.ts';
import { isKoaApp, type KoaApp, trackKoa } from './koa.ts';
import { isNodeServer, type NodeServer, nodeReader, refuseTrust, type Trust, trackServer } from './node.ts';

/** A NestJS app: it stands on one of Express or of Fastify. */
export interface NestApp {
  getHttpAdapter(): { getInstance(): unknown };
}

/** What can be tracked. */
export type App = ExpressApp | FastifyApp | HonoApp | KoaApp | NestApp | NodeServer;

/**
 * Recognizes an app by its shape and captures its requests. `trust` is for apps without a setting for proxies; throws
 * for an app that has one.
 */
export function track(app: unknown, capture: Capture, trust: Trust | undefined): void {
  if (isExpressApp(app)) {
    refuseTrust('Express', trust);
    trackExpress(app, capture);
  } else if (isFastifyApp(app)) {
    refuseTrust('Fastify', trust);
    trackFastify(app, capture);
  } else if (isKoaApp(app)) {
    refuseTrust('Koa', trust);
    trackKoa(app, capture);
  } else if (isHonoApp(app)) trackHono(app, capture, trust);
  else if (isNodeServer(app)) trackServer(app, capture, nodeReader(trust));
  else throw new TrackUsageError('APP_UNKNOWN', { value: show(app) });
}

/** What `exclude` and `include` were given may have to tell which requests are in it. */
export function prepareMark(mark: unknown): void {
  if (isExpressApp(mark)) watchRouter(mark);
}

/** What stands behind an app that is a coat around another; the app itself where it is none. */
export function innerApp(app: App): object {
  const { getHttpAdapter } = (app ?? {}) as Partial<NestApp>;
  return typeof getHttpAdapter === 'function' ? (getHttpAdapter.call(app).getInstance() as object) : app;
}
