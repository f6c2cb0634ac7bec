import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import net, { type AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import express from 'express';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { TrackUsageError } from '../../src/errors.ts';
import type { HandlerSource } from '../../src/server/api.ts';
import { createHandler, type UsageHandler } from '../../src/server/handler.ts';
import type { Queries } from '../../src/server/queries.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { type Address, http1Client, http2Client } from '../support/client.ts';
import { expectErrors } from '../support/expected-errors.ts';
import { TLS } from '../support/tls.ts';
import { emptySource, fillStorage, HOST, sourceOf } from './support.ts';

expectErrors(
  /^track-usage: the dashboard failed: (?:the storage is gone|there is no database|\d+ of \d+ keys were gone)/,
);

/** Downloads that consist of several queries, and the name of the query. */
const DOWNLOADS = [
  ['records', '/records?format=ndjson'],
  ['records', '/records?format=csv'],
  ['top', '/summaries/urls?format=ndjson'],
  ['top', '/summaries/urls?format=csv'],
] as const;

/** Returns a source that fails at every second query. */
function failingSource(): HandlerSource {
  const record = new TestJournal('a', []).batch([{}]).records.record(0);
  let calls = 0;
  const respondOnce = async (answer: object) => {
    calls += 1;
    if (calls % 2 === 0) throw new Error('the storage is gone');
    return { timeZone: 'UTC', ...answer };
  };
  const query = {
    records: () => respondOnce({ records: Array(1_000).fill(record), next: 'more' }),
    top: () => respondOnce({ rows: Array(50_000).fill({ key: 'x', hits: 1 }), count: 60_000 }),
  } as unknown as Queries;
  return { ...emptySource(), query };
}

type AnyServer = http.Server | http2.Http2SecureServer | http2.Http2Server;

async function listen(server: AnyServer, secure: boolean): Promise<Address> {
  await once(server.listen(0, HOST), 'listening');
  onTestFinished(() => void server.close());
  return { host: HOST, port: (server.address() as AddressInfo).port, secure };
}

const listener = (handler: UsageHandler) => (request: object, response: object) =>
  void handler(request as http.IncomingMessage, response as http.ServerResponse);

const withCompression = (handler: UsageHandler) =>
  express()
    .use(compression())
    .use(handler as unknown as express.RequestHandler);

const SERVERS: [name: string, serve: (handler: UsageHandler) => Promise<Address>, http2?: true][] = [
  ['HTTP/1.1', (handler) => listen(http.createServer(listener(handler)), false)],
  ['HTTP/1.1 over TLS', (handler) => listen(https.createServer(TLS, listener(handler)), true)],
  ['gzip', (handler) => listen(http.createServer(withCompression(handler)), false)],
  ['HTTP/2', (handler) => listen(http2.createServer(listener(handler)), false), true],
  ['HTTP/2 over TLS', (handler) => listen(http2.createSecureServer(TLS, listener(handler)), true), true],
];

describe.each(SERVERS)('over %s', (_name, serve, isHttp2) => {
  test.each(DOWNLOADS)('aborts a download if the storage fails midway: %s %s', async (_, path) => {
    const address = await serve(createHandler(failingSource(), { public: true }));
    const client = (isHttp2 ? http2Client : http1Client)(address);
    onTestFinished(() => client.close());
    const headers = { 'accept-encoding': 'gzip' };
    await expect(client.request({ path: `/usage/api/v1${path}`, headers })).rejects.toThrow();
  });

  test('completes a download', async () => {
    const records = Array.from({ length: 2_500 }, (_, n) => ({ date: NOON - n, url: `http://shop/${n}` }));
    const storage = await fillStorage(new MemoryStorage({ hooks: ['urls'] }), records);
    const address = await serve(createHandler(sourceOf(storage), { public: true }));
    const client = (isHttp2 ? http2Client : http1Client)(address);
    onTestFinished(() => client.close());
    const { headers, body } = await client.request({
      path: '/usage/api/v1/records?format=ndjson',
      headers: { 'accept-encoding': 'gzip' },
    });
    const text = String(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
    const urls = text.trimEnd().split('\n');
    expect(urls.map((line) => JSON.parse(line).url)).toEqual(records.map(({ url }) => url));
  });
});

test.each(DOWNLOADS)(
  'resets the connection of an HTTP/1.0 client if the storage fails midway: %s %s',
  async (_, path) => {
    const { port } = await listen(
      http.createServer(listener(createHandler(failingSource(), { public: true }))),
      false,
    );
    const socket = net.connect(port, HOST);
    socket.write(`GET /usage/api/v1${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
    socket.resume();
    const ended = new Promise((resolve) => {
      socket.on('end', () => resolve('end'));
      socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
    });
    expect(await ended).toBe('ECONNRESET');
  },
);

test('aborts a download if the database disappears before the next page', async () => {
  const storage = await fillStorage(
    new MemoryStorage({ hooks: ['urls'] }),
    Array.from({ length: 1_001 }, (_, n) => ({ date: NOON - n })),
  );
  const { query, ...source } = sourceOf(storage);
  const { matchingRecords } = storage.reader;
  storage.reader.matchingRecords = (request) => {
    if (request.after === undefined) return matchingRecords(request);
    throw new TrackUsageError('STORAGE_NOT_FOUND', { value: 'usage.db' });
  };
  const address = await listen(
    http.createServer(listener(createHandler({ ...source, query }, { public: true }))),
    false,
  );
  const client = http1Client(address);
  onTestFinished(() => client.close());
  await expect(client.request({ path: '/usage/api/v1/records?format=ndjson' })).rejects.toThrow();
});

test('aborts a download if keys disappear before the next page', async () => {
  let calls = 0;
  const top = async () => {
    calls += 1;
    const rows = calls === 1 ? Array(50_000).fill({ key: 'x', hits: 1 }) : [];
    return { timeZone: 'UTC', rows, count: calls === 1 ? 60_000 : 0 };
  };
  const source = { ...emptySource(), query: { top } as unknown as Queries };
  const address = await listen(http.createServer(listener(createHandler(source, { public: true }))), false);
  const client = http1Client(address);
  onTestFinished(() => client.close());
  await expect(client.request({ path: '/usage/api/v1/summaries/urls?format=csv' })).rejects.toThrow();
});

test('reports an aborted download on standard error', async () => {
  const written = vi.spyOn(fs, 'writeSync').mockReturnValue(0);
  syncBuiltinESMExports();
  onTestFinished(() => {
    written.mockRestore();
    syncBuiltinESMExports();
  });
  const address = await listen(
    http.createServer(listener(createHandler(failingSource(), { public: true }))),
    false,
  );
  const client = http1Client(address);
  onTestFinished(() => client.close());
  await expect(client.request({ path: '/usage/api/v1/records?format=csv' })).rejects.toThrow();
  expect(written.mock.calls).toEqual([[2, 'track-usage: the dashboard failed: the storage is gone\n']]);
});
