import http from 'node:http';
import { join } from 'node:path';
import express from 'express';
import { onTestFinished } from 'vitest';
import { METRICS_CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { closeServer, listen } from '../support/engines.ts';

/** Starts an app with routes that is tracked into two databases and serves its metrics. */
export async function shop() {
  const directory = temporaryDirectory();
  const app = express();
  const storages = ['a.db', 'b.db'].map((file) => new SqliteStorage(join(directory, file)));
  const usage = new TrackUsage(app, storages, { journal: { dir: join(directory, 'journals') } });
  app.get('/users/:id', (_request, response) => void response.send('hello'));
  app.post('/orders', (_request, response) => void response.status(201).send('made'));
  app.get('/fails', (_request, response) => void response.status(503).end());
  app.get('/say/:"a word"', (_request, response) => void response.send('"'));
  app.get(
    '/metrics',
    usage.exclude((request: express.Request, response: express.Response) => {
      const openMetrics = request.query.open !== undefined;
      response.set('content-type', openMetrics ? OPENMETRICS_CONTENT_TYPE : METRICS_CONTENT_TYPE);
      response.end(usage.metrics({ openMetrics }));
    }),
  );
  const server = http.createServer(app);
  const { address } = await listen(server);
  onTestFinished(async () => {
    await closeServer(server);
    await usage.close({ timeout: 2_000 });
  });
  const request = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${address.port}${path}`, { method });
    return { type: response.headers.get('content-type'), text: await response.text() };
  };
  return { usage, storages, request, port: address.port };
}

export async function visitPages(request: (path: string, method?: string) => Promise<unknown>) {
  for (let i = 0; i < 5; i++) await request(`/users/${i}`);
  for (let i = 0; i < 3; i++) await request('/orders', 'POST');
  for (let i = 0; i < 2; i++) await request('/fails');
  await request('/say/hello');
  for (let i = 0; i < 4; i++) await request(`/nothing/${i}`);
}

/** Requests and bytes that `visitPages` causes, by route, method and status class. */
export const EXPECTED_VISITS = [
  ['/users/:id', 'GET', '2xx', 5, 25],
  ['/orders', 'POST', '2xx', 3, 12],
  ['/fails', 'GET', '5xx', 2, 0],
  ['/say/:"a word"', 'GET', '2xx', 1, 1],
] as const;
