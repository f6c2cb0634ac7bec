/**
 * One app, bare or tracked: `side-by-side-app.ts <directory> <bare | name of a scenario>`. It reports its port when it listens,
 * executes commands of its parent (see `AppReport`), and ends by itself when its parent disconnects.
 */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage, type UsageStatus } from '../../src/index.ts';
import { type Scenario, scenarios } from './scenarios.ts';

export interface AppReport {
  port?: number;
  /** Result of `usage.status()`; `undefined` for the bare app. */
  status?: UsageStatus;
  /** Requests that reached the app's handler. */
  handled: number;
  /** Resident memory, in bytes. */
  rss: number;
  /** Heap of the app's thread, in bytes. */
  heap: number;
  /** Uncaught exceptions and unhandled rejections. */
  uncaught: string[];
}

const [directory = '', name = ''] = process.argv.slice(2);
const uncaught: string[] = [];
// Without listeners, errors would end the process. This way, the test can show them.
process.on('uncaughtException', (error) => uncaught.push(String(error?.stack ?? error)));
process.on('unhandledRejection', (error) => uncaught.push(String((error as Error)?.stack ?? error)));

let handled = 0;
const server = http.createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
  handled += 1;
  const pathname = /^[^?]*/.exec(request.url!)![0];
  response.setHeader('x-powered-by', 'the same app');
  if (pathname === '/block') {
    const until = performance.now() + 5_000;
    // Like a handler that computes, but without using the CPU.
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

const sendReport = (port?: number): void => {
  const { rss, heapUsed: heap } = process.memoryUsage();
  const report: AppReport = { handled, rss, heap, uncaught };
  if (port !== undefined) report.port = port;
  if (usage) report.status = usage.status();
  process.send!(report);
};
process.on('message', async (command: 'status' | 'flush' | 'collect') => {
  if (command === 'flush') await usage?.flush({ timeout: 30_000 });
  if (command === 'collect') globalThis.gc?.();
  sendReport();
});
process.on('disconnect', async () => {
  server.close();
  server.closeAllConnections();
  await usage?.close({ timeout: closeTimeout });
  if (uncaught.length > 0) process.exitCode = 1;
});
server.listen(0, '127.0.0.1', () => sendReport((server.address() as { port: number }).port));
