import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { TrackUsage } from '../../src/index.ts';

export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Parts that a variant adds to an app, before its routes. */
export interface Addition {
  /** Options of the app. */
  options: object | undefined;
  /** Middleware for node:http and Express. The other frameworks' files adapt it. */
  middleware: Middleware | undefined;
  /** Adds to the app in the framework's own way. */
  plugIn(app: object): unknown;
}

/** Result of a framework's file. */
export interface Built {
  /** Argument for TrackUsage. */
  app: NonNullable<ConstructorParameters<typeof TrackUsage>[0]>;
  listen(port: number, host: string): Server;
}

/** Routes of the benchmark. */
export const PATHS = ['/', '/products/:id', '/articles/:slug', '/search', '/api/items/:id'];

/** Number of requests handled. */
export const handled = { count: 0 };

/** Returns a short JSON document. */
export function reply(url: string): string {
  return JSON.stringify({ ok: true, url, items: [1, 2, 3], text: 'a short answer' });
}
