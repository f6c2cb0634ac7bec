import type { FastifyApp } from '../../src/frameworks/fastify.ts';
import { peer } from '../support/peers.ts';
import { type Addition, type Built, handled, type Middleware, PATHS, reply } from './handler.ts';

type Raw = Parameters<Middleware>;
interface Reply {
  raw: Raw[1];
  header(name: string, value: string): Reply;
  send(body: string): void;
}
type Fastify = FastifyApp & {
  addHook(
    name: 'onRequest',
    hook: (request: { raw: Raw[0] }, reply: Reply, done: () => void) => void,
  ): unknown;
  get(path: string, handler: (request: { url: string }, reply: Reply) => void): void;
  listen(options: { port: number; host: string }): Promise<unknown>;
  server: ReturnType<Built['listen']>;
};

/** Creates a Fastify 5 app with the benchmark's routes. */
export async function buildFastify({ options, middleware, plugIn }: Addition): Promise<Built> {
  const app = peer<(options: object | undefined) => Fastify>('fastify')(options);
  await plugIn(app);
  if (middleware) {
    app.addHook('onRequest', (request, reply, done) => middleware(request.raw, reply.raw, done));
  }
  for (const path of PATHS) {
    app.get(path, (request, to) => {
      handled.count += 1;
      to.header('Content-Type', 'application/json; charset=utf-8').send(reply(request.url));
    });
  }
  return {
    app,
    listen(port, host) {
      void app.listen({ port, host });
      return app.server;
    },
  };
}
