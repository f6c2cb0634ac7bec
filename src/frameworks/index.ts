import type { Capture } from '../capture/capture.ts';
import { show, TrackUsageError } from '../errors.ts';
import { type ExpressApp, isExpressApp, trackExpress, watchRouter } from './express.ts';
import { type FastifyApp, isFastifyApp, trackFastify } from './fastify.ts';
import { type HonoApp, isHonoApp, trackHono } from './hono.ts';
import { isKoaApp, type KoaApp, trackKoa } from './koa.ts';
import { isNodeServer, type NodeServer, nodeReader, refuseTrust, type Trust, trackServer } from './node.ts';

/** A NestJS app, which is based on Express or Fastify. */
export interface NestApp {
  getHttpAdapter(): { getInstance(): unknown };
}

/** App of Express, Fastify, Hono, Koa or NestJS, or a server of node:http, https or http2. Recognized by its shape. */
export type TrackedApp = ExpressApp | FastifyApp | HonoApp | KoaApp | NestApp | NodeServer;

/**
 * Recognizes an app by its shape and tracks its requests. `trust` is for apps without a proxy setting; throws
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

/** Prepares a value passed to `exclude` or `include`, so that its requests can be identified. */
export function prepareMark(mark: unknown): void {
  if (isExpressApp(mark)) watchRouter(mark);
}

/** Returns the app inside a wrapper, or the app itself. */
export function innerApp(app: TrackedApp): object {
  const { getHttpAdapter } = (app ?? {}) as Partial<NestApp>;
  return typeof getHttpAdapter === 'function' ? (getHttpAdapter.call(app).getInstance() as object) : app;
}
