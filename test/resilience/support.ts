import http from 'node:http';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Storage, TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';

export const ALL = ['urls', 'remotes', 'user-agents', 'languages', 'server', 'visitors', 'geo'];

/** Starts a tracked server that responds with `hello`. Everything is closed after the test. */
export async function trackedServer(
  options: TrackUsageOptions & { directory?: string; database?: string; storages?: Storage[] } = {},
) {
  const {
    directory = temporaryDirectory(),
    database = join(directory, 'usage.db'),
    storages,
    ...rest
  } = options;
  const errors: Error[] = [];
  const server = http.createServer((_request, response) => response.end('hello'));
  const usage = new TrackUsage(server, storages ?? [new SqliteStorage(database, { hooks: ALL })], {
    cookie: true,
    onError: (error) => errors.push(error),
    ...rest,
    journal: { dir: join(directory, 'journals'), ...rest.journal },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await usage.close({ timeout: 2_000 });
  });
  const { port } = server.address() as { port: number };
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  onTestFinished(() => agent.destroy());
  /** Sends requests and returns the bodies. */
  const get = (path: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      http
        .get({ port, host: '127.0.0.1', path, agent, headers }, (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('end', () => resolve(`${response.statusCode} ${body}`));
        })
        .on('error', reject);
    });
  const getMany = (count: number, path = '/') => Promise.all(Array.from({ length: count }, () => get(path)));
  return { directory, database, server, usage, errors, port, get, getMany };
}

export const codes = (errors: readonly Error[]) => errors.map((error) => (error as { code?: string }).code);

export async function serverHits(usage: TrackUsage): Promise<number> {
  const sums = await usage.getSum('server', { period: 'month' });
  return sums.reduce((sum, { hits }) => sum + hits, 0);
}
