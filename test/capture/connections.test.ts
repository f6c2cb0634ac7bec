import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type http from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/index.ts';
import { connect, exchange, http2Client, parseResponses } from '../support/client.ts';
import { ENGINES, HTTP1_ENGINES, PLAIN_HTTP1, type Site, serve } from '../support/engines.ts';

const range = (length: number) => Array.from({ length }, (_, index) => index);
const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: example.org\r\n${headers}\r\n`;

/** Returns the text received until it ends with `end`. */
async function readUntil(socket: Socket, end: string): Promise<string> {
  let received = '';
  socket.setEncoding('latin1');
  while (!received.endsWith(end)) {
    const [chunk] = await once(socket, 'data');
    received += chunk;
  }
  return received;
}

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  describe.each(ENGINES)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    test('records many requests on one connection', async () => {
      let connections = 0;
      const count = () => {
        connections += 1;
      };
      const opened = engine.protocol === 'HTTP/2.0' || engine.secure ? 'secureConnection' : 'connection';
      site.server.on(engine.protocol === 'HTTP/2.0' ? 'session' : opened, count);
      site.handle = (request, response) => response.end(`this is ${request.url}`);
      for (const i of range(50)) {
        const { status, body } = await site.client.request({ path: `/${i}` });
        expect([status, body.toString()]).toEqual([200, `this is /${i}`]);
      }
      expect(connections).toBe(1);
      expect((await site.recorder.take(50)).map(pathAndBytes)).toEqual(
        range(50).map((i) => [`/${i}`, 200, 9 + String(i).length]),
      );
    });

    test('records successful and failed requests on one connection', async () => {
      site.handle = (request, response) => {
        if (request.url === '/2') response.statusCode = 500;
        response.end();
      };
      for (const i of range(4)) await site.client.request({ path: `/${i}`, method: 'POST', body: 'x' });
      expect((await site.recorder.take(4)).map(pathAndBytes)).toEqual([
        ['/0', 200, 0],
        ['/1', 200, 0],
        ['/2', 500, 0],
        ['/3', 200, 0],
      ]);
    });
  });

  describe.each(HTTP1_ENGINES)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    test.each([20, 100])('records %i pipelined requests, the first of which is slow', async (count) => {
      let seen = 0;
      let respondFirst = () => {};
      site.handle = (request, response) => {
        seen += 1;
        const respond = () => response.end(`this is ${request.url}`);
        if (request.url === '/0') respondFirst = respond;
        else respond();
        if (seen === count) respondFirst();
      };
      const socket = await connect(site.address);
      socket.write(
        range(count)
          .map((i) => get(`/${i}`, i === count - 1 ? 'Connection: close\r\n' : ''))
          .join(''),
      );
      const responses = parseResponses(await readUntil(socket, `this is /${count - 1}`));
      expect(responses.map(({ status, body }) => [status, body])).toEqual(
        range(count).map((i) => [200, `this is /${i}`]),
      );
      expect((await site.recorder.take(count)).map(pathAndBytes).sort(byNumber)).toEqual(
        range(count).map((i) => [`/${i}`, 200, 9 + String(i).length]),
      );
    });

    test('records pipelined responses of several chunks that are written alternately', async () => {
      site.handle = async (request, response) => {
        response.write(`this is `);
        await new Promise(setImmediate);
        response.end(request.url);
      };
      const socket = await connect(site.address);
      socket.write(get('/0') + get('/1') + get('/2', 'Connection: close\r\n'));
      const responses = parseResponses(
        await readUntil(socket, '0\r\n\r\n').then((start) => readRemaining(socket, start, 3)),
      );
      expect(responses.map(({ body }) => body)).toEqual(['this is /0', 'this is /1', 'this is /2']);
      expect((await site.recorder.take(3)).map(pathAndBytes).sort()).toEqual(
        range(3).map((i) => [`/${i}`, 200, 10]),
      );
    });

    test('records 499 for pipelined requests whose connection is reset', async () => {
      const all = Promise.withResolvers<void>();
      let seen = 0;
      site.handle = (request, response) => {
        // Node holds the other responses back until the first is complete.
        if (request.url !== '/0') response.end('hello');
        seen += 1;
        if (seen === 20) all.resolve();
      };
      const socket = await connect(site.address);
      socket.write(
        range(20)
          .map((i) => get(`/${i}`))
          .join(''),
      );
      await all.promise;
      if (engine.secure) socket.destroy();
      else socket.resetAndDestroy();
      const records = (await site.recorder.take(20)).map(pathAndBytes).sort(byNumber);
      // None of the responses was sent.
      expect(records).toEqual(range(20).map((i) => [`/${i}`, 499, 0]));
    });

    test('records 499 for pipelined requests without responses', async () => {
      const all = Promise.withResolvers<void>();
      let seen = 0;
      site.handle = () => {
        seen += 1;
        if (seen === 5) all.resolve();
      };
      const socket = await connect(site.address);
      socket.write(
        range(5)
          .map((i) => get(`/${i}`))
          .join(''),
      );
      await all.promise;
      socket.destroy();
      expect((await site.recorder.take(5)).map(pathAndBytes)).toEqual(range(5).map((i) => [`/${i}`, 499, 0]));
    });

    test('records 499 for a pipelined request of which only 100 (Continue) was sent', async () => {
      const begun = Promise.withResolvers<void>();
      site.handle = (request, response) => {
        if (request.url === '/0') setImmediate(() => response.end('hello'));
      };
      const socket = await connect(site.address);
      socket.write(get('/0') + get('/1', 'Expect: 100-continue\r\n').replace('GET', 'HEAD'));
      let received = '';
      socket.on('data', (data) => {
        received += String(data);
        if (received.includes('100 Continue')) begun.resolve();
      });
      await begun.promise;
      socket.destroy();
      const records = (await site.recorder.take(2)).map(pathAndBytes).sort(byNumber);
      expect(records).toEqual([
        ['/0', 200, 5],
        // Hono completes a response when its handler returns.
        ['/1', engine.name.startsWith('Hono') ? 200 : 499, 0],
      ]);
    });

    test.each([
      ['without keep-alive', 'GET /old HTTP/1.0\r\nHost: a\r\n\r\n', 'HTTP/1.0'],
      ['with Connection: close', get('/old', 'Connection: close\r\n'), 'HTTP/1.1'],
    ])('records a request %s', async (_, message, protocol) => {
      site.handle = (_request, response) => {
        response.write('one');
        response.end('two');
      };
      const [response] = parseResponses(await exchange(site.address, message));
      expect([response?.status, response?.body]).toEqual([200, 'onetwo']);
      const record = await site.recorder.takeOne();
      expect([...pathAndBytes(record), record.protocol]).toEqual(['/old', 200, 6, protocol]);
    });

    test('records requests on concurrent connections', async () => {
      site.handle = (request, response) => setImmediate(() => response.end(request.url));
      const sockets = await Promise.all(range(10).map(() => connect(site.address)));
      await Promise.all(
        sockets.map(async (socket, i) => {
          for (const j of range(5)) {
            const path = `/${i}/${j}`;
            socket.write(get(path));
            expect(await readUntil(socket, path)).toMatch(/^HTTP\/1\.1 200 /);
          }
          socket.destroy();
        }),
      );
      const records = (await site.recorder.take(50)).map(pathAndBytes);
      expect(records.sort()).toEqual(range(10).flatMap((i) => range(5).map((j) => [`/${i}/${j}`, 200, 4])));
    });

    test.each([
      ['text that is not HTTP', 'no HTTP at all\r\n\r\n', 400],
      ['binary data', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
      ['an oversized header', get('/', `X-Large: ${'a'.repeat(20_000)}\r\n`), 431],
      ['a header with a control character', get('/', 'X-Bad: a\x01b\r\n'), 400],
    ])('responds to %s as without tracking, and records nothing', async (_, message, status) => {
      expect(parseResponses(await exchange(site.address, message)).map((r) => r.status)).toEqual([status]);
      expect(await site.recorder.take(0)).toEqual([]);
    });

    // Node does not respond to the garbage while the first response is being sent; Fastify does.
    test('records a valid request that is followed by garbage in the same packet', async () => {
      site.handle = (_request, response) => response.end('hello');
      const responses = parseResponses(await exchange(site.address, `${get('/')}garbage\r\n\r\n`));
      expect(responses.map(({ status }) => status)).toEqual(
        engine.name.startsWith('Fastify') ? [200, 400] : [200],
      );
      expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/', 200, 5]]);
    });

    test('records a valid request that is followed by garbage on the same connection', async () => {
      site.handle = (_request, response) => response.end('hello');
      const socket = await connect(site.address);
      socket.write(get('/'));
      const first = await readUntil(socket, 'hello');
      socket.write('garbage\r\n\r\n');
      const all = first + (await text(socket));
      expect(parseResponses(all).map(({ status }) => status)).toEqual([200, 400]);
      expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/', 200, 5]]);
    });

    test('records an upgrade without a listener as a request', async () => {
      site.handle = (_request, response) => response.end('hello');
      const message = get('/chat', 'Connection: Upgrade, close\r\nUpgrade: websocket\r\n');
      const [response] = parseResponses(await exchange(site.address, message));
      expect([response?.status, response?.body]).toEqual([200, 'hello']);
      expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/chat', 200, 5]]);
    });

    test('records an accepted upgrade once, when it happens', async () => {
      const upgraded = Promise.withResolvers<Duplex>();
      const listener = (request: http.IncomingMessage, socket: Duplex) => {
        const key = request.headers['sec-websocket-key'];
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        upgraded.resolve(socket);
      };
      site.server.once('upgrade', listener);
      const socket = await connect(site.address);
      socket.write(
        get(
          '/chat?room=1',
          'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
        ),
      );
      expect(await readUntil(socket, '\r\n\r\n')).toContain(
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      );
      const record = await site.recorder.takeOne();
      expect([record.method, record.query, ...pathAndBytes(record)]).toEqual([
        'GET',
        { room: '1' },
        '/chat',
        101,
        0,
      ]);
      const closed = once(await upgraded.promise, 'close');
      socket.destroy();
      (await upgraded.promise).destroy();
      await closed;
      expect(await site.recorder.take(0)).toEqual([]);
    });

    test('records nothing for a connection without a request', async () => {
      const socket = await connect(site.address);
      socket.destroy();
      expect(await site.recorder.take(0)).toEqual([]);
      expect(site.recorder.errors).toEqual([]);
    });
  });

  describe.each(PLAIN_HTTP1.filter(({ name }) => name === 'node:http'))('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    test('records an accepted CONNECT', async () => {
      site.server.once('connect', (_request: http.IncomingMessage, socket: Duplex) => {
        socket.end('HTTP/1.1 200 Connection Established\r\n\r\n');
      });
      const sent = await exchange(
        site.address,
        'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n',
      );
      expect(parseResponses(sent).map(({ status }) => status)).toEqual([200]);
      const record = await site.recorder.takeOne();
      expect([record.method, record.url, record.status]).toEqual(['CONNECT', 'http://example.org:443', 200]);
    });

    test('records OPTIONS *', async () => {
      site.handle = (_request, response) => response.writeHead(204).end();
      await exchange(site.address, 'OPTIONS * HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n');
      const record = await site.recorder.takeOne();
      expect([record.method, record.url, record.path]).toEqual(['OPTIONS', 'http://example.org/*', '/*']);
    });

    test('records an absolute request target', async () => {
      await exchange(
        site.address,
        'GET http://other.example/a?b=c HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n',
      );
      expect((await site.recorder.takeOne()).url).toBe('http://other.example/a?b=c');
    });

    test('records the response of the app to an unknown Expect', async () => {
      site.server.once('checkExpectation', (_request: unknown, response: http.ServerResponse) => {
        response.writeHead(417, { Connection: 'close' }).end('no');
      });
      await exchange(site.address, get('/', 'Expect: wonders\r\n'));
      expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/', 417, 2]]);
    });

    test("records Node's response to an unknown Expect", async () => {
      const [response] = parseResponses(
        await exchange(site.address, get('/', 'Expect: wonders\r\nConnection: close\r\n')),
      );
      expect(response?.status).toBe(417);
      expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/', 417, 0]]);
    });
  });
});

describe('HTTP/2', () => {
  const [engine] = ENGINES.filter(({ name }) => name === 'http2 without TLS');
  let site: Site;
  beforeAll(async () => {
    site = await serve(engine!);
  });
  afterAll(() => site.close());

  const connectMethod = async () => {
    const session = http2.connect(`http://127.0.0.1:${site.address.port}`);
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.org:443' });
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    stream.close();
    session.destroy();
    return head[':status'];
  };

  test("records Node's response to CONNECT without a listener", async () => {
    expect(await connectMethod()).toBe(405);
    const record = await site.recorder.takeOne();
    expect([record.method, record.status]).toEqual(['CONNECT', 405]);
  });

  test('records the response of the app to CONNECT', async () => {
    site.server.once('connect', (_request: unknown, response: http2.Http2ServerResponse) => {
      response.writeHead(403);
      response.end();
    });
    expect(await connectMethod()).toBe(403);
    const record = await site.recorder.takeOne();
    expect([record.method, record.status]).toEqual(['CONNECT', 403]);
  });

  test('records a hundred concurrent streams', async () => {
    const client = http2Client(site.address);
    site.handle = (request, response) => setImmediate(() => response.end(request.url));
    const answers = await Promise.all(range(100).map((i) => client.request({ path: `/${i}` })));
    client.close();
    expect(answers.map(({ body }) => body.toString())).toEqual(range(100).map((i) => `/${i}`));
    const records = (await site.recorder.take(100)).map(pathAndBytes);
    expect(records.sort(byNumber)).toEqual(range(100).map((i) => [`/${i}`, 200, 1 + String(i).length]));
  });

  test('does not record a pushed stream separately', async () => {
    site.handle = (request, response) => {
      const pushing = response as unknown as http2.Http2ServerResponse;
      pushing.createPushResponse({ ':path': '/style.css' }, (error, pushed) => {
        if (!error) pushed.end('body { }');
        pushing.end('hello');
      });
      request.resume();
    };
    const session = http2.connect(`http://127.0.0.1:${site.address.port}`);
    session.on('stream', (pushed) => pushed.resume());
    const stream = session.request({ ':path': '/' });
    stream.resume();
    await once(stream, 'close');
    session.destroy();
    expect((await site.recorder.take(1)).map(pathAndBytes)).toEqual([['/', 200, 5]]);
  });
});

function pathAndBytes({ path, status, contentLength }: UsageRecord): [string, number, number] {
  return [path, status, contentLength];
}

function byNumber([a]: [string, number, number], [b]: [string, number, number]): number {
  return Number(a.slice(1)) - Number(b.slice(1));
}

/** Continues to read chunked responses until there are `count`. */
async function readRemaining(socket: Socket, start: string, count: number): Promise<string> {
  let received = start;
  while (received.split('0\r\n\r\n').length - 1 < count) {
    const [chunk] = await once(socket, 'data');
    received += chunk;
  }
  return received;
}
