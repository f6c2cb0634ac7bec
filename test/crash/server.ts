/**
 * A tracked app that tests kill: `server.ts <directory> <node|express|cluster> <mode> [dies]`.
 * Prints `listening PORT` when it accepts requests.
 */
import cluster from 'node:cluster';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import express from 'express';
import { TrackUsage } from '../../src/index.ts';
import type { JournalMode } from '../../src/journal/journal.ts';
import { Storage } from '../../src/query/storage.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [directory = '', kind = 'node', mode = 'append', dies] = process.argv.slice(2);
const WORKERS = 4;

function storage(): Storage {
  const database = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['urls', 'server'] });
  if (!dies) return database;
  // The same storage, but its thread kills the process in the middle of a commit.
  return new Storage({
    label: database.label,
    identity: database.identity,
    module: new URL('./dying-storage.ts', import.meta.url).href,
    options: { ...(database.threadOptions() as object), moment: dies },
    hooks: ['urls', 'server'],
  });
}

function app(): http.Server {
  if (kind === 'node') {
    return http.createServer((request, response) => {
      if (request.url!.startsWith('/late')) {
        // Complete for the client before `end` is called.
        response.writeHead(200, { 'content-length': 4 });
        response.write('late');
        setTimeout(() => response.end(), 5);
      } else response.end('hello');
    });
  }
  const shop = express();
  shop.use('/static', express.static(join(directory, 'files')));
  shop.get('/late{/*rest}', (_request, response) => {
    response.set('content-length', '4');
    response.write('late');
    setTimeout(() => response.end(), 5);
  });
  shop.use((_request, response) => response.send('hello'));
  return http.createServer(shop);
}

if (kind === 'cluster' && cluster.isPrimary) {
  let listening = 0;
  for (let i = 0; i < WORKERS; i++) cluster.fork();
  cluster.on('exit', () => cluster.fork());
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    if (listening === WORKERS) process.stdout.write(`listening ${port}\n`);
  });
} else {
  const server = app();
  const usage = new TrackUsage(server, storage(), {
    journal: { dir: join(directory, 'journals'), mode: mode as JournalMode },
  });
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    writeFileSync(join(directory, `pid-${process.pid}`), '');
    if (!cluster.isWorker) process.stdout.write(`listening ${port}\n`);
  });
  process.on('SIGTERM', async () => {
    server.closeAllConnections();
    await usage.close();
    process.exit(0);
  });
}
