/** Methods that an app replaces on prototypes after it is tracked are called as without tracking. */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import express from 'express';
import Koa from 'koa';
import { expect, onTestFinished, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { TrackUsage } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { temporaryDirectory } from '../journal/support.ts';

function tracked(app: TrackedApp | null): TrackUsage {
  const usage = new TrackUsage(app, new MemoryStorage(), {
    geo: false,
    journal: { dir: temporaryDirectory() },
    onError: (error) => {
      throw error;
    },
  });
  onTestFinished(() => usage.close());
  return usage;
}

/** Counts the calls of a method, and restores it after the test. */
function counted(prototype: object, name: string): () => number {
  const before = Object.getOwnPropertyDescriptor(prototype, name)!;
  let calls = 0;
  Object.defineProperty(prototype, name, {
    ...before,
    value(this: unknown, ...given: unknown[]) {
      calls += 1;
      return Reflect.apply(before.value, this, given);
    },
  });
  onTestFinished(() => void Object.defineProperty(prototype, name, before));
  return () => calls;
}

async function get(server: http.Server, path = '/'): Promise<string> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const request = http.get({ port, host: '127.0.0.1', path, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return `${response.statusCode} ${await text(response)}`;
}

test('Koa: replaced createContext and listen are called', async () => {
  const app = new Koa();
  const usage = tracked(app as never);
  const [contexts, listens] = [counted(Koa.prototype, 'createContext'), counted(Koa.prototype, 'listen')];
  app.use((context) => {
    context.body = 'hello';
  });
  const server = app.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  expect(await get(server)).toBe('200 hello');
  expect([contexts(), listens()]).toEqual([1, 1]);
  // Like koa-websocket with an upgrade that is recorded as one.
  app.createContext(new http.IncomingMessage(undefined as never), undefined as never);
  expect(usage.status()).toMatchObject({ captured: 1, dropped: { capture: 0 } });
});

test('Express: replaced handle of a marked router is called', async () => {
  const app = express();
  const usage = tracked(app);
  const router = usage.exclude(express.Router());
  const handles = counted(express.Router.prototype as object, 'handle');
  router.get('/', (_request, response) => void response.end('hidden'));
  app.use('/hidden', router);
  app.get('/', (_request, response) => void response.end('seen'));
  const server = http.createServer(app);
  onTestFinished(() => void server.close());
  expect(await get(server, '/hidden')).toBe('200 hidden');
  // The app has a router too.
  expect(handles()).toBe(2);
  expect(await get(server)).toBe('200 seen');
  expect(usage.status()).toMatchObject({ captured: 1, dropped: { capture: 0 } });
});

test('HTTP/2: replaced methods of responses are called, also of a subclass', async () => {
  class Own extends http2.Http2ServerResponse {}
  for (const Http2ServerResponse of [http2.Http2ServerResponse, Own]) {
    const server = http2.createServer({ Http2ServerResponse }, (_request, response) => {
      response.writeHead(200);
      response.write('a');
      response.end('b');
    });
    const usage = tracked(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    expect(await text(client.request())).toBe('ab');
    const calls = ['writeHead', 'write', 'end'].map((name) =>
      counted(http2.Http2ServerResponse.prototype, name),
    );
    expect(await text(client.request())).toBe('ab');
    // Node's `end` calls `write`.
    expect(calls.map((count) => count())).toEqual([1, 2, 1]);
    await usage.flush();
    expect(await usage.getUsage()).toMatchObject(Array(2).fill({ status: 200, contentLength: 2 }));
  }
});
