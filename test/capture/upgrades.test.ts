import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/frameworks/index.ts';
import { TrackUsage, type UsageRecord } from '../../src/index.ts';
import { type Address, connect, exchange } from '../support/client.ts';
import { closeServer, listen } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const UPGRADE = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const REFUSAL = 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 12\r\n\r\nUnauthorized';
const closing = (socket: Duplex) => socket.resume().on('end', () => socket.end());

type Answer = (request: http.IncomingMessage, socket: Duplex) => unknown;
type Outcome = [status: number, bytes: number];

/** How an app answers a request that is to leave HTTP, and what its client gets. */
const UPGRADES: Record<string, [Answer, Outcome]> = {
  'a handshake': [(_, socket) => socket.write(SWITCH), [101, 0]],
  'a handshake as bytes': [(_, socket) => socket.write(Buffer.from(SWITCH)), [101, 0]],
  'a handshake in latin1': [(_, socket) => socket.write(SWITCH, 'latin1'), [101, 0]],
  'a handshake in pieces': [(_, socket) => [...SWITCH].map((part) => socket.write(part)), [101, 0]],
  'a handshake with the first frame': [
    (_, socket) => socket.write(`${SWITCH}\x81\x02hi`, 'latin1'),
    [101, 0],
  ],
  'a handshake that ends the connection': [(_, socket) => socket.end(SWITCH), [101, 0]],
  'a handshake by pipe': [(_, socket) => Readable.from([SWITCH]).pipe(socket, { end: false }), [101, 0]],
  'a handshake that is corked': [
    (_, socket) => {
      socket.cork();
      socket.write(SWITCH);
      setImmediate(() => socket.uncork());
    },
    [101, 0],
  ],
  'a handshake in another turn': [(_, socket) => setImmediate(() => socket.write(SWITCH)), [101, 0]],
  'a handshake after an interim response': [
    (_, socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${SWITCH}`),
    [101, 0],
  ],
  'a refusal': [(_, socket) => socket.end(REFUSAL), [401, 12]],
  'a refusal, then destroyed': [
    (_, socket) => {
      socket.write(REFUSAL);
      socket.destroy();
    },
    [401, 12],
  ],
  'a refusal in pieces': [
    (_, socket) => {
      socket.write('HTTP/1.1 400 Bad Request\r\nConnec');
      socket.write('tion: close\r\n\r\nBad');
      socket.end(' request');
    },
    [400, 11],
  ],
  'a refusal without a body': [(_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'), [403, 0]],
  'a refusal by a response of the app': [
    (request, socket) => {
      const response = new http.ServerResponse(request);
      response.assignSocket(socket as never);
      response.on('finish', () => socket.end());
      response.writeHead(426, { 'Content-Type': 'text/plain' });
      response.write('up');
      response.end('grade');
    },
    [426, 7],
  ],
};

const NOTHING: Record<string, Answer> = {
  'a socket that is destroyed': (_, socket) => socket.destroy(),
  'a socket that is ended': (_, socket) => socket.end(),
  'a response of the app without a socket': (request, socket) => {
    new http.ServerResponse(request).end('nobody gets this');
    socket.destroy();
  },
};

/** Sends a request that is to leave HTTP; gives what came back when the connection is closed. */
async function ask(address: Address, head = `GET /chat?room=1 HTTP/1.1\r\n${UPGRADE}`): Promise<string> {
  const socket = await connect(address);
  // The other end leaves the connection open after a handshake.
  socket.on('data', (chunk) => {
    if (/^HTTP\/1.1 (101|200)/m.test(chunk.toString('latin1'))) socket.end();
  });
  socket.write(head);
  return text(socket);
}

function outcome({ method, path, status, contentLength }: UsageRecord) {
  return [method, path, status, contentLength];
}

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  let recorder: Recorder;
  let server: http.Server;
  let address: Address;
  let handle: Answer;
  /** Answers requests that stay in HTTP. */
  let respond: http.RequestListener;
  const hello: http.RequestListener = (_, response) => response.end('hello');
  beforeAll(async () => {
    recorder = await Recorder.create({ journal: { mode } });
    respond = hello;
    server = http.createServer((request, response) => respond(request, response));
    for (const event of ['upgrade', 'connect']) {
      server.on(event, (request: http.IncomingMessage, socket: Duplex) => {
        closing(socket).on('error', () => {});
        handle(request, socket);
      });
    }
    recorder.usage.attach(server);
    ({ address } = await listen(server as never));
  });
  afterAll(async () => {
    await closeServer(server);
    await recorder.close();
  });

  test.each(Object.keys(UPGRADES))('%s is one record', async (name) => {
    const [answer, [status, bytes]] = UPGRADES[name]!;
    handle = answer;
    expect(await ask(address)).toContain(`HTTP/1.1 ${status} `);
    const record = await recorder.one();
    expect([...outcome(record), record.query]).toEqual(['GET', '/chat', status, bytes, { room: '1' }]);
  });

  test.each(Object.keys(NOTHING))('%s is a client that got nothing', async (name) => {
    handle = NOTHING[name]!;
    expect(await ask(address)).toBe('');
    expect((await recorder.take(1)).map(outcome)).toEqual([['GET', '/chat', 499, 0]]);
  });

  test('a client that leaves before the outcome', async () => {
    const arrived = Promise.withResolvers<Duplex>();
    handle = (_, socket) => arrived.resolve(socket);
    const socket = await connect(address);
    socket.write(`GET /chat HTTP/1.1\r\n${UPGRADE}`);
    const accepted = await arrived.promise;
    expect(await recorder.take(0)).toEqual([]);
    socket.resetAndDestroy();
    await new Promise((resolve) => accepted.once('close', resolve));
    expect((await recorder.take(1)).map(outcome)).toEqual([['GET', '/chat', 499, 0]]);
  });

  test('what the other protocol writes is left alone', async () => {
    const switched = Promise.withResolvers<Duplex>();
    handle = (_, socket) => {
      socket.write(SWITCH);
      switched.resolve(socket);
    };
    const asked = ask(address);
    const socket = await switched.promise;
    expect(Object.keys(socket).filter((key) => key === 'write' || key === 'end')).toEqual([]);
    await asked;
    await recorder.one();
  });

  test('methods of a socket that the app replaced before are its own again', async () => {
    const replaced = Promise.withResolvers<unknown>();
    const own: unknown[] = [];
    server.once('connection', (socket: Duplex) => {
      const { write } = socket;
      socket.write = (...given: unknown[]) => {
        own.push(given[0]);
        return Reflect.apply(write, socket, given);
      };
      replaced.resolve(socket.write);
    });
    const kept = Promise.withResolvers<unknown>();
    handle = (_, socket) => {
      socket.write(SWITCH);
      kept.resolve(socket.write);
    };
    await ask(address);
    expect(own).toEqual([SWITCH]);
    expect(await kept.promise).toBe(await replaced.promise);
    await recorder.one();
  });

  test('a request, then an upgrade in the same packet', async () => {
    handle = (_, socket) => socket.write(SWITCH);
    const sent = await ask(address, `GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /chat HTTP/1.1\r\n${UPGRADE}`);
    expect(sent.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 101']);
    expect((await recorder.take(2)).map(outcome)).toEqual([
      ['GET', '/', 200, 5],
      ['GET', '/chat', 101, 0],
    ]);
  });

  describe('behind a pipelined request', () => {
    const FIRST = 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n';
    afterEach(() => {
      respond = hello;
    });

    // Node refuses to assign a second response to a socket.
    const written = Object.keys(UPGRADES).filter((name) => name !== 'a refusal by a response of the app');
    test.each(written)('that is pending: %s', async (name) => {
      const [answer, [status, bytes]] = UPGRADES[name]!;
      respond = () => {};
      handle = answer;
      expect(await ask(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`)).toContain(`HTTP/1.1 ${status} `);
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['GET', '/chat', status, bytes],
        ['GET', '/first', 499, 0],
      ]);
    });

    test('that has headers which are not sent yet', async () => {
      respond = (_, response) => response.writeHead(204);
      handle = (_, socket) => socket.end(REFUSAL);
      expect(await ask(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`)).toBe(REFUSAL);
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['GET', '/chat', 401, 12],
        ['GET', '/first', 499, 0],
      ]);
    });

    test('that is pending: CONNECT', async () => {
      respond = () => {};
      handle = (_, socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n');
      await ask(address, `${FIRST}CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n`);
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['CONNECT', '/', 200, 0],
        ['GET', '/first', 499, 0],
      ]);
    });

    /** Ways to answer the earlier request while the upgrade is pending. */
    const LATE: Record<string, [(response: http.ServerResponse) => unknown, Outcome]> = {
      'in one call': [(response) => response.end('hello'), [200, 5]],
      'without a body': [(response) => response.writeHead(204).end(), [204, 0]],
      'in pieces': [
        (response) => {
          response.writeHead(201);
          response.write('hel');
          response.end('lo');
        },
        [201, 5],
      ],
      'with a length': [
        (response) => {
          response.setHeader('Content-Length', 5);
          response.write('hello');
          response.end();
        },
        [200, 5],
      ],
      'after interim responses': [
        (response) => {
          response.writeProcessing();
          response.end('hello');
        },
        [200, 5],
      ],
    };
    test.each(Object.keys(LATE))('that is answered first, %s', async (name) => {
      const [answer, [status, bytes]] = LATE[name]!;
      let first!: http.ServerResponse;
      respond = (_, response) => {
        first = response;
      };
      handle = (_, socket) => {
        first.on('finish', () => socket.write(SWITCH));
        setImmediate(answer, first);
      };
      await ask(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`);
      expect((await recorder.take(2)).map(outcome)).toEqual([
        ['GET', '/first', status, bytes],
        ['GET', '/chat', 101, 0],
      ]);
    });
  });

  test('a response written to the socket out of turn is the one that the client takes it for', async () => {
    const turn = Promise.withResolvers<void>();
    respond = async ({ url, socket }, response) => {
      if (url !== '/second') await turn.promise;
      if (url === '/first') response.end('first');
      else if (url === '/second') {
        socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 6\r\n\r\nsec');
        setImmediate(() => {
          socket.write('ond');
          turn.resolve();
        });
      }
    };
    const socket = await connect(address);
    socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n');
    let received = '';
    for await (const chunk of socket) {
      received += chunk;
      if (received.endsWith('first')) break;
    }
    respond = hello;
    expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 202', 'HTTP/1.1 200']);
    expect((await recorder.take(2)).map(outcome)).toEqual([
      ['GET', '/first', 202, 6],
      ['GET', '/second', 200, 5],
    ]);
  });

  test.each([
    ['HTTP/1.1 200 Connection Established\r\n\r\n', 200, 0],
    ['HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nwho', 407, 3],
    ['HTTP/1.1 502 Bad Gateway\r\n\r\n', 502, 0],
  ])('CONNECT that is answered with %j', async (sent, status, bytes) => {
    handle = (_, socket) => (status === 200 ? socket.write(sent) : socket.end(sent));
    expect(await ask(address, 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n')).toBe(sent);
    const record = await recorder.one();
    expect([record.method, record.url, record.status, record.contentLength]).toEqual([
      'CONNECT',
      'http://b:443',
      status,
      bytes,
    ]);
  });

  test('HTTP inside a tunnel', async () => {
    handle = (request, socket) => {
      if (request.method !== 'CONNECT') return socket.write(SWITCH);
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      return server.emit('connection', socket);
    };
    const socket = await connect(address);
    socket.write('CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n');
    await once(socket, 'data');
    socket.write('GET /inside HTTP/1.1\r\nHost: b\r\n\r\n');
    await once(socket, 'data');
    socket.write(`GET /chat HTTP/1.1\r\n${UPGRADE}`);
    await once(socket, 'data');
    socket.destroy();
    expect((await recorder.take(3)).map(outcome)).toEqual([
      ['CONNECT', '/', 200, 0],
      ['GET', '/inside', 200, 5],
      ['GET', '/chat', 101, 0],
    ]);
  });

  test('two that track one socket, one by the app and one by the server', async () => {
    const other = await Recorder.create({ journal: { mode } });
    const app = express();
    other.usage.attach(app as unknown as App);
    const both = app.listen(0, '127.0.0.1');
    await once(both, 'listening');
    recorder.usage.attach(both as unknown as App);
    both.on('upgrade', (_, socket) => socket.end(REFUSAL));
    const { port } = both.address() as AddressInfo;
    await ask({ host: '127.0.0.1', port, secure: false });
    for (const each of [recorder, other]) {
      expect((await each.take(1)).map(outcome)).toEqual([['GET', '/chat', 401, 12]]);
    }
    await closeServer(both);
    await other.close();
  });

  describe('a handshake in a request handler, without a listener for upgrades', () => {
    let plain: http.Server;
    let at: Address;
    let answer: (request: http.IncomingMessage) => unknown;
    beforeAll(async () => {
      plain = http.createServer((request) => answer(request));
      recorder.usage.attach(plain);
      ({ address: at } = await listen(plain as never));
    });
    afterAll(() => closeServer(plain));

    test.each(Object.keys(UPGRADES).filter((name) => !name.includes('response of the app')))(
      '%s',
      async (name) => {
        const [write, [status, bytes]] = UPGRADES[name]!;
        answer = (request) => write(request, request.socket);
        const socket = await connect(at);
        const close = () => socket.destroy();
        socket.on('data', (chunk) => setImmediate(chunk.includes('101') || !chunk.length ? close : () => {}));
        socket.write(`GET /chat HTTP/1.1\r\n${UPGRADE}`);
        if (name.includes('in pieces') && status === 101) setTimeout(close, 50);
        await once(socket, 'close');
        expect((await recorder.take(1)).map(outcome)).toEqual([['GET', '/chat', status, bytes]]);
      },
    );
  });
});

describe('apps that dispatch an upgrade through their routes', () => {
  let recorder: Recorder;
  beforeAll(async () => {
    recorder = await Recorder.create();
  });
  afterAll(() => recorder.close());

  const upgraded = async (server: http.Server, paths = ['/chat']) => {
    const { port } = server.address() as AddressInfo;
    for (const path of paths) {
      await ask({ host: '127.0.0.1', port, secure: false }, `GET ${path} HTTP/1.1\r\n${UPGRADE}`);
    }
    const records = await recorder.take(paths.length);
    await closeServer(server);
    return records.map((record) => [...outcome(record), record.route]);
  };
  const listening = async (server: http.Server) => {
    await once(server, 'listening');
    return server;
  };

  // What @fastify/websocket does.
  test('Fastify, with a response made by hand', async () => {
    const app = fastify();
    recorder.usage.attach(app as unknown as App);
    app.get('/chat/:room', (request, reply) => {
      reply.hijack();
      request.raw.socket.write(SWITCH);
    });
    app.get('/closed', async (_, reply) => reply.code(401).send('no'));
    app.server.on('upgrade', (request, socket) => {
      closing(socket);
      const response = new http.ServerResponse(request);
      response.assignSocket(socket as never);
      response.on('finish', () => socket.end());
      app.routing(request, response);
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    expect(await upgraded(app.server, ['/chat/1', '/closed', '/elsewhere'])).toEqual([
      ['GET', '/chat/1', 101, 0, '/chat/:room'],
      ['GET', '/closed', 401, 2, '/closed'],
      ['GET', '/elsewhere', 404, 81, null],
    ]);
    await app.close();
  });

  // What express-ws does, before and after the handshake; with and without a server that is tracked too.
  test.each(['before', 'after'])('Express, with a URL of its own, %s the handshake', async (when) => {
    for (const isTracked of [true, false]) {
      const app = express();
      recorder.usage.attach(app as unknown as App);
      app.get('/chat/.websocket', (request) => {
        (request as { wsHandled?: boolean }).wsHandled = true;
        request.socket.write(when === 'before' ? SWITCH : '\x81\x02hi', 'latin1');
      });
      const server = isTracked ? app.listen(0, '127.0.0.1') : http.createServer(app).listen(0, '127.0.0.1');
      server.on('upgrade', (request, socket) => {
        closing(socket);
        if (when === 'after') socket.write(SWITCH);
        request.url += '/.websocket';
        Object.assign(request, { wsHandled: false });
        app(request, new http.ServerResponse(request) as never);
      });
      await listening(server);
      const route = when === 'after' && isTracked ? null : '/chat';
      expect(await upgraded(server)).toEqual([['GET', '/chat', 101, 0, route]]);
    }
  });

  test.each([true, false])('an app and its server both tracked, the server last: %s', async (isLast) => {
    const app = express();
    if (isLast) recorder.usage.attach(app as unknown as App);
    const server = isLast ? app.listen(0, '127.0.0.1') : http.createServer(app).listen(0, '127.0.0.1');
    recorder.usage.attach(server as unknown as App);
    if (!isLast) recorder.usage.attach(app as unknown as App);
    server.on('upgrade', (_, socket) => socket.end(SWITCH));
    await listening(server);
    expect(await upgraded(server)).toEqual([['GET', '/chat', 101, 0, null]]);
  });

  // What koa-websocket does.
  test('Koa, with a context that has no response', async () => {
    const app = new Koa();
    recorder.usage.attach(app as unknown as App);
    const server = app.listen(0, '127.0.0.1');
    server.on('upgrade', (request, socket) => {
      closing(socket);
      socket.write(SWITCH);
      app.createContext(request, undefined as never);
    });
    await listening(server);
    expect(await upgraded(server)).toEqual([['GET', '/chat', 101, 0, null]]);
    expect(recorder.errors).toEqual([]);
  });
});

test('a tunnel over HTTP/2 is recorded when it opens', async () => {
  const recorder = await Recorder.create();
  const server = http2.createServer(() => {});
  server.on('connect', (_request, response: http2.Http2ServerResponse) => response.writeHead(200));
  recorder.usage.attach(server as unknown as App);
  const { address } = await listen(server as never);
  const session = http2.connect(`http://127.0.0.1:${address.port}`);
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'b:443' });
  await once(stream, 'response');
  expect((await recorder.take(1)).map(({ method, status }) => [method, status])).toEqual([['CONNECT', 200]]);
  stream.close();
  session.destroy();
  await closeServer(server as never);
  await recorder.close();
});

test('a socket that is sent to another process', async () => {
  const recorder = await Recorder.create();
  const server = http.createServer();
  recorder.usage.attach(server);
  const child = spawn(process.execPath, ['-e', 'process.on("message", (_, s) => s.end("bye"))'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  server.on('upgrade', (_, socket) => child.send('socket', socket as never));
  const { address } = await listen(server as never);
  const received = await exchange(address, `GET /chat HTTP/1.1\r\n${UPGRADE}`);
  expect(received).toBe('bye');
  expect((await recorder.take(1)).map(outcome)).toEqual([['GET', '/chat', 101, 0]]);
  const exited = once(child, 'exit');
  child.kill();
  await exited;
  // It never counts the socket as closed.
  server.close();
  await recorder.close();
});

describe.each(['append', 'group'])('a process that is killed in the same turn, journal mode %s', (mode) => {
  test.each([
    [`GET /chat HTTP/1.1\r\n${UPGRADE}`, 101, 0],
    [`GET /closed HTTP/1.1\r\n${UPGRADE}`, 401, 2],
    ['CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n', 200, 0],
    ['GET /raw HTTP/1.1\r\nHost: a\r\n\r\n', 200, 3],
  ])('%j', async (head, status, bytes) => {
    const before = await Recorder.create();
    const { directory } = before;
    await before.usage.close();
    const fixture = fileURLToPath(new URL('fixtures/leaving-http.ts', import.meta.url));
    const child = spawn(process.execPath, [fixture, directory, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const [line] = await once(child.stdout, 'data');
    const received = await exchange({ host: '127.0.0.1', port: Number(line), secure: false }, head);
    await exited;
    expect(received).toContain(`HTTP/1.1 ${status} `);
    const recorder = Recorder.open(directory);
    const records = await recorder.adopted(1);
    await recorder.close();
    expect(records.map((record) => [record.status, record.contentLength])).toEqual([[status, bytes]]);
  });
});

test('a TrackUsage that is closed sees no upgrade', async () => {
  const usage = new TrackUsage(null, []);
  const server = http.createServer();
  usage.attach(server as unknown as App);
  server.on('upgrade', (_, socket) => socket.end(SWITCH));
  const { address } = await listen(server as never);
  await usage.close();
  expect(await exchange(address, `GET /chat HTTP/1.1\r\n${UPGRADE}`)).toBe(SWITCH);
  await closeServer(server);
});
