/** Requests without a record get normal responses; failures to read a request are counted and reported. */
import { EventEmitter, once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { JOURNAL_MODES } from '../../src/journal/journal.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { codes } from './support.ts';

function tracked(app: ConstructorParameters<typeof TrackUsage>[0], options: TrackUsageOptions = {}) {
  const errors: Error[] = [];
  const usage = new TrackUsage(app, new MemoryStorage(), {
    geo: false,
    onError: (error) => errors.push(error),
    ...options,
    journal: { dir: temporaryDirectory(), ...options.journal },
  });
  onTestFinished(() => usage.close());
  return { usage, errors };
}

async function listening(server: http.Server): Promise<(path: string) => Promise<string>> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  // Kept connections, because the end of one would send deferred output.
  const agent = new http.Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  return async (path) => {
    const request = http.get({ port, host: '127.0.0.1', path, agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return `${response.statusCode} ${await text(response)}`;
  };
}

/** Apps that make reading a request fail, by what is read. */
const UNREADABLE: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  rawHeaders: (request) => throwing(request, 'rawHeaders'),
  'no rawHeaders': (request) => void Object.assign(request, { rawHeaders: undefined }),
  httpVersion: (request) => throwing(request, 'httpVersion'),
  headersSent: (_request, response) => throwing(response, 'headersSent'),
};

function throwing(of: object, name: string): void {
  Object.defineProperty(of, name, {
    configurable: true,
    get() {
      throw new Error(`no ${name}`);
    },
  });
}

describe.each(JOURNAL_MODES)('mode %s', (mode) => {
  test('an excluded request gets its response', async () => {
    const server = http.createServer((request, response) => response.end(request.url));
    const { usage, errors } = tracked(server, { journal: { mode } });
    usage.exclude('/health');
    const get = await listening(server);
    expect(await get('/health')).toBe('200 /health');
    expect(usage.status()).toMatchObject({ captured: 0, dropped: { capture: 0 } });
    expect(errors).toEqual([]);
  });

  test.each(Object.keys(UNREADABLE))(
    'an unreadable request gets its response and is counted: %s',
    async (name) => {
      const server = http.createServer((request, response) => {
        if (request.url === '/odd') UNREADABLE[name]!(request, response);
        response.writeHead(200, { 'x-one': '1' });
        response.end('hello');
      });
      const { usage, errors } = tracked(server, { journal: { mode } });
      const get = await listening(server);
      expect(await get('/odd')).toBe('200 hello');
      expect(await get('/even')).toBe('200 hello');
      expect(usage.status()).toMatchObject({ captured: 2, journaled: 1, dropped: { capture: 1 } });
      expect(codes(errors)).toEqual(['CAPTURE_FAILED']);
      await usage.flush();
      expect((await usage.getUsage()).map(({ path }) => path)).toEqual(['/even']);
    },
  );
});

test('mock requests and responses are counted once, even if they are emitted repeatedly', () => {
  const app = express();
  const { usage, errors } = tracked(app);
  usage.attach(http.createServer(app));
  app.get('/', (_request, response) => void response.end());
  const request = Object.assign(new EventEmitter(), { method: 'GET', url: '/', headers: {}, socket: {} });
  let answered = false;
  const response = Object.assign(new EventEmitter(), {
    setHeader() {},
    end: () => {
      answered = true;
    },
  });
  const handle = () => (app as unknown as (...given: unknown[]) => void)(request, response);
  handle();
  handle();
  expect(answered).toBe(true);
  expect(usage.status()).toMatchObject({ captured: 1, journaled: 0, dropped: { capture: 1 } });
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^a request could not be read: its response is not a response of Node; .*dropped\.capture/,
    ),
  ]);
});
