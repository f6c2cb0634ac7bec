import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { UsageQuery } from '../../src/query/query.ts';
import type { Storage } from '../../src/query/storage.ts';
import type { HandlerSource } from '../../src/server/api.ts';
import { createHandler, type UsageHandler } from '../../src/server/handler.ts';
import type { HandlerOptions } from '../../src/server/options.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import type { UsageStatus } from '../../src/writer/app/status.ts';
import { type ClientRequest, type ClientResponse, http1Client } from '../support/client.ts';

export const TOKEN = 'a-token-of-22-letters!';
export const HOST = '127.0.0.1';
export const NOW = Date.parse('2026-11-25T20:36:00Z');
export const ALL_SUMMARIES = STANDARD_SUMMARIES.map(({ name }) => name);

/** Stores records of the site `shop`. */
export async function fillStorage<S extends Storage>(
  storage: S,
  records: readonly TestRecord[],
  timeZone = 'UTC',
): Promise<S> {
  const writer = await openWriter(storage, { site: 'shop', timeZone });
  await writer.apply(new TestJournal('a', storage.summaries, timeZone, 'shop').batch(records));
  await writer.close();
  return storage;
}

export function sourceOf(storage: Storage, overrides: Partial<HandlerSource> = {}): HandlerSource {
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  return { query, site: 'shop', status: () => null, version: '1.2.3', ...overrides };
}

export const emptySource = () => sourceOf(new MemoryStorage({ hooks: ALL_SUMMARIES }));

export interface TestServer {
  handler: UsageHandler;
  server: http.Server;
  port: number;
  request(path: string, options?: Omit<ClientRequest, 'path'>): Promise<ClientResponse>;
  close(): Promise<void>;
}

/** Starts a Node server with the handler in front of an app that responds with `app`. */
export async function serve(
  source: HandlerSource,
  options: HandlerOptions = { public: true },
  host = HOST,
): Promise<TestServer> {
  const handler = createHandler(source, options);
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    if (!handler(request, response)) response.end('app');
  });
  await whenListening(server.listen(0, host));
  const { port } = server.address() as AddressInfo;
  return {
    handler,
    server,
    port,
    async request(path, options = {}) {
      const client = http1Client({ host: host === '0.0.0.0' ? HOST : host, port, secure: false });
      try {
        return await client.request({ path, ...options });
      } finally {
        client.close();
      }
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export async function whenListening(server: Server): Promise<Server> {
  if (!server.listening) await once(server, 'listening');
  return server;
}

export const bearer = (token = TOKEN) => ({ authorization: `Bearer ${token}` });

export const form = (token: string): Omit<ClientRequest, 'path'> => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: `token=${encodeURIComponent(token)}`,
});

/** Returns the cookie that a response sets, as a browser sends it back. */
export function cookieOf({ headers }: ClientResponse): string {
  const [cookie = ''] = [headers['set-cookie'] ?? []].flat();
  return String(cookie).split(';')[0]!;
}

export const jsonOf = ({ body }: ClientResponse) => JSON.parse(body.toString());

/** Returns a status without requests or problems. */
export function statusOf(overrides: Partial<UsageStatus> = {}): UsageStatus {
  return {
    captured: 0,
    journaled: 0,
    journal: { directory: '/srv/secret/journal', state: 'file', slowAppends: 0 },
    dropped: { journal: 0, capture: 0 },
    storages: [],
    freeGeoIp: null,
    writerRestarts: 0,
    lastError: null,
    ...overrides,
  };
}
