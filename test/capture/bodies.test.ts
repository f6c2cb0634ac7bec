import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import compression from 'compression';
import express, { type RequestHandler } from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../support/client.ts';
import { ENGINES, type Engine, type Handler, type Site, serve } from '../support/engines.ts';
import { expectErrors } from '../support/expected-errors.ts';

// Hono writes the head again after the response to HEAD has ended.
expectErrors(/^Error: Cannot write headers after they are sent/);

const TEXT = 'Grüße, 世界 🎉\n';
const TEXT_BYTES = Buffer.byteLength(TEXT);
const FILE_BYTES = 300_000;
const LARGE = 10 * 1024 * 1024;

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'track-usage-files-'));
  file = join(directory, 'file.txt');
  await writeFile(file, 'x'.repeat(FILE_BYTES));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

interface Case {
  name: string;
  handle: Handler;
  request?: ClientRequest;
  /** Status and body length that the client receives. */
  expected: [status: number, bytes: number];
  /** Returns whether an engine supports the case. Defaults to all engines. */
  supportedBy?(engine: Engine): boolean;
}

const isHttp1 = ({ protocol }: Engine) => protocol === 'HTTP/1.1';
const isExpress = ({ name }: Engine) => name.startsWith('Express');

const serveStatic = (): RequestHandler => express.static(directory, { maxAge: 0 });
/** Runs an Express middleware on any HTTP/1 server. Requests that it passes on go to `next`. */
const withMiddleware = (make: () => RequestHandler, next: Handler = notFound): Handler => {
  let middleware: RequestHandler | undefined;
  return (request, response) => {
    middleware ??= make();
    middleware(request as never, response as never, (error?: unknown) => {
      const status = (error as { status?: number } | undefined)?.status;
      if (status !== undefined) response.statusCode = status;
      next(request, response);
    });
  };
};

function notFound(_request: IncomingMessage, response: ServerResponse): void {
  if (response.statusCode === 200) response.statusCode = 404;
  response.end('sorry');
}

async function writeLarge(_request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'a');
  for (let sent = 0; sent < LARGE; sent += chunk.length) {
    if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
  }
  response.end();
}

const CASES: Case[] = [
  { name: 'end(string)', handle: (_, res) => res.end('hello'), expected: [200, 5] },
  {
    name: 'end(string) with multibyte characters',
    handle: (_, res) => res.end(TEXT),
    expected: [200, TEXT_BYTES],
  },
  { name: 'end(Buffer)', handle: (_, res) => res.end(Buffer.from(TEXT)), expected: [200, TEXT_BYTES] },
  { name: 'end(Uint8Array)', handle: (_, res) => res.end(new Uint8Array(7)), expected: [200, 7] },
  { name: 'end(string, "latin1")', handle: (_, res) => res.end('äöü', 'latin1'), expected: [200, 3] },
  { name: 'end(string, "hex")', handle: (_, res) => res.end('00ff10', 'hex'), expected: [200, 3] },
  { name: 'end(string, "base64")', handle: (_, res) => res.end('aGVsbG8=', 'base64'), expected: [200, 5] },
  { name: 'end(string, "utf16le")', handle: (_, res) => res.end('abc', 'utf16le'), expected: [200, 6] },
  { name: 'end(string, callback)', handle: (_, res) => res.end('hello', () => {}), expected: [200, 5] },
  {
    name: 'end(string, encoding, callback)',
    handle: (_, res) => res.end('é', 'latin1', () => {}),
    expected: [200, 1],
  },
  { name: 'end(callback)', handle: (_, res) => res.end(() => {}), expected: [200, 0] },
  { name: 'an empty 200', handle: (_, res) => res.end(), expected: [200, 0] },
  { name: 'an empty string', handle: (_, res) => res.end(''), expected: [200, 0] },
  {
    name: 'a status without a body',
    handle: (_, res) => {
      res.statusCode = 404;
      res.end();
    },
    expected: [404, 0],
  },
  {
    name: 'write, write, end',
    handle: (_, res) => {
      res.write('one');
      res.write(Buffer.from('two'));
      res.end();
    },
    expected: [200, 6],
  },
  {
    name: 'write, write, end(chunk), with encodings',
    handle: (_, res) => {
      res.write('é', 'latin1');
      res.write('é');
      res.write('ff', 'hex');
      res.end('é', 'latin1');
    },
    expected: [200, 5],
  },
  {
    name: 'an empty write between others',
    handle: (_, res) => {
      res.write('one');
      res.write('');
      res.end('two');
    },
    expected: [200, 6],
  },
  {
    name: 'writes in several turns of the event loop',
    handle: async (_, res) => {
      for (let i = 0; i < 10; i++) {
        res.write(`line ${i}\n`);
        await new Promise(setImmediate);
      }
      res.end();
    },
    expected: [200, 70],
  },
  {
    name: 'an explicit Transfer-Encoding: chunked',
    handle: (_, res) => {
      res.setHeader('Transfer-Encoding', 'chunked');
      res.write('hello');
      res.end(' world');
    },
    expected: [200, 11],
    supportedBy: isHttp1,
  },
  {
    name: 'Content-Length by setHeader',
    handle: (_, res) => {
      res.setHeader('Content-Length', 5);
      res.end('hello');
    },
    expected: [200, 5],
  },
  {
    name: 'Content-Length by writeHead(status, object), in three writes',
    handle: (_, res) => {
      res.writeHead(201, { 'Content-Length': '9', 'X-Other': 'a' });
      res.write('one');
      res.write('two');
      res.write('six');
      res.end();
    },
    expected: [201, 9],
  },
  {
    name: 'Content-Length by writeHead(status, flat list)',
    handle: (_, res) => {
      res.writeHead(200, ['Content-Length', '5', 'X-Other', 'a']);
      res.write('hello');
      res.end();
    },
    expected: [200, 5],
  },
  {
    name: 'Content-Length by writeHead(status, reason, object)',
    handle: (_, res) => {
      res.writeHead(200, 'Fine', { 'content-length': 5 });
      res.write('hello');
      res.end();
    },
    expected: [200, 5],
    supportedBy: isHttp1,
  },
  {
    name: 'Content-Length: 0',
    handle: (_, res) => {
      res.writeHead(200, { 'Content-Length': 0 });
      res.end();
    },
    expected: [200, 0],
  },
  {
    name: 'a piped file with Content-Length',
    handle: (_, res) => {
      res.setHeader('Content-Length', FILE_BYTES);
      createReadStream(file).pipe(res);
    },
    expected: [200, FILE_BYTES],
  },
  {
    name: 'a piped file without Content-Length',
    handle: (_, res) => createReadStream(file).pipe(res),
    expected: [200, FILE_BYTES],
  },
  { name: '10 MB with backpressure', handle: writeLarge, expected: [200, LARGE] },
  { name: '10 MB in one call', handle: (_, res) => res.end(Buffer.alloc(LARGE)), expected: [200, LARGE] },
  {
    name: 'HEAD of end(body)',
    request: { method: 'HEAD' },
    handle: (_, res) => res.end('hello'),
    expected: [200, 0],
  },
  {
    name: 'HEAD of write and end',
    request: { method: 'HEAD' },
    handle: (_, res) => {
      res.writeHead(200, { 'Content-Length': 11 });
      res.write('hello ');
      res.end('world');
    },
    expected: [200, 0],
  },
  {
    name: '204',
    handle: (_, res) => {
      res.statusCode = 204;
      res.end();
    },
    expected: [204, 0],
  },
  {
    name: '204 with a body that is not sent',
    handle: (_, res) => {
      res.writeHead(204);
      res.end('hello');
    },
    expected: [204, 0],
    supportedBy: isHttp1,
  },
  {
    name: '304',
    handle: (_, res) => {
      res.writeHead(304, { ETag: '"a"' });
      res.end();
    },
    expected: [304, 0],
  },
  {
    name: '304 with a body that is not sent',
    handle: (_, res) => {
      res.statusCode = 304;
      res.end('hello');
    },
    expected: [304, 0],
    supportedBy: isHttp1,
  },
  {
    name: 'flushHeaders, then a body',
    handle: async (_, res) => {
      res.flushHeaders();
      await new Promise(setImmediate);
      res.end('hello');
    },
    expected: [200, 5],
  },
  {
    name: 'HEAD, flushHeaders, end',
    request: { method: 'HEAD' },
    handle: async (_, res) => {
      res.flushHeaders();
      await new Promise(setImmediate);
      res.end();
    },
    expected: [200, 0],
  },
  {
    name: 'writeEarlyHints',
    handle: (_, res) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
      res.end('hello');
    },
    expected: [200, 5],
  },
  {
    name: 'trailers',
    handle: (_, res) => {
      if (res.req.httpVersion === '1.1') res.setHeader('Trailer', 'X-Sum');
      res.write('hello');
      res.addTrailers({ 'X-Sum': '1' });
      res.end();
    },
    expected: [200, 5],
  },
  {
    name: 'a request body sent back',
    request: { method: 'POST', body: TEXT },
    handle: (req, res) => req.pipe(res),
    expected: [200, TEXT_BYTES],
  },
  {
    name: 'Expect: 100-continue, answered by Node',
    request: { method: 'POST', headers: { expect: '100-continue' }, body: 'hello' },
    handle: (req, res) => req.pipe(res),
    expected: [200, 5],
  },
  {
    name: 'OPTIONS',
    request: { method: 'OPTIONS' },
    handle: (_, res) => res.writeHead(204).end(),
    expected: [204, 0],
  },
  {
    name: 'cork and uncork around the writes',
    handle: (_, res) => {
      res.cork?.();
      res.write('one');
      res.write('two');
      res.uncork?.();
      res.end();
    },
    expected: [200, 6],
  },
  {
    name: 'compression: the compressed bytes are counted',
    request: { headers: { 'accept-encoding': 'gzip' } },
    handle: withMiddleware(compression as never, (_, res) => {
      res.setHeader('Content-Type', 'text/plain');
      res.end('a'.repeat(100_000));
    }),
    expected: [200, 133],
    supportedBy: isHttp1,
  },
  {
    name: 'compression of several chunks, with flush',
    request: { headers: { 'accept-encoding': 'gzip' } },
    handle: withMiddleware(compression as never, async (_, res) => {
      res.setHeader('Content-Type', 'text/plain');
      res.write('a'.repeat(10_000));
      (res as unknown as { flush(): void }).flush();
      await new Promise(setImmediate);
      res.end('b'.repeat(10_000));
    }),
    expected: [200, -1],
    supportedBy: isHttp1,
  },
  {
    name: 'express.static',
    request: { path: '/file.txt' },
    handle: withMiddleware(serveStatic),
    expected: [200, FILE_BYTES],
    supportedBy: isHttp1,
  },
  {
    name: 'express.static, HEAD',
    request: { path: '/file.txt', method: 'HEAD' },
    handle: withMiddleware(serveStatic),
    expected: [200, 0],
    supportedBy: isHttp1,
  },
  {
    name: 'express.static, Range',
    request: { path: '/file.txt', headers: { range: 'bytes=100-299' } },
    handle: withMiddleware(serveStatic),
    expected: [206, 200],
    supportedBy: isHttp1,
  },
  {
    name: 'express.static, an unsatisfiable range',
    request: { path: '/file.txt', headers: { range: 'bytes=9999999-' } },
    handle: withMiddleware(serveStatic),
    expected: [416, 5],
    supportedBy: isHttp1,
  },
  {
    name: 'express.static, not modified',
    request: {
      path: '/file.txt',
      headers: { 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() },
    },
    handle: withMiddleware(serveStatic),
    expected: [304, 0],
    supportedBy: isHttp1,
  },
  {
    name: 'res.send',
    handle: (_, res) => asExpress(res).send(TEXT),
    expected: [200, TEXT_BYTES],
    supportedBy: isExpress,
  },
  {
    name: 'res.json',
    handle: (_, res) => asExpress(res).json({ name: 'Zoë' }),
    expected: [200, 15],
    supportedBy: isExpress,
  },
  {
    name: 'res.sendStatus',
    handle: (_, res) => asExpress(res).sendStatus(418),
    expected: [418, 12],
    supportedBy: isExpress,
  },
  {
    name: 'res.redirect',
    handle: (_, res) => asExpress(res).redirect('/there'),
    expected: [302, 28],
    supportedBy: isExpress,
  },
  {
    name: 'res.redirect, HEAD',
    request: { method: 'HEAD' },
    handle: (_, res) => asExpress(res).redirect('/there'),
    expected: [302, 0],
    supportedBy: isExpress,
  },
  {
    name: 'res.sendFile',
    handle: (_, res) => asExpress(res).sendFile(file),
    expected: [200, FILE_BYTES],
    supportedBy: isExpress,
  },
  {
    name: 'res.send, not modified',
    request: { headers: { 'if-none-match': 'W/"5-qvTGHdzF6KLavt4PO0gs2a6pQ00"' } },
    handle: (_, res) => asExpress(res).send('hello'),
    expected: [304, 0],
    supportedBy: isExpress,
  },
];

const asExpress = (response: ServerResponse) => response as unknown as express.Response;

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  describe.each(ENGINES)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    test.each(CASES.filter(({ supportedBy }) => supportedBy?.(engine) ?? true))(
      'counts $name',
      async ({ handle, request, expected }) => {
        site.handle = handle;
        const { status, body } = await site.client.request(request);
        expect([status, expected[1] < 0 ? -1 : body.length]).toEqual(expected);
        expect(summary(await site.recorder.take(1))).toEqual([
          [request?.method ?? 'GET', request?.path ?? '/', engine.protocol, status, body.length],
        ]);
      },
    );

    test('records a response that reached its Content-Length before end()', async () => {
      const started = Promise.withResolvers<ServerResponse>();
      site.handle = (_, response) => {
        response.setHeader('Content-Length', 5);
        response.write('hello');
        started.resolve(response);
      };
      const pending = site.client.start();
      await pending.received(5);
      expect(summary(await site.recorder.take(1))).toEqual([['GET', '/', engine.protocol, 200, 5]]);
      (await started.promise).end();
      expect((await pending.response).body.toString()).toBe('hello');
    });

    test('counts the response to Expect: 100-continue with a listener of the app', async () => {
      const listener = (request: IncomingMessage, response: ServerResponse) => {
        response.writeContinue();
        site.server.emit('request', request, response);
      };
      site.server.on('checkContinue', listener);
      site.handle = (request, response) => request.pipe(response);
      const request = { method: 'POST', headers: { expect: '100-continue' }, body: 'hello' };
      const response = await site.client.request(request);
      site.server.off('checkContinue', listener);
      expect([response.status, response.body.length, response.informational]).toEqual([200, 5, [100]]);
      expect(summary(await site.recorder.take(1))).toEqual([['POST', '/', engine.protocol, 200, 5]]);
    });

    test('does not change informational responses and trailers', async () => {
      site.handle = (request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
        if (request.httpVersion === '1.1') response.setHeader('Trailer', 'X-Sum');
        response.write('hello');
        response.addTrailers({ 'X-Sum': '1' });
        response.end();
      };
      const { informational: information, trailers } = await site.client.request();
      expect([information, trailers['x-sum']]).toEqual([[103], '1']);
      expect(summary(await site.recorder.take(1))).toEqual([['GET', '/', engine.protocol, 200, 5]]);
    });

    test('records nothing else and reports no errors', async () => {
      expect(await site.recorder.take(0)).toEqual([]);
      expect(site.recorder.errors).toEqual([]);
    });
  });
});

function summary(records: Awaited<ReturnType<Site['recorder']['take']>>) {
  return records.map((r) => [r.method, r.path, r.protocol, r.status, r.contentLength]);
}
