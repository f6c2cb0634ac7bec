import { createServer, type Server } from 'node:http';
import { type Built, handled, type Middleware, reply } from './handler.ts';

/** A server of node:http. */
export function buildNode(middleware: Middleware | undefined): Built {
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
  return { app: server, listen: (port, host) => server.listen(port, host) };
}
