/**
 * A tracked app that tests start, stop and kill: `server.ts <settings as JSON>`. With `workers` it is the primary of
 * a cluster. It reports events as lines of JSON on stdout (see `AppEvent`), and is controlled by signals:
 * SIGHUP: report the status. SIGUSR2: disconnect the worker, or close the server of another process. SIGTERM and
 * SIGINT: close gracefully if `closes` is set.
 */
import cluster from 'node:cluster';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TrackUsage, type UsageStatus } from '../../src/index.ts';
import type { JournalMode } from '../../src/journal/journal.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

export interface Settings {
  directory: string;
  /** Defaults to `journals` in the directory. */
  journals?: string;
  /** Defaults to `usage.db` in the directory. */
  database?: string;
  site?: string;
  mode?: JournalMode;
  /** 0: the process has its own port. */
  port?: number;
  /** Several processes listen on the port, not as a cluster. */
  reusePort?: boolean;
  workers?: number;
  /** Reads every file of the journals this often, as an in-process backup does, ms. */
  reads?: number;
  /** True if SIGTERM and SIGINT close the app gracefully; otherwise they end it. */
  closes?: boolean;
}

export type AppEvent = { pid: number; host: string } & (
  | { event: 'listening'; port: number }
  | { event: 'problem'; message: string }
  | { event: 'status'; status: UsageStatus }
  /** After a graceful stop. */
  | { event: 'closed'; status: UsageStatus }
  /** Of a worker, reported by the primary. */
  | { event: 'exit'; code: number | null; signal: string | null }
);

const settings = JSON.parse(process.argv[2]!) as Settings;
const {
  directory,
  journals = join(directory, 'journals'),
  database = join(directory, 'usage.db'),
} = settings;

function emit(event: { event: AppEvent['event'] } & Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ pid: process.pid, host: hostname(), ...event })}\n`);
}

function primary(workers: number): void {
  let ends = false;
  for (let i = 0; i < workers; i++) cluster.fork();
  cluster.on('exit', ({ process: { pid } }, code, signal) => {
    emit({ event: 'exit', pid, code, signal });
    if (!ends) cluster.fork();
  });
  process.on('SIGTERM', () => {
    ends = true;
    for (const worker of Object.values(cluster.workers!)) worker!.process.kill('SIGTERM');
  });
}

function app(): void {
  let closing = false;
  const server = http.createServer((request, response) => {
    // Required for every graceful stop: `server.close` alone does not end busy connections.
    if (closing) response.setHeader('connection', 'close');
    response.setHeader('x-pid', process.pid);
    if (Number(/\d+$/.exec(request.url!)?.[0]) % 10 !== 0) response.end('hello');
    else {
      response.write('hello, ');
      setTimeout(() => response.end('late'), 5);
    }
  });
  const usage = new TrackUsage(server, new SqliteStorage(database, { hooks: ['server'] }), {
    geo: false,
    site: settings.site ?? 'default',
    journal: { dir: journals, mode: settings.mode ?? 'append' },
    onError: ({ message }) => emit({ event: 'problem', message }),
  });
  const { port = 0, reusePort = false } = settings;
  server.listen({ port, reusePort, host: '127.0.0.1' }, () =>
    emit({ event: 'listening', port: (server.address() as { port: number }).port }),
  );
  process.on('SIGHUP', () => emit({ event: 'status', status: usage.status() }));
  process.on('SIGUSR2', () => {
    closing = true;
    if (cluster.worker) cluster.worker.disconnect();
    else server.close();
  });
  const close = (): void => {
    if (closing) return;
    closing = true;
    server.close(async () => {
      await usage.close();
      emit({ event: 'closed', status: usage.status() });
      if (process.connected) process.disconnect();
    });
  };
  if (settings.reads) setInterval(() => backUp(), settings.reads);
  if (!settings.closes) return;
  process.on('SIGTERM', close);
  process.on('SIGINT', close);
}

function backUp(directory = journals): void {
  try {
    // Without `recursive`, with which Node aborts if a directory is deleted meanwhile.
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) backUp(path);
      else if (entry.isFile()) readFileSync(path);
    }
  } catch {
    // A segment that was stored and deleted meanwhile.
  }
}

if (settings.workers && cluster.isPrimary) primary(settings.workers);
else app();
