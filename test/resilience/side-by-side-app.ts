/**
 * One app, bare or tracked: `side-by-side-app.ts <directory> <bare | name of a scenario>`. It says its port when it listens,
 * answers questions of its parent (see `Told`), and ends by itself when its parent disconnects.
 */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage, type UsageStatus } from '../../src/index.ts';
import { type Scenario, scenarios } from './scenarios.ts';

export interface Told {
  port?: number;
  /** What `usage.status()` says; not of the bare app. */
  status?: UsageStatus;
  /** Requests that reached the app's handler. */
  handled: number;
  /** Bytes. */
  rss: number;
  /** Of the app's thread, in bytes. */
  heap: number;
  /** Failures that nobody caught. */
  uncaught: string[];
}

const [directory = '', name = ''] = process.argv.slice(2);
const uncaught: string[] = [];
// Without listeners they would end the process; this way the test can say what it was.
process.on('uncaughtException', (error) => uncaught.push(String(error?.stack ?? error)));
process.on('unhandledRejection', (error) => uncaught.push(String((error as Error)?.stack ?? error)));

let handled = 0;
const server = http.createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
  handled += 1;
  const pathname = /^[^?]*/.exec(request.url!)![0];
  response.setHeader('x-powered-by', 'the same app');
  if (pathname === '/block') {
    const until = performance.now() + 5_000;
    // As a handler does that computes, but for the other processes on the machine.
    while (performance.now() < until) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    response.end('at last');
  } else if (pathname.startsWith('/stream')) {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write(`first of ${pathname}, `);
    setImmediate(() => response.end('last'));
  } else if (pathname.startsWith('/gone')) {
    response.writeHead(404, 'Not Here', { 'content-length': 4 });
    response.end('gone');
  } else {
    response.setHeader('etag', '"1"');
    response.end(`hello ${pathname.slice(0, 100)}`);
  }
});

let usage: TrackUsage | undefined;
let closeTimeout = 10_000;
if (name !== 'bare') {
  const { options, storages, timeout = closeTimeout } = (scenarios as Record<string, Scenario>)[name]!;
  closeTimeout = timeout;
  const { journal, ...rest } = options ?? {};
  usage = new TrackUsage(server, storages(directory), {
    geo: false,
    ...rest,
    journal: { dir: join(directory, 'journals'), ...journal },
  });
}

const tell = (port?: number): void => {
  const { rss, heapUsed: heap } = process.memoryUsage();
  const told: Told = { handled, rss, heap, uncaught };
  if (port !== undefined) told.port = port;
  if (usage) told.status = usage.status();
  process.send!(told);
};
process.on('message', async (question: 'status' | 'flush' | 'collect') => {
  if (question === 'flush') await usage?.flush({ timeout: 30_000 });
  if (question === 'collect') globalThis.gc?.();
  tell();
});
process.on('disconnect', async () => {
  server.close();
  server.closeAllConnections();
  await usage?.close({ timeout: closeTimeout });
  if (uncaught.length > 0) process.exitCode = 1;
});
server.listen(0, '127.0.0.1', () => tell((server.address() as { port: number }).port));
