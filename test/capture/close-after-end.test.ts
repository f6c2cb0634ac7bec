import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, http1Client, parseResponses } from '../support/client.ts';
import { PLAIN_HTTP1, type Site, serve } from '../support/engines.ts';
import { Recorder } from '../support/recorder.ts';

/** Ways to close the connection in the same turn as `end()`. The client still receives the whole response. */
const CLOSINGS: Record<string, (request: IncomingMessage, response: ServerResponse, server: Server) => void> =
  {
    'socket.destroy()': ({ socket }) => socket.destroy(),
    'socket.end()': ({ socket }) => socket.end(),
    'socket.destroySoon()': ({ socket }) => socket.destroySoon(),
    'request.destroy()': (request) => request.destroy(),
    'response.destroy()': (_, response) => response.destroy(),
    'server.closeAllConnections()': (_, __, server) => server.closeAllConnections(),
    'a socket that stays corked': ({ socket }) => {
      socket.cork();
      setImmediate(() => socket.destroySoon());
    },
  };

describe.each(['append', 'group'] as const)('journal mode %s', (mode) => {
  describe.each(PLAIN_HTTP1)('$name', (engine) => {
    let site: Site;
    beforeAll(async () => {
      site = await serve(engine, { usage: { journal: { mode } } });
    });
    afterAll(() => site.close());

    describe.each([5, 20_000])('end() of %i bytes', (bytes) => {
      test.each(Object.keys(CLOSINGS))('is recorded completely before %s', async (name) => {
        site.handle = (request, response) => {
          response.end('a'.repeat(bytes));
          CLOSINGS[name]!(request, response, site.server as unknown as Server);
        };
        const sent = await exchange(site.address, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        expect(parseResponses(sent).map(({ status, body }) => [status, body.length])).toEqual([[200, bytes]]);
        const { status, contentLength } = await site.recorder.takeOne();
        expect([status, contentLength]).toEqual([200, bytes]);
      });
    });

    test('counts the whole response of a handler that continues after end()', async () => {
      site.handle = async (_request, response) => {
        response.write('one');
        response.end('two');
        for (let i = 0; i < 5; i++) await Promise.resolve();
        const until = performance.now() + 5;
        while (performance.now() < until);
      };
      expect((await site.client.request()).body.toString()).toBe('onetwo');
      expect((await site.recorder.takeOne()).contentLength).toBe(6);
    });

    test('sends responses promptly if nothing else happens', async () => {
      site.handle = (_request, response) => response.end('hello');
      for (let i = 0; i < 20; i++) expect((await site.client.request()).body.toString()).toBe('hello');
      expect(await site.recorder.take(20)).toHaveLength(20);
    });
  });
});

describe.each(['append', 'group'] as const)(
  'a process that exits with its response, journal mode %s',
  (mode) => {
    describe.each(['http', 'https'])('%s', (scheme) => {
      test.each([
        ['exit', 5],
        ['exit', 20_000],
        ['throw', 5],
        ['kill', 5],
      ])('records what was sent before %s after end() of %i bytes', async (exitType, bytes) => {
        // Creates the directory and its database.
        const before = await Recorder.create();
        const { directory } = before;
        await before.usage.close();

        const fixture = fileURLToPath(new URL('fixtures/exit-after-response.ts', import.meta.url));
        const child = spawn(process.execPath, [fixture, directory, mode, scheme, exitType, String(bytes)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const exited = once(child, 'exit');
        const [line] = await once(child.stdout, 'data');
        const client = http1Client({ host: '127.0.0.1', port: Number(line), secure: scheme === 'https' });
        const received = await client.request({ path: '/last' }).then(
          ({ status, body }) => [status, body.length],
          () => undefined,
        );
        client.close();
        await exited;
        const recorder = Recorder.open(directory);
        const records = await recorder.adopted(received ? 1 : 0);
        await recorder.close();

        // After SIGKILL, a response that group mode held back is neither sent nor recorded.
        if (exitType !== 'kill' || mode === 'append') expect(received).toEqual([200, bytes]);
        expect(records.map(({ path, status, contentLength }) => [path, status, contentLength])).toEqual(
          received ? [['/last', ...received]] : [],
        );
      });
    });
  },
);
