import type { UsageStatus } from '../../src/index.ts';
import type { Built, Middleware } from './handler.ts';

/** Frameworks whose servers are measured. */
export type Framework = 'node:http' | 'Express 5' | 'Fastify 5' | 'Koa 3' | 'Hono 4';

/** What is added to a server. Each part may keep files in `directory`. */
export interface Variant {
  /** What the app is made with. */
  options?(directory: string): object;
  /** Goes before the handler. */
  middleware?(directory: string): Middleware;
  /** Adds to the app in its framework's own way, before it has routes. */
  plugIn?(app: never, directory: string): unknown;
  /** Is given the app when it has its routes. */
  track?(built: Built, directory: string): Promise<Tracking>;
}

/** How to ask track-usage. */
export interface Tracking {
  /** Waits until all is stored and says how many hits the whole server has. */
  stored(): Promise<number>;
  status(): UsageStatus;
}
