import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { TrackUsage } from '../../src/index.ts';

export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** What a variant adds to an app, before its routes. */
export interface Addition {
  /** What the app is made with. */
  options: object | undefined;
  /** As node:http and Express have it; the other frameworks' files adapt it. */
  middleware: Middleware | undefined;
  /** Adds to the app in its framework's own way. */
  plugIn(app: object): unknown;
}

/** What a framework's file makes. */
export interface Built {
  /** What TrackUsage gets. */
  app: NonNullable<ConstructorParameters<typeof TrackUsage>[0]>;
  listen(port: number, host: string): Server;
}

/** The routes that the load asks for. */
export const PATHS = ['/', '/products/:id', '/articles/:slug', '/search', '/api/items/:id'];

/** Requests that the server handled. */
export const handled = { count: 0 };

/** A short JSON document. */
export function reply(url: string): string {
  return JSON.stringify({ ok: true, url, items: [1, 2, 3], text: 'a short answer' });
}
