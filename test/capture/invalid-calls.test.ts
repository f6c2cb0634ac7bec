import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import type { UsageRecord } from '../../src/index.ts';
import { type Address, exchange } from '../support/client.ts';
import { closeServer, listen } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

/*
 * Generated valid and invalid calls of a response. The app continues after calls that Node rejects. The record must
 * match what the client received.
 */

/** A call of a method of the response or, with HTTP/2, of its stream. */
type Call = [method: string, ...given: unknown[]];

const statuses = fc.constantFrom<unknown>(200, 201, 404, 500, 204, 304, 199, 99, 1000, 0, 'none', 203.7);
const texts = fc.constantFrom<unknown>('', 'a', 'bcd', 'ä€', Buffer.from('efgh'), new Uint8Array(2));
const wrongChunks = fc.constantFrom<unknown>(null, undefined, 7, {}, false, new Uint16Array(2));
const chunks = fc.oneof({ weight: 4, arbitrary: texts }, { weight: 1, arbitrary: wrongChunks });
const encodings = fc.constantFrom<unknown>(undefined, undefined, undefined, 'utf8', 'latin1', 'utf16le');
/** Values of Content-Length. Only for HTTP/1, because an HTTP/2 client resets a stream whose body differs in length. */
const LENGTHS = [0, 1, '3', 4, 10, 'none'];
const names = fc.constantFrom('trailer', 'x-a', 'a b');
const hints = fc.constantFrom<unknown>({ link: '</a>; rel=preload' }, { link: 7 });

/** Values that HTTP/1 rejects. An HTTP/2 server sends them, and its clients destroy the session. */
const INVALID_VALUES = ['b\n', 'b\0'];

function callsOf(values: string[], lengths: unknown[]): fc.Arbitrary<Call> {
  const length = fc.constantFrom(...lengths);
  const value = fc.constantFrom('x-t', ...values);
  const headers = fc.oneof(
    fc.constantFrom<unknown>(
      undefined,
      {},
      { 'x-a': 'b' },
      ['x-a', 'b'],
      { 'a b': 'c' },
      ['x-a'],
      'reason',
      7,
    ),
    fc.constantFrom<unknown>({ trailer: 'x-t' }, { 'x-a': undefined }, { 'content-type': ['a', 'b'] }),
    length.map((given) => ({ 'Content-Length': given })),
    value.map((given) => ({ 'x-a': given })),
  );
  return fc.oneof<fc.Arbitrary<Call>[]>(
    fc.tuple(fc.constant('writeHead'), statuses, headers),
    fc.tuple(fc.constant('setHeader'), fc.constant('content-length'), length),
    fc.tuple(fc.constant('setHeader'), names, value),
    fc.tuple(fc.constant('statusCode'), statuses),
    fc.tuple(fc.constant('write'), chunks, encodings),
    fc.tuple(fc.constant('write'), texts),
    fc.tuple(fc.constant('end'), chunks, encodings),
    fc.tuple(fc.constant('end'), texts),
    fc.tuple(fc.constant('end')),
    fc.tuple(fc.constant('flushHeaders')),
    fc.tuple(
      fc.constant('addTrailers'),
      fc.oneof(
        value.map((given) => ({ 'x-t': given })),
        fc.constant({ 'x t': 'u' }),
      ),
    ),
    fc.tuple(fc.constant('writeContinue')),
    fc.tuple(fc.constant('writeEarlyHints'), hints),
  );
}

interface Case {
  method: string;
  calls: Call[];
  /** `strictContentLength` of HTTP/1. */
  isStrict: boolean;
  isRejecting: boolean;
}

const cases = (calls: fc.Arbitrary<Call>): fc.Arbitrary<Case> =>
  fc.record({
    method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
    calls: fc.array(calls, { minLength: 1, maxLength: 6 }),
    isStrict: fc.boolean(),
    isRejecting: fc.boolean(),
  });

/** Cases that were recorded incorrectly in the past. */
const EXAMPLES: [Case][] = [
  {
    calls: [
      ['statusCode', 199],
      ['end', 'body'],
    ],
  },
  {
    calls: [
      ['writeHead', 204, { 'x-a': 'b\n' }],
      ['statusCode', 200],
      ['end', 'body'],
    ],
  },
  {
    calls: [
      ['writeHead', 200],
      ['statusCode', 500],
      ['end', 'body'],
    ],
  },
  {
    isStrict: true,
    calls: [
      ['setHeader', 'content-length', 3],
      ['end', 'longer'],
    ],
  },
  {
    isStrict: true,
    calls: [
      ['setHeader', 'content-length', 3],
      ['end', 'longer'],
      ['write', 'abc'],
    ],
  },
  {
    isStrict: true,
    calls: [['setHeader', 'content-length', 1], ['flushHeaders'], ['end', 'longer'], ['write', 'a']],
  },
  {
    isStrict: true,
    calls: [
      ['setHeader', 'content-length', 4],
      ['end', 'a'],
      ['end', 'bcd'],
    ],
  },
  {
    isStrict: true,
    calls: [
      ['setHeader', 'content-length', 4],
      ['end', 'a'],
      ['write', 'b'],
    ],
  },
  { isRejecting: true, method: 'HEAD', calls: [['end', 'body'], ['flushHeaders']] },
  {
    calls: [
      ['write', 7],
      ['end', 'body'],
    ],
  },
  {
    calls: [
      ['end', {}],
      ['writeHead', 404],
      ['end', 'body'],
    ],
  },
  {
    calls: [
      ['setHeader', 'trailer', 'x-t'],
      ['end', 'body'],
    ],
  },
].map((given) => [{ method: 'GET', isStrict: false, isRejecting: false, ...given } as Case]);

/** Performs the calls, ignores exceptions, and drops the connection if the response is not complete. */
async function performCalls({ calls }: Case, response: http.ServerResponse, drop: () => void): Promise<void> {
  const stream = (response as unknown as { stream?: http2.ServerHttp2Stream }).stream;
  response.on('error', () => {});
  stream?.on('error', () => {});
  for (const [method, ...given] of calls) {
    // Written data is sent before the next call.
    await new Promise(setImmediate);
    try {
      if (method === 'statusCode') response.statusCode = given[0] as number;
      else {
        const [, name = method] = method.split('stream.');
        const target: object = method === name ? response : stream!;
        Reflect.apply((target as Record<string, () => unknown>)[name]!, target, given);
      }
    } catch {
      // The app continues.
    }
  }
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  if (!(stream ?? response).writableEnded || !response.headersSent) drop();
}

/** Returns the final status and body length that a client received. The status is 499 if it received nothing. */
function parseReceived(received: string, { method }: Case): [status: number, bytes: number, length?: number] {
  let rest = received;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n') + 4;
    const head = rest.slice(0, end);
    const status = Number(/^HTTP\/1.1 (\d+) /.exec(head)?.[1] ?? 499);
    rest = rest.slice(end);
    if (status === 100 || status === 103) continue;
    if (status === 499 || status < 200 || status === 204 || status === 304 || method === 'HEAD')
      return [status, 0];
    if (/\ntransfer-encoding: chunked/i.test(head)) return [status, chunkedLength(rest)];
    return [status, rest.length, Number(/\ncontent-length: (\d+)/i.exec(head)?.[1] ?? rest.length)];
  }
}

function chunkedLength(body: string): number {
  let bytes = 0;
  for (let at = 0; ; ) {
    const length = Number.parseInt(body.slice(at), 16);
    if (Number.isNaN(length) || length === 0) return bytes;
    bytes += length;
    at = body.indexOf('\r\n', at) + 2 + length + 2;
  }
}

function outcome({ status, contentLength }: UsageRecord): [number, number] {
  return [status, contentLength];
}

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  let recorder: Recorder;
  beforeAll(async () => {
    recorder = await Recorder.create({ journal: { mode } });
  });
  afterAll(() => recorder.close());

  /** Starts a tracked HTTP/1 server whose responses are made by the current case. */
  const serveCases = async (isRejecting: boolean) => {
    const state: { current?: Case } = {};
    const server = http.createServer({ rejectNonStandardBodyWrites: isRejecting }, (request, response) => {
      const { current } = state;
      response.strictContentLength = current!.isStrict;
      void performCalls(current!, response, () => request.socket.destroy());
    });
    recorder.usage.attach(server);
    const { address } = await listen(server as never);
    return { server, state, address };
  };

  test('records what the client received over HTTP/1', async () => {
    const servers = [await serveCases(false), await serveCases(true)];
    await fc.assert(
      fc.asyncProperty(cases(callsOf(INVALID_VALUES, LENGTHS)), async (given) => {
        const { address, state } = servers[given.isRejecting ? 1 : 0]!;
        state.current = given;
        const received = await exchange(
          address,
          `${given.method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
        );
        const [record, ...more] = (await recorder.take(1)).map(outcome);
        const [status, bytes, length = bytes] = parseReceived(received, given);
        expect(more).toEqual([]);
        // An app may send more than Content-Length. Bytes count until the response is complete.
        const isLonger = record![1] >= length && record![1] <= bytes;
        expect(record).toEqual([status, isLonger ? record![1] : bytes]);
      }),
      { numRuns: 300, examples: EXAMPLES },
    );
    for (const { server } of servers) await closeServer(server);
  });

  test('records what the client received over HTTP/2', async () => {
    const state: { current?: Case } = {};
    const server = http2.createServer((request, response) => {
      void performCalls(state.current!, response as never, () =>
        request.stream.close(http2.constants.NGHTTP2_CANCEL),
      );
    });
    recorder.usage.attach(server as unknown as TrackedApp);
    const { address } = await listen(server as never);
    const session = http2.connect(`http://127.0.0.1:${address.port}`);
    const streams = fc.oneof<fc.Arbitrary<Call>[]>(
      fc.tuple(
        fc.constant('stream.respond'),
        statuses.map((status) => ({ ':status': status })),
        fc.constantFrom<unknown>(undefined, { endStream: true }),
      ),
      fc.tuple(fc.constant('stream.write'), chunks, encodings),
      fc.tuple(fc.constant('stream.end'), chunks, encodings),
      fc.tuple(fc.constant('stream.end')),
    );
    const calls = fc.oneof(
      { weight: 3, arbitrary: callsOf([], [undefined]) },
      { weight: 1, arbitrary: streams },
    );
    await fc.assert(
      fc.asyncProperty(cases(calls), async (given) => {
        state.current = given;
        const stream = session.request({ ':path': '/', ':method': given.method }, { endStream: true });
        let status = 499;
        let bytes = 0;
        stream.on('response', (head) => {
          status = head[':status']!;
        });
        stream.on('data', (chunk) => {
          bytes += chunk.length;
        });
        stream.on('error', () => {});
        await new Promise((resolve) => stream.once('close', resolve));
        expect((await recorder.take(1)).map(outcome)).toEqual([[status, bytes]]);
      }),
      { numRuns: 300 },
    );
    session.destroy();
    await closeServer(server as never);
  });
});

/** Responses by the stream of HTTP/2. The file has ten bytes. */
const FILE_RESPONSES: Record<
  string,
  [respond: (stream: http2.ServerHttp2Stream, file: string) => unknown, expected: [number, number]]
> = {
  'a file': [(stream, file) => stream.respondWithFile(file), [200, 10]],
  'a file with a status': [(stream, file) => stream.respondWithFile(file, { ':status': 203 }), [203, 10]],
  'a part of a file': [
    (stream, file) => stream.respondWithFile(file, {}, { offset: 2, length: 3 }),
    [200, 3],
  ],
  'a file that is not found': [
    (stream, file) =>
      stream.respondWithFile(`${file}-not`, undefined, {
        onError: () => {
          stream.respond({ ':status': 404 });
          stream.end('not found');
        },
      }),
    [404, 9],
  ],
  'a file with a status that has no body': [
    (stream, file) => {
      expect(() => stream.respondWithFile(file, { ':status': 204 })).toThrow();
      stream.respond({ ':status': 204 }, { endStream: true });
    },
    [204, 0],
  ],
  'a file descriptor': [(stream, file) => respondWithDescriptor(stream, openSync(file, 'r'), {}), [200, 10]],
  'a part of a file descriptor': [
    (stream, file) => respondWithDescriptor(stream, openSync(file, 'r'), { offset: 4, length: 100 }),
    [200, 6],
  ],
  'a stream that is reset': [(stream) => stream.close(http2.constants.NGHTTP2_CANCEL), [499, 0]],
};

function respondWithDescriptor(
  stream: http2.ServerHttp2Stream,
  fd: number,
  options: { offset?: number; length?: number },
) {
  stream.on('close', () => closeSync(fd));
  stream.respondWithFD(fd, {}, options);
}

test.each(Object.keys(FILE_RESPONSES))('records a response by the stream of HTTP/2: %s', async (name) => {
  const [respond, expected] = FILE_RESPONSES[name]!;
  const recorder = await Recorder.create();
  const file = join(recorder.directory, 'file.txt');
  await writeFile(file, '0123456789');
  const server = http2.createServer((_request, response) => respond(response.stream, file));
  recorder.usage.attach(server as unknown as TrackedApp);
  const { address } = await listen(server as never);
  const session = http2.connect(`http://127.0.0.1:${address.port}`);
  const stream = session.request({ ':path': '/' });
  let status = 499;
  let bytes = 0;
  stream.on('response', (head) => {
    status = head[':status']!;
  });
  stream.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await new Promise((resolve) => stream.once('close', resolve));
  expect([status, bytes]).toEqual(expected);
  expect((await recorder.take(1)).map(outcome)).toEqual([expected]);
  session.destroy();
  await closeServer(server as never);
  await recorder.close();
});

describe('a response of Node itself', () => {
  let recorder: Recorder;
  let server: http.Server;
  let address: Address;
  beforeAll(async () => {
    recorder = await Recorder.create();
    server = http.createServer(
      { requestTimeout: 300, headersTimeout: 200, connectionsCheckingInterval: 20 },
      (request, response) => {
        request
          .resume()
          .on('error', () => {})
          .on('end', () => response.end('hello'));
      },
    );
    server.maxRequestsPerSocket = 1;
    recorder.usage.attach(server);
    ({ address } = await listen(server as never));
  });
  afterAll(async () => {
    await closeServer(server);
    await recorder.close();
  });

  test.each([
    ['a request timeout', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc', [[408, 0]]],
    [
      'an invalid chunk',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
      [[400, 0]],
    ],
    [
      'a chunk extension that is too long',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\n`,
      [[413, 0]],
    ],
    ['a missing Host header', 'GET / HTTP/1.1\r\n\r\n', [[400, 0]]],
    [
      'an unknown Expect header',
      'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n',
      [[417, 0]],
    ],
    [
      'too many requests on a connection',
      'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      [
        [200, 5],
        [503, 0],
      ],
    ],
  ])('is recorded: %s', async (_, sent, expected) => {
    const responses = await exchange(address, sent);
    const statuses = [...responses.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => Number(status));
    const records = (await recorder.take(expected.length)).map(outcome);
    // A connection that closes after the first response never sends the second.
    expect(records.filter(([status]) => status !== 499).map(([status]) => status)).toEqual(statuses);
    expect(records).toEqual(expected.map((one, i) => (i < statuses.length ? one : [499, 0])));
  });

  test('records 499 if the client ends the connection during its request', async () => {
    const socket = (await import('node:net')).connect(address.port, '127.0.0.1');
    socket.end('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc');
    await once(socket.resume(), 'close');
    expect((await recorder.take(1)).map(outcome)).toEqual([[499, 0]]);
  });
});
