import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type CapturedRecord, defineSummary, NOT_FOUND, TrackUsage } from '../../src/index.ts';
import { readSettings, type TrackUsageOptions } from '../../src/options/tracker-options.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';

const PATHS = ['/users/1?tab=a', '/users/2', '/about?x', '/about', '/wp-login.php', '/.env?x'];

/** Requests the paths, and returns the keys of `sumUrls`, the records and the problems. */
async function track(options: TrackUsageOptions, paths: readonly string[] = PATHS) {
  const app = express();
  const errors: Error[] = [];
  const tags = defineSummary({ name: 'tags', key: ({ path }) => path });
  const storage = new MemoryStorage({ hooks: ['urls', tags] });
  const usage = new TrackUsage(app, storage, {
    geo: false,
    onError: (error) => errors.push(error),
    ...options,
  });
  app.get('/users/:id', (request, response) => {
    usage.vars(request).plan = 'gold';
    response.status(request.params.id === '404' ? 404 : 200).end();
  });
  app.use('/about', (_request, response) => void response.end());
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(async () => {
    server.close();
    await usage.close();
  });
  const { port } = server.address() as { port: number };
  for (const path of paths) await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  await usage.flush();
  const host = `http://127.0.0.1:${port}`;
  const found = await usage.getSum('urls', { period: 'day' });
  return {
    hits: Object.fromEntries(found.map(({ key, hits }) => [key?.replace(host, 'HOST'), hits])),
    records: (await usage.getUsage({ limit: 0 })).reverse(),
    rows: (await storage.reader.scan({ site: 'default', after: undefined, limit: 100 })).records,
    usage,
    errors,
  };
}

describe('keys of sumUrls', () => {
  test.each<[TrackUsageOptions, Record<string, number>]>([
    [{}, Object.fromEntries(PATHS.map((path) => [`HOST${path}`, 1]))],
    [{ urlKey: 'path' }, { '/users/1': 1, '/users/2': 1, '/about': 2, '/wp-login.php': 1, '/.env': 1 }],
    [{ urlKey: 'route' }, { '/users/:id': 2, '/about': 2, '/wp-login.php': 1, '/.env': 1 }],
    [
      { urlKey: 'route', groupNotFound: true },
      { '/users/:id': 2, '/about': 2, [NOT_FOUND]: 2 },
    ],
    [
      { groupNotFound: true },
      { ...Object.fromEntries(PATHS.slice(0, 4).map((path) => [`HOST${path}`, 1])), [NOT_FOUND]: 2 },
    ],
    [
      { urlKey: ({ path }) => path.split('/')[1], groupNotFound: true },
      { users: 2, about: 2, [NOT_FOUND]: 2 },
    ],
  ])('with %j', async (options, expected) => {
    const { hits, records, rows, usage, errors } = await track(options);
    expect(hits).toEqual(expected);
    // The records have the complete URL, and a filter finds them by their key.
    expect(records.map(({ url }) => url.slice(url.indexOf('/', 8)))).toEqual(PATHS);
    for (const [key, count] of Object.entries(expected)) {
      if (key.startsWith('HOST')) continue;
      expect((await usage.query.totals({ filter: { urls: key } })).totals.hits).toBe(count);
    }
    const others = rows.filter(({ url_key: key }) => key !== null).length;
    const byUrl = Object.keys(expected).filter((key) => key.startsWith('HOST')).length;
    expect(others).toBe(PATHS.length - byUrl);
    // What the app's functions returned is stored once.
    expect(rows.map(({ extra }) => JSON.parse(extra!))).toEqual(
      PATHS.map((path, n) => ({
        ...(n < 2 && { routeParams: { id: `${n + 1}` }, vars: { plan: 'gold' } }),
        keys: { tags: [path.split('?')[0]] },
      })),
    );
    expect(errors).toEqual([]);
  });

  test('a 404 of a route is not grouped', async () => {
    const { hits } = await track({ urlKey: 'path', groupNotFound: true }, ['/users/404', '/users']);
    expect(hits).toEqual({ '/users/404': 1, [NOT_FOUND]: 1 });
  });

  test('a function receives the captured record; without a result, the key is the URL', async () => {
    const seen: CapturedRecord[] = [];
    const results = ['a', null, undefined, '', 'x'.repeat(600), 'nul \0, lone \ud800'];
    const urlKey = (record: CapturedRecord) => {
      seen.push(record);
      return results[seen.length - 1];
    };
    const { hits, errors } = await track(
      { urlKey },
      results.map((_, n) => `/about?n=${n}`),
    );
    const keys = Object.keys(hits);
    expect(keys.slice(0, 5).sort()).toEqual(
      [...[1, 2, 3].map((n) => `HOST/about?n=${n}`), 'a', keys[4]].sort(),
    );
    expect(keys.find((key) => key.startsWith('x'))).toMatch(/^x{495}#[0-9a-f]{16}$/);
    expect(keys).toContain('nul \ufffd, lone \ufffd');
    expect(seen[0]).toMatchObject({
      path: '/about',
      query: { n: '0' },
      status: 200,
      remoteAddr: '127.0.0.1',
    });
    expect(seen[0]!.duration).toBeGreaterThan(0);
    expect(errors).toEqual([]);
  });

  test.each<[string, () => unknown]>([
    [
      'not today',
      () => {
        throw new Error('not today');
      },
    ],
    [
      'it returned a promise, expected a string or null',
      async () => {
        throw new Error('late');
      },
    ],
    ['it returned a list, expected a string or null', () => ['a']],
    ['it returned a list, expected a string or null', () => [Promise.reject(new Error('late'))]],
    ['it returned 7, expected a string or null', () => 7],
  ])('a failing function is reported, and the request counts under its URL: %s', async (reason, urlKey) => {
    const { hits, errors } = await track({ urlKey: urlKey as () => string }, ['/about']);
    expect(hits).toEqual({ 'HOST/about': 1 });
    expect(errors).toMatchObject([{ code: 'HOOK_FAILED' }]);
    expect(errors[0]!.message).toContain('the option urlKey');
    expect(errors[0]!.message).toContain(reason);
  });

  test.each([{ urlKey: 'host' }, { urlKey: null }, { groupNotFound: 1 }, { groupNotFound: null }])(
    'rejects %j',
    (options) => {
      const create = () => readSettings(options as unknown as TrackUsageOptions);
      expect(create).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    },
  );
});
