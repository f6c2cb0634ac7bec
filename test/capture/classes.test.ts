import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type CapturedRecord, defineSummary, type RequestClass, TrackUsage } from '../../src/index.ts';
import { readSettings, type TrackUsageOptions } from '../../src/options/tracker-options.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Starts a server that is tracked. */
async function serve(handler: Handler, options: TrackUsageOptions = {}, http2 = false) {
  const errors: Error[] = [];
  const server = http2 ? createHttp2Server() : createServer();
  const classOfKey = defineSummary({ name: 'seen', key: (record) => record.class });
  const usage = new TrackUsage(server, new MemoryStorage({ hooks: ['classes', classOfKey] }), {
    geo: false,
    onError: (error) => errors.push(error),
    ...options,
  });
  server.on('request', handler as () => void);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await usage.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    errors,
    usage,
    async records() {
      await usage.flush();
      return (await usage.getUsage({ limit: 0 })).reverse();
    },
    async send(path: string, { body, ...rest }: { method?: string; headers?: object; body?: string[] } = {}) {
      const sent = request({ port, host: '127.0.0.1', path, agent: false, ...rest } as object);
      for (const piece of body ?? []) sent.write(piece);
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      await text(response);
    },
  };
}

describe('the class of a request', () => {
  test.each<[string, (response: ServerResponse) => void, RequestClass]>([
    ['setHeader', (response) => response.setHeader('Content-Type', 'text/css').end('a'), 'asset'],
    ['writeHead', (response) => response.writeHead(200, { 'content-TYPE': 'image/png' }).end(), 'asset'],
    [
      'writeHead with a reason',
      (response) => response.writeHead(200, 'OK', { 'Content-Type': 'image/png' }).end(),
      'asset',
    ],
    [
      'writeHead with a list',
      (response) => response.writeHead(200, ['Content-Type', 'text/css']).end(),
      'asset',
    ],
    [
      'writeHead after setHeader',
      (response) =>
        response.setHeader('Content-Type', 'text/html').writeHead(200, { 'Content-Type': 'text/css' }).end(),
      'asset',
    ],
    ['a list of values', (response) => response.setHeader('Content-Type', ['text/css']).end(), 'asset'],
    [
      'a streamed body',
      (response) => {
        response.setHeader('Content-Type', 'application/json').write('{');
        response.end('}');
      },
      'api',
    ],
    ['no type', (response) => response.end(), 'page'],
  ])('is that of the Content-Type in HTTP/1: %s', async (_how, handler, expected) => {
    const { send, records } = await serve((_request, response) => handler(response));
    await send('/');
    expect((await records()).map((record) => record.class)).toEqual([expected]);
  });

  test('is that of the Content-Type in HTTP/2, for each response of a connection', async () => {
    const { port, records } = await serve(
      (incoming, response) => {
        if (incoming.url === '/none') response.end();
        else response.writeHead(200, { 'Content-Type': 'text/css' }).end('a');
      },
      {},
      true,
    );
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    for (const path of ['/typed', '/none']) await text(session.request({ ':path': path }).end());
    session.close();
    expect((await records()).map((record) => record.class)).toEqual(['asset', 'page']);
  });

  test('does not carry over to the next response of a connection', async () => {
    const { port, records } = await serve((incoming, response) => {
      if (incoming.url === '/a') response.setHeader('Content-Type', 'text/css');
      response.end();
    });
    const socket = connect(port, '127.0.0.1');
    socket.end('GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n');
    await text(socket);
    expect((await records()).map((record) => record.class)).toEqual(['asset', 'page']);
  });
});

describe('the option classify', () => {
  const byPath: Record<string, unknown> = {
    '/page': 'page',
    '/none': undefined,
    '/null': null,
    '/bad': 'html',
  };

  test('chooses the class, and the default stays without a valid result', async () => {
    const seen: CapturedRecord[] = [];
    const classify = (record: CapturedRecord) => {
      seen.push(record);
      if (record.path === '/broken') throw new Error('no');
      if (record.path === '/promise') return Promise.reject(new Error('no')) as never;
      return byPath[record.path] as RequestClass;
    };
    const { send, records, errors, usage } = await serve(
      (_request, response) => response.setHeader('Content-Type', 'text/css').end(),
      { classify },
    );
    const paths = ['/page', '/none', '/null', '/bad', '/broken', '/promise'];
    for (const path of paths) await send(path);
    const expected = ['page', 'asset', 'asset', 'asset', 'asset', 'asset'];
    expect((await records()).map((record) => record.class)).toEqual(expected);
    // Functions see the default class, and those that run later the chosen one.
    expect(seen.map(({ method, status, received }) => [method, status, received])).toEqual(
      paths.map(() => ['GET', 200, 0]),
    );
    const keys = await usage.getSum('seen', { period: 'day' });
    expect(keys.map(({ key, hits }) => [key, hits])).toEqual([
      ['asset', 5],
      ['page', 1],
    ]);
    expect(new Set(errors.map(({ message }) => message.includes('the option classify')))).toEqual(
      new Set([true]),
    );
  });

  test.each(['page', {}, null, 1])('must be a function: %j', (classify) => {
    expect(() => readSettings({ classify: classify as never })).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    );
  });
});

describe('received bytes', () => {
  const end: Handler = (incoming, response) => void incoming.resume().on('end', () => response.end());

  test('are those of the body, unknown for a chunked one, and 0 without a body', async () => {
    const { send, records } = await serve(end);
    await send('/none');
    await send('/empty', { method: 'POST', headers: { 'Content-Length': 0 } });
    await send('/text', { method: 'POST', headers: { 'Content-Length': 7 }, body: ['ä234', '67'] });
    await send('/chunked', { method: 'POST', body: ['abc', 'def'] });
    expect((await records()).map(({ received }) => received)).toEqual([0, 0, 7, null]);
  });

  test('of a client that did not send its whole body are at most what its connection received', async () => {
    const { port, records } = await serve((_request, response) => response.end());
    const socket = connect(port, '127.0.0.1');
    const head =
      'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 9007199254740991\r\n\r\n';
    socket.write(`${head}abc`);
    await once(socket, 'data');
    socket.destroy();
    const received = (await records())[0]!.received!;
    expect(received).toBeGreaterThanOrEqual(head.length);
    expect(received).toBeLessThanOrEqual(head.length + 3);
  });

  test('in HTTP/2 are those of the header, and unknown without it', async () => {
    const { port, records } = await serve(end, {}, true);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    for (const headers of [{}, { ':method': 'POST', 'content-length': 3 }, { ':method': 'POST' }]) {
      const stream = session.request({ ':path': '/', ...headers }, { endStream: !(':method' in headers) });
      if (':method' in headers) stream.end('abc');
      await text(stream);
    }
    session.close();
    expect((await records()).map(({ received }) => received)).toEqual([0, 3, null]);
  });
});
