/**
 * Cases in which Flask-Track-Usage and other trackers failed. Cases that belong to other suites are there: a
 * stopped or locked database and a dying process in storage.test.ts and crash/, the cookie, HEAD and 304
 * in capture/, clock changes in summaries/.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { load, newOutcomes } from '../crash/load.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { codes, trackedServer } from './support.ts';

describe('defects of the predecessor', () => {
  test('five URLs with ten hits each stay five rows', async () => {
    const { usage, get } = await trackedServer();
    for (let i = 0; i < 50; i++) await get(`/page-${i % 5}`);
    await usage.flush();
    const sums = await usage.getSum('urls', {});
    for (const period of ['hour', 'day', 'month'] as const) {
      expect(sums[period].map(({ key, hits }) => [new URL(key!).pathname, hits])).toEqual(
        [0, 1, 2, 3, 4].map((i) => [`/page-${i}`, 10]),
      );
    }
  });

  test('a response without Content-Length leaves the sum of bytes a number', async () => {
    const { usage, server, get } = await trackedServer();
    server.prependListener('request', (request, response) => {
      if (request.url === '/chunked') response.write('hello ');
    });
    for (const path of ['/', '/chunked', '/']) await get(path);
    await usage.flush();
    expect(await usage.getSum('server', { period: 'month' })).toMatchObject([
      { hits: 3, transfer: 5 + 11 + 5 },
    ]);
  });

  test('long URLs, two addresses, IPv6 and %00 fail no request and are stored', async () => {
    const { usage, get } = await trackedServer({ trustProxy: 'loopback' });
    const long = `/${'a'.repeat(5000)}`;
    const answers = [
      await get(long),
      await get(`${long}b`),
      await get('/', { 'x-forwarded-for': '203.0.113.7, 198.51.100.9' }),
      await get('/', { 'x-forwarded-for': '2001:db8::17' }),
      await get('/nul%00byte'),
    ];
    expect(answers).toEqual(Array(5).fill('200 hello'));
    await usage.flush();
    const records = (await usage.getUsage()).reverse();
    expect(records.map(({ remoteAddr }) => remoteAddr)).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '198.51.100.9',
      '2001:db8::17',
      '127.0.0.1',
    ]);
    expect(records[2]!.forwardedFor).toBe('203.0.113.7, 198.51.100.9');
    expect(records[4]!.path).toBe('/nul%00byte');
    expect(records[0]!.url).toHaveLength(4096);
    expect(records[0]!.url).not.toBe(records[1]!.url);
  });

  test('a function that throws neither fails the request nor stores it twice', async () => {
    const { usage, get, errors } = await trackedServer({
      username: () => {
        throw new Error('out of names');
      },
    });
    expect(await get('/')).toBe('200 hello');
    await usage.flush();
    expect(await usage.getUsage()).toMatchObject([{ username: null }]);
    expect(codes(errors)).toEqual(['HOOK_FAILED']);
  });

  test('an error thrown by onError is ignored', async () => {
    const { usage, get } = await trackedServer({
      onError: () => {
        throw new Error('nobody listens');
      },
      username: () => {
        throw new Error('out of names');
      },
    });
    expect(await get('/')).toBe('200 hello');
    expect(usage.status().lastError).toMatchObject({ code: 'HOOK_FAILED' });
  });

  test('user agent and language are parsed', async () => {
    const { usage, get } = await trackedServer();
    await get('/', {
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0',
      'accept-language': 'en;q=0.5, de-ch',
    });
    await usage.flush();
    expect(await usage.getUsage()).toMatchObject([
      {
        userAgent: { browser: 'Firefox', version: '131.0', platform: 'Linux' },
        language: 'de-CH',
        bot: false,
      },
    ]);
  });

  test('ten processes that start on an empty folder at the same moment create one schema', async () => {
    const directory = temporaryDirectory();
    const children = Array.from({ length: 10 }, () =>
      fork(join(import.meta.dirname, 'cold-start.ts'), [directory]),
    );
    expect(await Promise.all(children.map((child) => once(child, 'exit')))).toEqual(
      Array(10).fill([0, null]),
    );
    const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] });
    expect(await storage.getSum('server', { period: 'month' })).toMatchObject([{ hits: 30 }]);
    await storage.close();
  });
});

describe('side effects on the app', () => {
  test('50,000 distinct URLs that do not exist leave no memory allocated', {
    timeout: 120_000,
  }, async () => {
    const child = fork(join(import.meta.dirname, 'distinct-urls.ts'), [temporaryDirectory()], {
      execArgv: ['--expose-gc'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    let next = 0;
    const ask = async (count: number) => {
      const end = next + count;
      await load(port, 32, newOutcomes(), () => (next < end ? `/${next++}/${'x'.repeat(100)}` : undefined));
      child.send('measure');
      const [answer] = (await once(child, 'message')) as [{ rss: number; hits: number }];
      return answer;
    };
    const before = await ask(10_000);
    const after = await ask(50_000);
    expect(after.hits).toBe(60_000);
    expect(after.rss - before.rss).toBeLessThan(40 * 1024 * 1024);
  });

  test('no listener keeps the process alive or prevents it from ending', async () => {
    const child = fork(join(import.meta.dirname, 'idle-script.ts'), [temporaryDirectory()]);
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a second TrackUsage on the same app throws', () => {
    const server = http.createServer();
    const usage = new TrackUsage(server);
    expect(() => new TrackUsage(server)).toThrow(expect.objectContaining({ code: 'APP_TRACKED' }));
    return usage.close();
  });
});
