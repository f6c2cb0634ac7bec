import type { HonoApp } from '../../src/frameworks/hono.ts';
import { peer } from '../support/peers.ts';
import { type Addition, type Built, handled, type Middleware, PATHS, reply } from './handler.ts';

type Raw = Parameters<Middleware>;
interface Context {
  env: { incoming: Raw[0]; outgoing: Raw[1] };
  body(text: string, status: number, headers: Record<string, string>): unknown;
}
type Hono = HonoApp & {
  use(middleware: (context: Context, next: () => Promise<void>) => unknown): void;
  get(path: string, handler: (context: Context) => unknown): void;
};
type Adapter = (options: { fetch: unknown }) => ReturnType<Built['listen']>;

/** Creates a Hono 4 app on `@hono/node-server` with the benchmark's routes. */
export async function buildHono({ middleware, plugIn }: Addition): Promise<Built> {
  const app = new (peer<{ Hono: new () => Hono }>('hono').Hono)();
  const { createAdaptorServer } = peer<{ createAdaptorServer: Adapter }>('@hono/node-server');
  await plugIn(app);
  if (middleware) {
    app.use((context, next) => {
      let following: Promise<void> | undefined;
      middleware(context.env.incoming, context.env.outgoing, () => {
        following = next();
      });
      return following;
    });
  }
  for (const path of PATHS) {
    app.get(path, (context) => {
      handled.count += 1;
      return context.body(reply(context.env.incoming.url!), 200, {
        'Content-Type': 'application/json; charset=utf-8',
      });
    });
  }
  // Tracking replaces `fetch`, so it is looked up when needed.
  return { app, listen: (port, host) => createAdaptorServer({ fetch: app.fetch }).listen(port, host) };
}
