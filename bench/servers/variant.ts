import type { UsageStatus } from '../../src/index.ts';
import type { Built, Middleware } from './handler.ts';

/** Frameworks whose servers are measured. */
export type Framework = 'node:http' | 'Express 5' | 'Fastify 5' | 'Koa 3' | 'Hono 4';

/** Additions to a server. Each may keep files in `directory`. */
export interface Variant {
  /** Returns the options of the app. */
  options?(directory: string): object;
  /** Returns middleware that runs before the handler. */
  middleware?(directory: string): Middleware;
  /** Adds to the app in the framework's own way, before its routes. */
  plugIn?(app: never, directory: string): unknown;
  /** Tracks the app after its routes have been added. */
  track?(built: Built, directory: string): Promise<Tracking>;
}

/** Access to track-usage. */
export interface Tracking {
  /** Waits until everything is stored, and returns the total number of hits of the server. */
  stored(): Promise<number>;
  status(): UsageStatus;
}
