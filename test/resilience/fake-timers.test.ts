/** Fake timers in tests of an app stop the clock of the app, but not that of track-usage. */
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { mock } from 'node:test';
import { type FakeMethod, install } from '@sinonjs/fake-timers';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { JOURNAL_MODES } from '../../src/journal/journal.ts';
import { Storage } from '../../src/query/storage.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TrackUsage } from '../../src/tracker/tracker.ts';
import { temporaryDirectory } from '../journal/support.ts';

const LONG_AGO = Date.UTC(2001, 0, 1);
const now = Date.now;
/** A bare server does not respond either if `process.nextTick` is fake. */
const ALL: FakeMethod[] = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'Date',
  'hrtime',
  'performance',
  'queueMicrotask',
];

/** Ways to install fake timers, as tests of apps do. Each returns a function that removes them. */
const FAKES: Record<string, () => () => void> = {
  'node:test'() {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'], now: LONG_AGO });
    return () => mock.timers.reset();
  },
  // Those of Jest are the same, from its own context.
  Sinon() {
    const clock = install({ now: LONG_AGO, toFake: ALL });
    return () => clock.uninstall();
  },
  Vitest() {
    vi.useFakeTimers({ now: LONG_AGO, toFake: ALL as never });
    return () => vi.useRealTimers();
  },
  'functions of the app’s own'() {
    const throws = (name: string) => () => {
      throw new Error(`${name} of the app`);
    };
    const spies = [
      vi.spyOn(Date, 'now').mockImplementation(throws('Date.now')),
      vi.spyOn(performance, 'now').mockImplementation(throws('performance.now')),
      vi.spyOn(process, 'hrtime').mockImplementation(throws('hrtime')),
      vi.spyOn(globalThis, 'setImmediate').mockImplementation(throws('setImmediate') as never),
      vi.spyOn(globalThis, 'setTimeout').mockImplementation(throws('setTimeout') as never),
    ];
    return () => {
      for (const spy of spies) spy.mockRestore();
    };
  },
};

let release = () => {};
afterEach(() => release());

function holdTime(fakes: string): void {
  release = FAKES[fakes]!();
  expect(fakes.startsWith('functions') || Date.now() === LONG_AGO).toBe(true);
}

/** Requests each path on one connection, one after the other, without timers. */
async function ask(port: number, paths: readonly string[]): Promise<string[]> {
  const socket = net.connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  await once(socket, 'connect');
  const answers: string[] = [];
  for (const path of paths) {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [string];
    answers.push(answer.replace(/^.*\r\n\r\n/s, ''));
  }
  socket.destroy();
  return answers;
}

async function listening(server: http.Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const PATHS = ['/a', '/b', '/c'];

describe.each(Object.keys(FAKES))('fake timers of %s', (fakes) => {
  describe.each(JOURNAL_MODES)('mode %s', (mode) => {
    test.each(['before', 'after'] as const)('%s the app is tracked', async (when) => {
      const directory = temporaryDirectory();
      const called: string[] = [];
      const problems: Error[] = [];
      const server = http.createServer((request, response) => response.end(`hello ${request.url}`));
      const began = now();
      if (when === 'before') holdTime(fakes);
      const hook = ({ path }: { path: string }) => void called.push(path);
      const usage = new TrackUsage(
        server,
        new SqliteStorage(join(directory, 'usage.db'), { hooks: [hook] }),
        {
          geo: false,
          journal: { dir: directory, mode },
          onError: (error) => problems.push(error),
        },
      );
      const port = await listening(server);
      if (when === 'after') holdTime(fakes);
      expect(await ask(port, PATHS)).toEqual(PATHS.map((path) => `hello ${path}`));
      await usage.flush();
      const records = await usage.getUsage({ from: began, limit: 0 });
      expect(records.map(({ path }) => path).sort()).toEqual(PATHS);
      for (const { date, duration } of records) {
        expect(date).toBeGreaterThanOrEqual(began);
        expect(date).toBeLessThanOrEqual(now());
        expect(duration).toBeGreaterThanOrEqual(0);
        expect(duration).toBeLessThan(60_000_000);
      }
      await usage.close();
      expect(called).toEqual(PATHS);
      expect(usage.status()).toMatchObject({ captured: 3, dropped: { journal: 0, capture: 0 } });
      expect(problems).toEqual([]);
    });
  });

  test('flush and close settle in time if the storage does not respond', async () => {
    const directory = temporaryDirectory();
    const storage = new SqliteStorage(join(directory, 'usage.db'));
    const { identity } = storage;
    const options = storage.threadOptions();
    const hangs = new Storage({
      label: 'hangs',
      identity,
      module: new URL('./faulty-storage.ts', import.meta.url).href,
      options: { ...(options as object), manner: 'hangs' },
    });
    const server = http.createServer((_request, response) => response.end('hello'));
    holdTime(fakes);
    const usage = new TrackUsage(server, hangs, {
      geo: false,
      journal: { dir: directory },
      onError: () => {},
    });
    const port = await listening(server);
    expect(await ask(port, ['/'])).toEqual(['hello']);
    await expect(usage.flush({ timeout: 200 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await usage.close({ timeout: 200 });
    expect(usage.status().lastError).toMatchObject({ code: 'TIMEOUT' });
  });
});

test('fake globals installed before track-usage is loaded, as by Jest', async () => {
  const directory = temporaryDirectory();
  vi.resetModules();
  const began = now();
  const held = () => {};
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'] as const) {
    vi.stubGlobal(name, () => held);
  }
  class FakeDate extends Date {
    static override now = () => LONG_AGO;
  }
  vi.stubGlobal('Date', FakeDate);
  vi.stubGlobal('performance', { now: () => 0 });
  release = () => vi.unstubAllGlobals();
  const { TrackUsage } = await import('../../src/tracker/tracker.ts');
  const { SqliteStorage } = await import('../../src/storages/sqlite/index.ts');
  const server = http.createServer((_request, response) => response.end('hello'));
  const usage = new TrackUsage(server, new SqliteStorage(join(directory, 'usage.db')), {
    geo: false,
    journal: { dir: directory, mode: 'group' },
  });
  const port = await listening(server);
  expect(await ask(port, PATHS)).toHaveLength(3);
  await usage.flush();
  const records = await usage.getUsage({ limit: 0 });
  expect(records.map(({ date }) => Math.abs(date - began) < 60_000)).toEqual([true, true, true]);
  await usage.close();
});
