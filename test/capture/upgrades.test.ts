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
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { TrackUsage, type UsageRecord } from '../../src/index.ts';
import { type Address, connect, exchange } from '../support/client.ts';
import { closeServer, listen } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

const UPGRADE = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const REFUSAL = 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 12\r\n\r\nUnauthorized';
const endWithClient = (socket: Duplex) => socket.resume().on('end', () => socket.end());

type UpgradeHandler = (request: http.IncomingMessage, socket: Duplex) => unknown;
type Outcome = [status: number, bytes: number];

/** Responses of an app to an upgrade, and the status and body length that the client receives. */
const UPGRADES: Record<string, [UpgradeHandler, Outcome]> = {
  'a handshake': [(_, socket) => socket.write(SWITCHING), [101, 0]],
  'a handshake in a Buffer': [(_, socket) => socket.write(Buffer.from(SWITCHING)), [101, 0]],
  'a handshake in latin1': [(_, socket) => socket.write(SWITCHING, 'latin1'), [101, 0]],
  'a handshake in several writes': [
    (_, socket) => [...SWITCHING].map((part) => socket.write(part)),
    [101, 0],
  ],
  'a handshake with the first frame': [
    (_, socket) => socket.write(`${SWITCHING}\x81\x02hi`, 'latin1'),
    [101, 0],
  ],
  'a handshake that ends the connection': [(_, socket) => socket.end(SWITCHING), [101, 0]],
  'a handshake by pipe': [(_, socket) => Readable.from([SWITCHING]).pipe(socket, { end: false }), [101, 0]],
  'a handshake that is corked': [
    (_, socket) => {
      socket.cork();
      socket.write(SWITCHING);
      setImmediate(() => socket.uncork());
    },
    [101, 0],
  ],
  'a handshake in a later turn': [(_, socket) => setImmediate(() => socket.write(SWITCHING)), [101, 0]],
  'a handshake after an interim response': [
    (_, socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${SWITCHING}`),
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
  'a refusal in several writes': [
    (_, socket) => {
      socket.write('HTTP/1.1 400 Bad Request\r\nConnec');
      socket.write('tion: close\r\n\r\nBad');
      socket.end(' request');
    },
    [400, 11],
  ],
  'a refusal without a body': [(_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'), [403, 0]],
  'a refusal by a ServerResponse of the app': [
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

const UNANSWERED: Record<string, UpgradeHandler> = {
  'a socket that is destroyed': (_, socket) => socket.destroy(),
  'a socket that is ended': (_, socket) => socket.end(),
  'a ServerResponse of the app without a socket': (request, socket) => {
    new http.ServerResponse(request).end('never sent');
    socket.destroy();
  },
};

/** Sends an upgrade request and returns everything received until the connection is closed. */
async function sendUpgrade(
  address: Address,
  head = `GET /chat?room=1 HTTP/1.1\r\n${UPGRADE}`,
): Promise<string> {
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
  let handle: UpgradeHandler;
  /** Handles requests that are not upgrades. */
  let respond: http.RequestListener;
  const hello: http.RequestListener = (_, response) => response.end('hello');
  beforeAll(async () => {
    recorder = await Recorder.create({ journal: { mode } });
    respond = hello;
    server = http.createServer((request, response) => respond(request, response));
    for (const event of ['upgrade', 'connect']) {
      server.on(event, (request: http.IncomingMessage, socket: Duplex) => {
        endWithClient(socket).on('error', () => {});
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

  test.each(Object.keys(UPGRADES))('records %s once', async (name) => {
    const [respondWith, [status, bytes]] = UPGRADES[name]!;
    handle = respondWith;
    expect(await sendUpgrade(address)).toContain(`HTTP/1.1 ${status} `);
    const record = await recorder.takeOne();
    expect([...outcome(record), record.query]).toEqual(['GET', '/chat', status, bytes, { room: '1' }]);
  });

  test.each(Object.keys(UNANSWERED))('records 499 for %s', async (name) => {
    handle = UNANSWERED[name]!;
    expect(await sendUpgrade(address)).toBe('');
    expect((await recorder.take(1)).map(outcome)).toEqual([['GET', '/chat', 499, 0]]);
  });

  test('records 499 if the client disconnects before the response', async () => {
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

  test('restores the methods of the socket after the handshake', async () => {
    const switched = Promise.withResolvers<Duplex>();
    handle = (_, socket) => {
      socket.write(SWITCHING);
      switched.resolve(socket);
    };
    const response = sendUpgrade(address);
    const socket = await switched.promise;
    expect(Object.keys(socket).filter((key) => key === 'write' || key === 'end')).toEqual([]);
    await response;
    await recorder.takeOne();
  });

  test('restores socket methods that the app had replaced', async () => {
    const replaced = Promise.withResolvers<unknown>();
    const customWrites: unknown[] = [];
    server.once('connection', (socket: Duplex) => {
      const { write } = socket;
      socket.write = (...given: unknown[]) => {
        customWrites.push(given[0]);
        return Reflect.apply(write, socket, given);
      };
      replaced.resolve(socket.write);
    });
    const restored = Promise.withResolvers<unknown>();
    handle = (_, socket) => {
      socket.write(SWITCHING);
      restored.resolve(socket.write);
    };
    await sendUpgrade(address);
    expect(customWrites).toEqual([SWITCHING]);
    expect(await restored.promise).toBe(await replaced.promise);
    await recorder.takeOne();
  });

  test('records a request and an upgrade in the same packet', async () => {
    handle = (_, socket) => socket.write(SWITCHING);
    const sent = await sendUpgrade(
      address,
      `GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /chat HTTP/1.1\r\n${UPGRADE}`,
    );
    expect(sent.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 101']);
    expect((await recorder.take(2)).map(outcome)).toEqual([
      ['GET', '/', 200, 5],
      ['GET', '/chat', 101, 0],
    ]);
  });

  describe('an upgrade after a pipelined request', () => {
    const FIRST = 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n';
    afterEach(() => {
      respond = hello;
    });

    // Node refuses to assign a second response to a socket.
    const written = Object.keys(UPGRADES).filter(
      (name) => name !== 'a refusal by a ServerResponse of the app',
    );
    test.each(written)('that is pending is recorded: %s', async (name) => {
      const [respondWith, [status, bytes]] = UPGRADES[name]!;
      respond = () => {};
      handle = respondWith;
      expect(await sendUpgrade(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`)).toContain(
        `HTTP/1.1 ${status} `,
      );
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['GET', '/chat', status, bytes],
        ['GET', '/first', 499, 0],
      ]);
    });

    test('whose headers are not sent yet is recorded', async () => {
      respond = (_, response) => response.writeHead(204);
      handle = (_, socket) => socket.end(REFUSAL);
      expect(await sendUpgrade(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`)).toBe(REFUSAL);
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['GET', '/chat', 401, 12],
        ['GET', '/first', 499, 0],
      ]);
    });

    test('that is pending is recorded: CONNECT', async () => {
      respond = () => {};
      handle = (_, socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n');
      await sendUpgrade(address, `${FIRST}CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n`);
      expect((await recorder.take(2)).map(outcome).sort()).toEqual([
        ['CONNECT', '/', 200, 0],
        ['GET', '/first', 499, 0],
      ]);
    });

    /** Responses to the earlier request while the upgrade is pending. */
    const FIRST_RESPONSES: Record<string, [(response: http.ServerResponse) => unknown, Outcome]> = {
      'by end(body)': [(response) => response.end('hello'), [200, 5]],
      'without a body': [(response) => response.writeHead(204).end(), [204, 0]],
      'in several writes': [
        (response) => {
          response.writeHead(201);
          response.write('hel');
          response.end('lo');
        },
        [201, 5],
      ],
      'with Content-Length': [
        (response) => {
          response.setHeader('Content-Length', 5);
          response.write('hello');
          response.end();
        },
        [200, 5],
      ],
      'after an interim response': [
        (response) => {
          response.writeProcessing();
          response.end('hello');
        },
        [200, 5],
      ],
    };
    test.each(Object.keys(FIRST_RESPONSES))('whose response is sent first is recorded: %s', async (name) => {
      const [respondWith, [status, bytes]] = FIRST_RESPONSES[name]!;
      let first!: http.ServerResponse;
      respond = (_, response) => {
        first = response;
      };
      handle = (_, socket) => {
        first.on('finish', () => socket.write(SWITCHING));
        setImmediate(respondWith, first);
      };
      await sendUpgrade(address, `${FIRST}GET /chat HTTP/1.1\r\n${UPGRADE}`);
      expect((await recorder.take(2)).map(outcome)).toEqual([
        ['GET', '/first', status, bytes],
        ['GET', '/chat', 101, 0],
      ]);
    });
  });

  test('records pipelined responses in the order in which the client receives them', async () => {
    const secondSent = Promise.withResolvers<void>();
    respond = async ({ url, socket }, response) => {
      if (url !== '/second') await secondSent.promise;
      if (url === '/first') response.end('first');
      else if (url === '/second') {
        socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 6\r\n\r\nsec');
        setImmediate(() => {
          socket.write('ond');
          secondSent.resolve();
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
  ])('records a CONNECT with the response %j', async (sent, status, bytes) => {
    handle = (_, socket) => (status === 200 ? socket.write(sent) : socket.end(sent));
    expect(await sendUpgrade(address, 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n')).toBe(sent);
    const record = await recorder.takeOne();
    expect([record.method, record.url, record.status, record.contentLength]).toEqual([
      'CONNECT',
      'http://b:443',
      status,
      bytes,
    ]);
  });

  test('records requests inside a tunnel', async () => {
    handle = (request, socket) => {
      if (request.method !== 'CONNECT') return socket.write(SWITCHING);
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

  test('records an upgrade for each TrackUsage if one tracks the app and one the server', async () => {
    const other = await Recorder.create({ journal: { mode } });
    const app = express();
    other.usage.attach(app as unknown as TrackedApp);
    const trackedTwice = app.listen(0, '127.0.0.1');
    await once(trackedTwice, 'listening');
    recorder.usage.attach(trackedTwice as unknown as TrackedApp);
    trackedTwice.on('upgrade', (_, socket) => socket.end(REFUSAL));
    const { port } = trackedTwice.address() as AddressInfo;
    await sendUpgrade({ host: '127.0.0.1', port, secure: false });
    for (const each of [recorder, other]) {
      expect((await each.take(1)).map(outcome)).toEqual([['GET', '/chat', 401, 12]]);
    }
    await closeServer(trackedTwice);
    await other.close();
  });

  describe('an upgrade in a request handler, without an upgrade listener', () => {
    let plain: http.Server;
    let plainAddress: Address;
    let respondWith: (request: http.IncomingMessage) => unknown;
    beforeAll(async () => {
      plain = http.createServer((request) => respondWith(request));
      recorder.usage.attach(plain);
      ({ address: plainAddress } = await listen(plain as never));
    });
    afterAll(() => closeServer(plain));

    test.each(Object.keys(UPGRADES).filter((name) => !name.includes('ServerResponse of the app')))(
      'records %s',
      async (name) => {
        const [write, [status, bytes]] = UPGRADES[name]!;
        respondWith = (request) => write(request, request.socket);
        const socket = await connect(plainAddress);
        const close = () => socket.destroy();
        socket.on('data', (chunk) => setImmediate(chunk.includes('101') || !chunk.length ? close : () => {}));
        socket.write(`GET /chat HTTP/1.1\r\n${UPGRADE}`);
        if (name.includes('in several writes') && status === 101) setTimeout(close, 50);
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

  const upgradeAll = async (server: http.Server, paths = ['/chat']) => {
    const { port } = server.address() as AddressInfo;
    for (const path of paths) {
      await sendUpgrade({ host: '127.0.0.1', port, secure: false }, `GET ${path} HTTP/1.1\r\n${UPGRADE}`);
    }
    const records = await recorder.take(paths.length);
    await closeServer(server);
    return records.map((record) => [...outcome(record), record.route]);
  };
  const whenListening = async (server: http.Server) => {
    await once(server, 'listening');
    return server;
  };

  // As @fastify/websocket does.
  test('records the route of Fastify with a ServerResponse that the app created', async () => {
    const app = fastify();
    recorder.usage.attach(app as unknown as TrackedApp);
    app.get('/chat/:room', (request, reply) => {
      reply.hijack();
      request.raw.socket.write(SWITCHING);
    });
    app.get('/closed', async (_, reply) => reply.code(401).send('no'));
    app.server.on('upgrade', (request, socket) => {
      endWithClient(socket);
      const response = new http.ServerResponse(request);
      response.assignSocket(socket as never);
      response.on('finish', () => socket.end());
      app.routing(request, response);
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    expect(await upgradeAll(app.server, ['/chat/1', '/closed', '/elsewhere'])).toEqual([
      ['GET', '/chat/1', 101, 0, '/chat/:room'],
      ['GET', '/closed', 401, 2, '/closed'],
      ['GET', '/elsewhere', 404, 81, null],
    ]);
    await app.close();
  });

  // As express-ws does, before and after the handshake, with and without a tracked server.
  test.each(['before', 'after'])(
    'records the original URL if Express rewrites it %s the handshake',
    async (when) => {
      for (const isTracked of [true, false]) {
        const app = express();
        recorder.usage.attach(app as unknown as TrackedApp);
        app.get('/chat/.websocket', (request) => {
          (request as { wsHandled?: boolean }).wsHandled = true;
          request.socket.write(when === 'before' ? SWITCHING : '\x81\x02hi', 'latin1');
        });
        const server = isTracked ? app.listen(0, '127.0.0.1') : http.createServer(app).listen(0, '127.0.0.1');
        server.on('upgrade', (request, socket) => {
          endWithClient(socket);
          if (when === 'after') socket.write(SWITCHING);
          request.url += '/.websocket';
          Object.assign(request, { wsHandled: false });
          app(request, new http.ServerResponse(request) as never);
        });
        await whenListening(server);
        const route = when === 'after' && isTracked ? null : '/chat';
        expect(await upgradeAll(server)).toEqual([['GET', '/chat', 101, 0, route]]);
      }
    },
  );

  test.each([true, false])(
    'records one upgrade if both the app and its server are tracked (server last: %s)',
    async (isLast) => {
      const app = express();
      if (isLast) recorder.usage.attach(app as unknown as TrackedApp);
      const server = isLast ? app.listen(0, '127.0.0.1') : http.createServer(app).listen(0, '127.0.0.1');
      recorder.usage.attach(server as unknown as TrackedApp);
      if (!isLast) recorder.usage.attach(app as unknown as TrackedApp);
      server.on('upgrade', (_, socket) => socket.end(SWITCHING));
      await whenListening(server);
      expect(await upgradeAll(server)).toEqual([['GET', '/chat', 101, 0, null]]);
    },
  );

  // As koa-websocket does.
  test('records an upgrade of Koa with a context that has no response', async () => {
    const app = new Koa();
    recorder.usage.attach(app as unknown as TrackedApp);
    const server = app.listen(0, '127.0.0.1');
    server.on('upgrade', (request, socket) => {
      endWithClient(socket);
      socket.write(SWITCHING);
      app.createContext(request, undefined as never);
    });
    await whenListening(server);
    expect(await upgradeAll(server)).toEqual([['GET', '/chat', 101, 0, null]]);
    expect(recorder.errors).toEqual([]);
  });
});

test('records an HTTP/2 tunnel when it opens', async () => {
  const recorder = await Recorder.create();
  const server = http2.createServer(() => {});
  server.on('connect', (_request, response: http2.Http2ServerResponse) => response.writeHead(200));
  recorder.usage.attach(server as unknown as TrackedApp);
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

test('records an upgrade whose socket is sent to another process', async () => {
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
  // The server never considers the socket closed, so this does not wait.
  server.close();
  await recorder.close();
});

describe.each(['append', 'group'])(
  'a process that is killed in the turn of its response, journal mode %s',
  (mode) => {
    test.each([
      [`GET /chat HTTP/1.1\r\n${UPGRADE}`, 101, 0],
      [`GET /closed HTTP/1.1\r\n${UPGRADE}`, 401, 2],
      ['CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n', 200, 0],
      ['GET /raw HTTP/1.1\r\nHost: a\r\n\r\n', 200, 3],
    ])('leaves a record of %j', async (head, status, bytes) => {
      const before = await Recorder.create();
      const { directory } = before;
      await before.usage.close();
      const fixture = fileURLToPath(new URL('fixtures/kill-after-upgrade.ts', import.meta.url));
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
  },
);

test('does not record upgrades after close()', async () => {
  const usage = new TrackUsage(null, []);
  const server = http.createServer();
  usage.attach(server as unknown as TrackedApp);
  server.on('upgrade', (_, socket) => socket.end(SWITCHING));
  const { address } = await listen(server as never);
  await usage.close();
  expect(await exchange(address, `GET /chat HTTP/1.1\r\n${UPGRADE}`)).toBe(SWITCHING);
  await closeServer(server);
});
