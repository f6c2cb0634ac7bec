import { describe, expect, test } from 'vitest';
import { REQUEST_CLASSES } from '../../src/record.ts';
import { classOf, codeOfChoice, codeOfType } from '../../src/summaries/request-class.ts';

const GET = { method: 'GET', status: 200 };

describe('the class by default', () => {
  test.each([
    ['text/html; charset=utf-8', '/', 'page'],
    ['TEXT/HTML', '/a.php', 'page'],
    ['application/xhtml+xml', '/', 'page'],
    ['application/json; charset=utf-8', '/users/7', 'api'],
    ['application/problem+json', '/users/7', 'api'],
    ['text/event-stream', '/live', 'api'],
    ['text/plain', '/health', 'api'],
    ['text/plain', '/robots.txt', 'asset'],
    ['application/octet-stream', '/app.js.map', 'asset'],
    ['application/octet-stream', '/data', 'api'],
    ['text/css', '/theme', 'asset'],
    ['application/javascript', '/app', 'asset'],
    ['image/svg+xml', '/logo', 'asset'],
    ['font/woff2', '/font', 'asset'],
    ['application/manifest+json', '/manifest', 'asset'],
    ['nonsense', '/', 'api'],
    // Without a type, as in 304 and 204.
    ['', '/', 'page'],
    ['', '/about', 'page'],
    ['', '/static/app.CSS', 'asset'],
    ['', '/api/users', 'api'],
    ['', '/apian', 'page'],
    ['', '/feed.xml', 'api'],
  ] as const)('of "%s" at %s is %s', (type, path, expected) => {
    expect(classOf({ ...GET, code: codeOfType(type), path })).toBe(expected);
  });

  test('of an error is that of its path, because frameworks send a page with it', () => {
    const code = codeOfType('text/html');
    const error = { ...GET, status: 404, code };
    expect(classOf({ ...error, path: '/static/missing.png' })).toBe('asset');
    expect(classOf({ ...error, path: '/api/missing' })).toBe('api');
    expect(classOf({ ...error, path: '/missing' })).toBe('page');
    expect(classOf({ ...error, path: '/missing', code: codeOfType('application/json') })).toBe('api');
  });

  test('of a response without a type depends on the method', () => {
    const request = { status: 204, path: '/a', code: codeOfType('') };
    expect(classOf({ ...request, method: 'HEAD' })).toBe('page');
    expect(classOf({ ...request, method: 'POST' })).toBe('api');
  });
});

test('a chosen class takes precedence, and has a code of its own', () => {
  const request = { ...GET, status: 404, path: '/app.css' };
  const codes = REQUEST_CLASSES.map(codeOfChoice);
  expect(codes).toEqual([5, 6, 7]);
  expect(codes.map((code) => classOf({ ...request, code }))).toEqual(REQUEST_CLASSES);
});

test('codes of types fit into a journal, whatever the app sends', () => {
  for (let n = 0; n < 500; n++) expect(codeOfType(`multipart/mixed; boundary=${n}`)).toBe(2);
  expect([codeOfType(''), codeOfType('text/html'), codeOfType('image/png')]).toEqual([4, 1, 3]);
});
