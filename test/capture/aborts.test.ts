import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/index.ts';
import { connect, http2Client, parseResponses } from '../support/client.ts';
import { ENGINES, type Handler, type Site, serve } from '../support/engines.ts';

/** Destroys the connection of an HTTP/1 request, or the stream of an HTTP/2 request. */
function drop(request: IncomingMessage): void {
  if ('stream' in request) (request as unknown as Http2ServerRequest).stream.destroy();
  else request.destroy();
}

/** Handlers that abort their response. No client receives it completely. */
const ABORTS: {
  name: string;
  handle: Handler;
  record: [status: number, bytes: number];
  /** Record with HTTP/2, if it differs. */
  http2Record?: [status: number, bytes: number];
}[] = [
  { name: 'res.destroy()', handle: (_, res) => res.destroy(), record: [499, 0] },
  { name: 'req.destroy()', handle: drop, record: [499, 0] },
  {
    name: 'res.destroy() after writeHead, which sends nothing in HTTP/1',
    handle: (_, res) => {
      res.writeHead(200, { 'Content-Length': 5 });
      res.destroy();
    },
    record: [499, 0],
    http2Record: [200, 0],
  },
  {
    name: 'res.destroy() after flushHeaders',
    handle: (_, res) => {
      res.statusCode = 202;
      res.flushHeaders();
      res.destroy();
    },
    record: [202, 0],
  },
  {
    name: 'res.destroy() during the body',
    handle: (_, res) => {
      res.write('a'.repeat(100));
      res.destroy();
    },
    record: [200, 100],
  },
  {
    name: 'req.destroy() before Content-Length is reached',
    handle: (req, res) => {
      res.writeHead(200, { 'Content-Length': 1000 });
      res.write('a'.repeat(100));
      drop(req);
    },
    record: [200, 100],
  },
  {
    name: 'req.destroy(), then end(body)',
    handle: (req, res) => {
      drop(req);
      res.end('hello');
    },
    record: [499, 0],
  },
  {
    name: 'res.destroy(), then end(body)',
    handle: (_, res) => {
      res.destroy();
      res.end('hello');
    },
    record: [499, 0],
  },
  {
    name: 'req.destroy() during the body, then write and end',
    handle: (req, res) => {
      res.on('error', () => {});
      res.write('a'.repeat(100));
      drop(req);
      res.write('b');
      res.end('c');
    },
    record: [200, 100],
  },
];

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  describe.each(ENGINES)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    const records = async (count: number) => (await site.recorder.take(count)).map(statusAndBytes);

    /** Resolves with the next request and its response after `handle` has been called with them. */
    const nextRequest = (handle: Handler) => {
      const { promise, resolve } = Promise.withResolvers<[IncomingMessage, ServerResponse]>();
      site.handle = (request, response) => {
        handle(request, response);
        resolve([request, response]);
      };
      return promise;
    };

    test('records 499 if the client disconnects before the headers', async () => {
      const arrived = nextRequest(() => {});
      const pending = site.client.start();
      const [, response] = await arrived;
      const closed = once(response, 'close');
      pending.abort();
      await closed;
      expect(await records(1)).toEqual([[499, 0]]);
      response.end('too late');
      expect(await records(0)).toEqual([]);
    });

    test('counts the bytes sent if the client disconnects during a stream', async () => {
      const arrived = nextRequest((_, response) => response.write('a'.repeat(1000)));
      const pending = site.client.start();
      const [, response] = await arrived;
      await pending.received(1000);
      const closed = once(response, 'close');
      pending.abort();
      await closed;
      expect(await records(1)).toEqual([[200, 1000]]);
      response.on('error', () => {});
      response.end('too late');
      expect(await records(0)).toEqual([]);
    });

    test('counts the bytes sent if the client disconnects before Content-Length is reached', async () => {
      const arrived = nextRequest((_, response) => {
        response.writeHead(206, { 'Content-Length': 5000 });
        response.write('a'.repeat(1000));
        response.write('b'.repeat(1000));
      });
      const pending = site.client.start();
      const [, response] = await arrived;
      await pending.received(2000);
      const closed = once(response, 'close');
      pending.abort();
      await closed;
      expect(await records(1)).toEqual([[206, 2000]]);
    });

    test.each(ABORTS)(
      'records an aborted response: $name',
      async ({ handle, record, http2Record = record }) => {
        site.handle = handle;
        const response = await site.client.request().catch(() => undefined);
        // An HTTP/2 stream may be reset without an error, after data was sent.
        if (engine.protocol === 'HTTP/1.1') expect(response).toBeUndefined();
        expect(await records(1)).toEqual([engine.protocol === 'HTTP/2.0' ? http2Record : record]);
      },
    );

    test('serves the next request normally', async () => {
      site.handle = (_, response) => response.end('hello');
      expect((await site.client.request()).body.toString()).toBe('hello');
      expect(await records(1)).toEqual([[200, 5]]);
      expect(site.recorder.errors).toEqual([]);
    });

    if (engine.protocol === 'HTTP/1.1')
      test('records the whole response if the socket is destroyed after end()', async () => {
        site.handle = (request, response) => {
          response.end('hello');
          request.socket.destroy();
        };
        const socket = await connect(site.address);
        let received = '';
        socket.setEncoding('latin1').on('data', (chunk) => {
          received += chunk;
        });
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await once(socket, 'close');
        // Over TLS, Node itself loses data that was not passed to the kernel yet.
        if (!engine.secure) expect(parseResponses(received).map(({ body }) => body)).toEqual(['hello']);
        expect(await records(1)).toEqual([[200, 5]]);
      });

    if (engine.protocol === 'HTTP/2.0')
      test('records the open streams of a session that the client destroys', async () => {
        const client = http2Client(site.address);
        let arrived = 0;
        const all = Promise.withResolvers<void>();
        site.handle = (_, response) => {
          if (arrived === 1) response.write('some');
          if (++arrived === 3) all.resolve();
        };
        for (let i = 0; i < 3; i++) client.start();
        await all.promise;
        client.close();
        expect((await records(3)).sort()).toEqual([
          [200, 4],
          [499, 0],
          [499, 0],
        ]);
      });

    if (engine.protocol === 'HTTP/2.0')
      test('records the open stream of a session that the app destroys', async () => {
        const client = http2Client(site.address);
        site.handle = (request) => (request as unknown as Http2ServerRequest).stream.session?.destroy();
        await expect(client.request()).rejects.toThrow();
        expect(await records(1)).toEqual([[499, 0]]);
      });
  });
});

function statusAndBytes({ status, contentLength }: UsageRecord): [number, number] {
  return [status, contentLength];
}
