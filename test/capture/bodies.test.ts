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
  ask?: ClientRequest;
  /** What the client receives: status and body bytes. */
  gets: [status: number, bytes: number];
  /** Engines that can do it. Defaults to all. */
  on?(engine: Engine): boolean;
}

const http1 = ({ protocol }: Engine) => protocol === 'HTTP/1.1';
const isExpress = ({ name }: Engine) => name.startsWith('Express');

const static_ = (): RequestHandler => express.static(directory, { maxAge: 0 });
/** Express's middleware on a request of any server of HTTP/1; what it passes on goes to `then`. */
const run = (make: () => RequestHandler, then: Handler = notFound): Handler => {
  let middleware: RequestHandler | undefined;
  return (request, response) => {
    middleware ??= make();
    middleware(request as never, response as never, (error?: unknown) => {
      const status = (error as { status?: number } | undefined)?.status;
      if (status !== undefined) response.statusCode = status;
      then(request, response);
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
  { name: 'end(string)', handle: (_, res) => res.end('hello'), gets: [200, 5] },
  {
    name: 'end(string) of several bytes a character',
    handle: (_, res) => res.end(TEXT),
    gets: [200, TEXT_BYTES],
  },
  { name: 'end(Buffer)', handle: (_, res) => res.end(Buffer.from(TEXT)), gets: [200, TEXT_BYTES] },
  { name: 'end(Uint8Array)', handle: (_, res) => res.end(new Uint8Array(7)), gets: [200, 7] },
  { name: 'end(string, "latin1")', handle: (_, res) => res.end('äöü', 'latin1'), gets: [200, 3] },
  { name: 'end(string, "hex")', handle: (_, res) => res.end('00ff10', 'hex'), gets: [200, 3] },
  { name: 'end(string, "base64")', handle: (_, res) => res.end('aGVsbG8=', 'base64'), gets: [200, 5] },
  { name: 'end(string, "utf16le")', handle: (_, res) => res.end('abc', 'utf16le'), gets: [200, 6] },
  { name: 'end(string, callback)', handle: (_, res) => res.end('hello', () => {}), gets: [200, 5] },
  {
    name: 'end(string, encoding, callback)',
    handle: (_, res) => res.end('é', 'latin1', () => {}),
    gets: [200, 1],
  },
  { name: 'end(callback)', handle: (_, res) => res.end(() => {}), gets: [200, 0] },
  { name: 'an empty 200', handle: (_, res) => res.end(), gets: [200, 0] },
  { name: 'an empty string', handle: (_, res) => res.end(''), gets: [200, 0] },
  {
    name: 'a status without a body of its own',
    handle: (_, res) => {
      res.statusCode = 404;
      res.end();
    },
    gets: [404, 0],
  },
  {
    name: 'write, write, end',
    handle: (_, res) => {
      res.write('one');
      res.write(Buffer.from('two'));
      res.end();
    },
    gets: [200, 6],
  },
  {
    name: 'write, write, end(chunk), with encodings',
    handle: (_, res) => {
      res.write('é', 'latin1');
      res.write('é');
      res.write('ff', 'hex');
      res.end('é', 'latin1');
    },
    gets: [200, 5],
  },
  {
    name: 'an empty write between others',
    handle: (_, res) => {
      res.write('one');
      res.write('');
      res.end('two');
    },
    gets: [200, 6],
  },
  {
    name: 'writes in several turns',
    handle: async (_, res) => {
      for (let i = 0; i < 10; i++) {
        res.write(`line ${i}\n`);
        await new Promise(setImmediate);
      }
      res.end();
    },
    gets: [200, 70],
  },
  {
    name: 'Transfer-Encoding: chunked in so many words',
    handle: (_, res) => {
      res.setHeader('Transfer-Encoding', 'chunked');
      res.write('hello');
      res.end(' world');
    },
    gets: [200, 11],
    on: http1,
  },
  {
    name: 'Content-Length by setHeader',
    handle: (_, res) => {
      res.setHeader('Content-Length', 5);
      res.end('hello');
    },
    gets: [200, 5],
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
    gets: [201, 9],
  },
  {
    name: 'Content-Length by writeHead(status, flat list)',
    handle: (_, res) => {
      res.writeHead(200, ['Content-Length', '5', 'X-Other', 'a']);
      res.write('hello');
      res.end();
    },
    gets: [200, 5],
  },
  {
    name: 'Content-Length by writeHead(status, reason, object)',
    handle: (_, res) => {
      res.writeHead(200, 'Fine', { 'content-length': 5 });
      res.write('hello');
      res.end();
    },
    gets: [200, 5],
    on: http1,
  },
  {
    name: 'Content-Length: 0',
    handle: (_, res) => {
      res.writeHead(200, { 'Content-Length': 0 });
      res.end();
    },
    gets: [200, 0],
  },
  {
    name: 'a piped file with its length',
    handle: (_, res) => {
      res.setHeader('Content-Length', FILE_BYTES);
      createReadStream(file).pipe(res);
    },
    gets: [200, FILE_BYTES],
  },
  {
    name: 'a piped file without',
    handle: (_, res) => createReadStream(file).pipe(res),
    gets: [200, FILE_BYTES],
  },
  { name: '10 MB with backpressure', handle: writeLarge, gets: [200, LARGE] },
  { name: '10 MB at once', handle: (_, res) => res.end(Buffer.alloc(LARGE)), gets: [200, LARGE] },
  {
    name: 'HEAD of end(body)',
    ask: { method: 'HEAD' },
    handle: (_, res) => res.end('hello'),
    gets: [200, 0],
  },
  {
    name: 'HEAD of write and end',
    ask: { method: 'HEAD' },
    handle: (_, res) => {
      res.writeHead(200, { 'Content-Length': 11 });
      res.write('hello ');
      res.end('world');
    },
    gets: [200, 0],
  },
  {
    name: '204',
    handle: (_, res) => {
      res.statusCode = 204;
      res.end();
    },
    gets: [204, 0],
  },
  {
    name: '204 with a body that nobody gets',
    handle: (_, res) => {
      res.writeHead(204);
      res.end('hello');
    },
    gets: [204, 0],
    on: http1,
  },
  {
    name: '304',
    handle: (_, res) => {
      res.writeHead(304, { ETag: '"a"' });
      res.end();
    },
    gets: [304, 0],
  },
  {
    name: '304 with a body that nobody gets',
    handle: (_, res) => {
      res.statusCode = 304;
      res.end('hello');
    },
    gets: [304, 0],
    on: http1,
  },
  {
    name: 'flushHeaders, then a body',
    handle: async (_, res) => {
      res.flushHeaders();
      await new Promise(setImmediate);
      res.end('hello');
    },
    gets: [200, 5],
  },
  {
    name: 'HEAD, flushHeaders, end',
    ask: { method: 'HEAD' },
    handle: async (_, res) => {
      res.flushHeaders();
      await new Promise(setImmediate);
      res.end();
    },
    gets: [200, 0],
  },
  {
    name: 'writeEarlyHints',
    handle: (_, res) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
      res.end('hello');
    },
    gets: [200, 5],
  },
  {
    name: 'trailers',
    handle: (_, res) => {
      if (res.req.httpVersion === '1.1') res.setHeader('Trailer', 'X-Sum');
      res.write('hello');
      res.addTrailers({ 'X-Sum': '1' });
      res.end();
    },
    gets: [200, 5],
  },
  {
    name: 'a request body sent back',
    ask: { method: 'POST', body: TEXT },
    handle: (req, res) => req.pipe(res),
    gets: [200, TEXT_BYTES],
  },
  {
    name: 'Expect: 100-continue, answered by Node',
    ask: { method: 'POST', headers: { expect: '100-continue' }, body: 'hello' },
    handle: (req, res) => req.pipe(res),
    gets: [200, 5],
  },
  {
    name: 'OPTIONS',
    ask: { method: 'OPTIONS' },
    handle: (_, res) => res.writeHead(204).end(),
    gets: [204, 0],
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
    gets: [200, 6],
  },
  {
    name: 'compression: what the client gets is counted',
    ask: { headers: { 'accept-encoding': 'gzip' } },
    handle: run(compression as never, (_, res) => {
      res.setHeader('Content-Type', 'text/plain');
      res.end('a'.repeat(100_000));
    }),
    gets: [200, 133],
    on: http1,
  },
  {
    name: 'compression in pieces, with flush',
    ask: { headers: { 'accept-encoding': 'gzip' } },
    handle: run(compression as never, async (_, res) => {
      res.setHeader('Content-Type', 'text/plain');
      res.write('a'.repeat(10_000));
      (res as unknown as { flush(): void }).flush();
      await new Promise(setImmediate);
      res.end('b'.repeat(10_000));
    }),
    gets: [200, -1],
    on: http1,
  },
  {
    name: 'express.static',
    ask: { path: '/file.txt' },
    handle: run(static_),
    gets: [200, FILE_BYTES],
    on: http1,
  },
  {
    name: 'express.static, HEAD',
    ask: { path: '/file.txt', method: 'HEAD' },
    handle: run(static_),
    gets: [200, 0],
    on: http1,
  },
  {
    name: 'express.static, Range',
    ask: { path: '/file.txt', headers: { range: 'bytes=100-299' } },
    handle: run(static_),
    gets: [206, 200],
    on: http1,
  },
  {
    name: 'express.static, a range that is not there',
    ask: { path: '/file.txt', headers: { range: 'bytes=9999999-' } },
    handle: run(static_),
    gets: [416, 5],
    on: http1,
  },
  {
    name: 'express.static, not modified',
    ask: { path: '/file.txt', headers: { 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() } },
    handle: run(static_),
    gets: [304, 0],
    on: http1,
  },
  { name: 'res.send', handle: (_, res) => e(res).send(TEXT), gets: [200, TEXT_BYTES], on: isExpress },
  { name: 'res.json', handle: (_, res) => e(res).json({ name: 'Zoë' }), gets: [200, 15], on: isExpress },
  { name: 'res.sendStatus', handle: (_, res) => e(res).sendStatus(418), gets: [418, 12], on: isExpress },
  { name: 'res.redirect', handle: (_, res) => e(res).redirect('/there'), gets: [302, 28], on: isExpress },
  {
    name: 'res.redirect, HEAD',
    ask: { method: 'HEAD' },
    handle: (_, res) => e(res).redirect('/there'),
    gets: [302, 0],
    on: isExpress,
  },
  { name: 'res.sendFile', handle: (_, res) => e(res).sendFile(file), gets: [200, FILE_BYTES], on: isExpress },
  {
    name: 'res.send, not modified',
    ask: { headers: { 'if-none-match': 'W/"5-qvTGHdzF6KLavt4PO0gs2a6pQ00"' } },
    handle: (_, res) => e(res).send('hello'),
    gets: [304, 0],
    on: isExpress,
  },
];

const e = (response: ServerResponse) => response as unknown as express.Response;

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  describe.each(ENGINES)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    test.each(CASES.filter(({ on }) => on?.(engine) ?? true))('$name', async ({ handle, ask, gets }) => {
      site.handle = handle;
      const { status, body } = await site.client.ask(ask);
      expect([status, gets[1] < 0 ? -1 : body.length]).toEqual(gets);
      expect(summary(await site.recorder.take(1))).toEqual([
        [ask?.method ?? 'GET', ask?.path ?? '/', engine.protocol, status, body.length],
      ]);
    });

    test('a response that reached its Content-Length is recorded before end()', async () => {
      const held = Promise.withResolvers<ServerResponse>();
      site.handle = (_, response) => {
        response.setHeader('Content-Length', 5);
        response.write('hello');
        held.resolve(response);
      };
      const pending = site.client.start();
      await pending.received(5);
      expect(summary(await site.recorder.take(1))).toEqual([['GET', '/', engine.protocol, 200, 5]]);
      (await held.promise).end();
      expect((await pending.answer).body.toString()).toBe('hello');
    });

    test('Expect: 100-continue with a listener of the app', async () => {
      const listener = (request: IncomingMessage, response: ServerResponse) => {
        response.writeContinue();
        site.server.emit('request', request, response);
      };
      site.server.on('checkContinue', listener);
      site.handle = (request, response) => request.pipe(response);
      const ask = { method: 'POST', headers: { expect: '100-continue' }, body: 'hello' };
      const answer = await site.client.ask(ask);
      site.server.off('checkContinue', listener);
      expect([answer.status, answer.body.length, answer.information]).toEqual([200, 5, [100]]);
      expect(summary(await site.recorder.take(1))).toEqual([['POST', '/', engine.protocol, 200, 5]]);
    });

    test('the informational responses and trailers arrive as without tracking', async () => {
      site.handle = (request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
        if (request.httpVersion === '1.1') response.setHeader('Trailer', 'X-Sum');
        response.write('hello');
        response.addTrailers({ 'X-Sum': '1' });
        response.end();
      };
      const { information, trailers } = await site.client.ask();
      expect([information, trailers['x-sum']]).toEqual([[103], '1']);
      expect(summary(await site.recorder.take(1))).toEqual([['GET', '/', engine.protocol, 200, 5]]);
    });

    test('nothing else was recorded, and nothing went wrong', async () => {
      expect(await site.recorder.take(0)).toEqual([]);
      expect(site.recorder.errors).toEqual([]);
    });
  });
});

function summary(records: Awaited<ReturnType<Site['recorder']['take']>>) {
  return records.map((r) => [r.method, r.path, r.protocol, r.status, r.contentLength]);
}
