import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { partsOfUrl } from '../../src/batch.ts';
import { Exchange } from '../../src/capture/exchange.ts';
import { createRedactor } from '../../src/capture/redact.ts';
import { hasDotSegments, normalizedPathOf, pathOf } from '../../src/capture/target.ts';
import { UrlMaker } from '../../src/capture/url.ts';
import { decodeUtf8 } from '../../src/capture/utf8.ts';
import { exchange, parseResponses } from '../support/client.ts';
import { ENGINES, type Engine, serve } from '../support/engines.ts';

const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;
const utf8 = (text: string) => Buffer.from(text).toString('latin1');

/** Sends the head of a request and returns its record. */
async function requestRecord(head: string, host = '127.0.0.1') {
  const site = await serve(node, { host });
  const responses = parseResponses(await exchange(site.address, `${head}\r\nConnection: close\r\n\r\n`));
  const record = await site.recorder.takeOne();
  const { port } = site.address;
  await site.close();
  expect(responses.map(({ status }) => status)).toEqual([200]);
  return { ...record, url: record.url.replace(`:${port}`, ':PORT') };
}

describe('the URL of a record', () => {
  test.each([
    ['GET /health HTTP/1.0', 'http://127.0.0.1:PORT/health', '/health'],
    ['GET /health HTTP/1.1\r\nHost:', 'http://127.0.0.1:PORT/health', '/health'],
    ['GET /a HTTP/1.1\r\nHost: example.org:8080', 'http://example.org:8080/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: [2001:db8::1]:80', 'http://[2001:db8::1]:80/a', '/a'],
    ['GET //a//b HTTP/1.1\r\nHost: h', 'http://h//a//b', '//a//b'],
    ['GET http://shop.example/a?b=c HTTP/1.1\r\nHost: h', 'http://shop.example/a?b=c', '/a'],
    ['OPTIONS * HTTP/1.1\r\nHost: h', 'http://h/*', '/*'],
    // Invalid hosts
    ['GET /a HTTP/1.1\r\nHost: h/evil?x=', 'http://127.0.0.1:PORT/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: bob:s3cr3t@h', 'http://127.0.0.1:PORT/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: a b', 'http://127.0.0.1:PORT/a', '/a'],
  ])('of %j is %s', async (head, url, path) => {
    expect(await requestRecord(head)).toMatchObject({ url, path });
  });

  test('contains the local IPv6 address if there is no host', async () => {
    expect(await requestRecord('GET / HTTP/1.0', '::1')).toMatchObject({
      url: 'http://[::1]:PORT/',
      path: '/',
    });
  });

  test('keeps the known local address after the client has disconnected', () => {
    const urls = new UrlMaker(createRedactor([]));
    const httpExchange = new Exchange();
    expect(urls.make('http://', '', '/a', httpExchange)).toBe('http://localhost/a');
    httpExchange.connection = {
      socket: { localAddress: '::ffff:192.0.2.1', localPort: 80 },
    } as Exchange['connection'];
    expect(urls.make('http://', '', '/a', httpExchange)).toBe('http://192.0.2.1:80/a');
    httpExchange.connection = { socket: {} } as Exchange['connection'];
    expect(urls.make('http://', '', '/a', httpExchange)).toBe('http://192.0.2.1:80/a');
  });

  test('has the requested host and path', () => {
    const redact = createRedactor([]);
    const urls = new UrlMaker(redact);
    const part = fc.constantFrom('/', '//', '?', '#', '@', ':', '\\', '.', '..', '%2e', 'a', 'http:', 'ü');
    const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''));
    const host = fc.oneof(
      text,
      fc.constantFrom(
        'h',
        'h:80',
        'h:99999',
        '[::1]:80',
        '[::g]',
        '',
        '192.0.2.1',
        '1.2.3.4.5',
        'münchen.example',
      ),
    );
    const target = fc.oneof(
      text.map((rest) => `/${rest}`),
      text,
      text.map((rest) => `http://${rest}`),
    );
    const method = fc.constantFrom('GET', 'CONNECT', 'OPTIONS');
    fc.assert(
      fc.property(host, target, method, (given, requestTarget, requestMethod) => {
        const httpExchange = new Exchange();
        httpExchange.request = { method: requestMethod } as Exchange['request'];
        const url = urls.make('http://', given, requestTarget, httpExchange);
        const read = URL.parse(url);
        expect(read?.host).toBeTruthy();
        if (!requestTarget.startsWith('/')) return;
        // User info of URLs within a path is redacted: see redact.test.ts.
        const path = redact(pathOf(requestTarget));
        const expected = new URL(`http://h${path}`);
        expect(read?.pathname).toBe(expected.pathname);
        expect(partsOfUrl(url).path.replace(/#.*/, '')).toBe(path.replace(/#.*/, ''));
        const host = URL.parse(`http://${given}/`)?.host;
        expect([host, 'localhost']).toContain(read?.host);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('header text', () => {
  test('is decoded as UTF-8 if valid, otherwise as latin1', async () => {
    const head =
      'GET / HTTP/1.1\r\nHost: h\r\nReferer: https://a.example/süß 日本\r\nUser-Agent: Bröwser/1 🦊';
    const record = await requestRecord(utf8(head));
    expect([record.referrer, record.userAgent?.string]).toEqual([
      'https://a.example/süß 日本',
      'Bröwser/1 🦊',
    ]);
    const latin1 = await requestRecord('GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Br\xf6wser/1');
    expect(latin1.userAgent?.string).toBe('Bröwser/1');
  });

  test('is decoded by decodeUtf8 to the text that was sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeUtf8(utf8(text))).toBe(text);
      }),
    );
    for (const text of ['\xff', '\xc3', 'a\xc3\x28', '\xed\xa0\x80', '\xc0\xaf', 'ü', '日本']) {
      expect(decodeUtf8(text)).toBe(text);
    }
  });
});

describe('paths', () => {
  test.each([
    ['/health/../admin', '/admin', true],
    ['/health/%2e%2E/admin', '/admin', true],
    ['/health/.%2e/admin?x=/../y', '/admin', true],
    ['/./a', '/a', true],
    ['/a/..', '/', true],
    ['/a\\..\\b', '/b', true],
    ['/a\\b', '/a/b', false],
    ['/.well-known/a..b/...', '/.well-known/a..b/...', false],
    ['/a?b=/../c', '/a', false],
    ['http://h/a/../b?c', '/b', false],
  ])('%s is normalized to %s', (target, path, hasDots) => {
    expect(normalizedPathOf(target)).toBe(path);
    expect(hasDotSegments(pathOf(target))).toBe(hasDots);
  });
});

test.each([
  ['http://h/a?u=http://x/', '/a'],
  ['http://h', '/'],
  ['http://h?u=/x', '/'],
  ['/a?u=http://x/', '/a'],
  ['/proxy/http://x/y', '/proxy/http://x/y'],
  ['users/7', 'users/7'],
  ['users/7?u=http://x/', 'users/7'],
])('the path of %s', (url, path) => {
  expect(partsOfUrl(url)).toMatchObject({ url, path });
});
