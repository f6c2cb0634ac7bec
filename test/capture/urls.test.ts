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

/** Sends the head of a request and gives what became of it. */
async function recorded(head: string, host = '127.0.0.1') {
  const site = await serve(node, { host });
  const responses = parseResponses(await exchange(site.address, `${head}\r\nConnection: close\r\n\r\n`));
  const record = await site.recorder.one();
  const { port } = site.address;
  await site.close();
  expect(responses.map(({ status }) => status)).toEqual([200]);
  return { ...record, url: record.url.replace(`:${port}`, ':PORT') };
}

describe('the URL', () => {
  test.each([
    ['GET /health HTTP/1.0', 'http://127.0.0.1:PORT/health', '/health'],
    ['GET /health HTTP/1.1\r\nHost:', 'http://127.0.0.1:PORT/health', '/health'],
    ['GET /a HTTP/1.1\r\nHost: example.org:8080', 'http://example.org:8080/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: [2001:db8::1]:80', 'http://[2001:db8::1]:80/a', '/a'],
    ['GET //a//b HTTP/1.1\r\nHost: h', 'http://h//a//b', '//a//b'],
    ['GET http://shop.example/a?b=c HTTP/1.1\r\nHost: h', 'http://shop.example/a?b=c', '/a'],
    ['OPTIONS * HTTP/1.1\r\nHost: h', 'http://h/*', '/*'],
    // No host, whatever it is
    ['GET /a HTTP/1.1\r\nHost: h/evil?x=', 'http://127.0.0.1:PORT/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: bob:s3cr3t@h', 'http://127.0.0.1:PORT/a', '/a'],
    ['GET /a HTTP/1.1\r\nHost: a b', 'http://127.0.0.1:PORT/a', '/a'],
  ])('%j is %s', async (head, url, path) => {
    expect(await recorded(head)).toMatchObject({ url, path });
  });

  test('without a host on IPv6', async () => {
    expect(await recorded('GET / HTTP/1.0', '::1')).toMatchObject({ url: 'http://[::1]:PORT/', path: '/' });
  });

  test('without a host is the same where the client left', () => {
    const urls = new UrlMaker(createRedactor([]));
    const one = new Exchange();
    expect(urls.make('http://', '', '/a', one)).toBe('http://localhost/a');
    one.connection = {
      socket: { localAddress: '::ffff:192.0.2.1', localPort: 80 },
    } as Exchange['connection'];
    expect(urls.make('http://', '', '/a', one)).toBe('http://192.0.2.1:80/a');
    one.connection = { socket: {} } as Exchange['connection'];
    expect(urls.make('http://', '', '/a', one)).toBe('http://192.0.2.1:80/a');
  });

  test('reads back as the host and the path that were asked for', () => {
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
      fc.property(host, target, method, (given, asked, verb) => {
        const one = new Exchange();
        one.request = { method: verb } as Exchange['request'];
        const url = urls.make('http://', given, asked, one);
        const read = URL.parse(url);
        expect(read?.host).toBeTruthy();
        if (!asked.startsWith('/')) return;
        // Users of URLs within a path are redacted: see redact.test.ts.
        const path = redact(pathOf(asked));
        const wanted = new URL(`http://h${path}`);
        expect(read?.pathname).toBe(wanted.pathname);
        expect(partsOfUrl(url).path.replace(/#.*/, '')).toBe(path.replace(/#.*/, ''));
        const host = URL.parse(`http://${given}/`)?.host;
        expect([host, 'localhost']).toContain(read?.host);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('text of headers', () => {
  test('is UTF-8 where it is valid, and what Node reads otherwise', async () => {
    const head =
      'GET / HTTP/1.1\r\nHost: h\r\nReferer: https://a.example/süß 日本\r\nUser-Agent: Bröwser/1 🦊';
    const record = await recorded(utf8(head));
    expect([record.referrer, record.userAgent?.string]).toEqual([
      'https://a.example/süß 日本',
      'Bröwser/1 🦊',
    ]);
    const latin1 = await recorded('GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Br\xf6wser/1');
    expect(latin1.userAgent?.string).toBe('Bröwser/1');
  });

  test('decodeUtf8 gives back what was sent', () => {
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
  ])('%s routes as %s', (target, path, dots) => {
    expect(normalizedPathOf(target)).toBe(path);
    expect(hasDotSegments(pathOf(target))).toBe(dots);
  });
});
