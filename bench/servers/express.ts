import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExpressApp } from '../../src/frameworks/express.ts';
import { peer } from '../support/peers.ts';
import { type Addition, type Built, handled, type Middleware, PATHS, reply } from './handler.ts';

type Handler = (request: IncomingMessage, response: ServerResponse & { send(body: string): void }) => void;
type Express = ExpressApp & {
  use(middleware: Middleware): void;
  get(path: string, handler: Handler): void;
};

/** Creates an Express 5 app with the benchmark's routes. */
export async function buildExpress({ middleware, plugIn }: Addition): Promise<Built> {
  const app = peer<() => Express>('express')();
  await plugIn(app);
  if (middleware) app.use(middleware);
  const respond: Handler = (request, response) => {
    handled.count += 1;
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.send(reply(request.url!));
  };
  for (const path of PATHS) app.get(path, respond);
  // Tracking replaces `listen` and `handle`, so they are looked up when called.
  return { app, listen: (port, host) => app.listen(port, host) as ReturnType<Built['listen']> };
}
