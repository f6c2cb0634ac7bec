import { createServer, type Server } from 'node:http';
import { type Addition, type Built, handled, reply } from './handler.ts';

/** Creates a node:http server. */
export async function buildNode({ middleware, plugIn }: Addition): Promise<Built> {
  const server: Server = createServer((request, response) => {
    if (middleware === undefined) respond();
    else middleware(request, response, respond);

    function respond() {
      handled.count += 1;
      const body = reply(request.url!);
      response.writeHead(200, {
        'Content-Type': 'application/json; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
      });
      response.end(body);
    }
  });
  await plugIn(server);
  return { app: server, listen: (port, host) => server.listen(port, host) };
}
