import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { urlShortener } from '../../src/formats/short-urls.ts';
import type { UsageRecord } from '../../src/index.ts';
import { lines, run, temporaryDirectory, track } from './support.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, 'usage.db');
  await using app = await track(directory.path, { timeZone: 'Europe/Berlin', site: 'shop' });
  await app.visit(
    { at: '2026-07-01T22:30:00.250Z', path: '/a?bytes=1234567', headers: { 'User-Agent': FIREFOX } },
    { at: '2026-11-02T10:00:00Z', path: '/fail?a=1&a=2', method: 'DELETE' },
  );
});
afterAll(() => directory[Symbol.asyncDispose]());

const usage = (...argv: string[]) => run(['usage', ...argv, '--storage', path, '--site', 'shop']);

test('prints a table in the time zone of the site', async () => {
  expect(await usage()).toEqual({
    code: 0,
    err: '',
    out: lines`
      Date                        Status  Transfer  Duration  IP address  Browser  Request
      2026-11-02 11:00:00 +01:00     500       0 B    1.5 ms  127.0.0.1   (none)   DELETE /fail?a=1&a=2
      2026-07-02 00:30:00 +02:00     200    1.2 MB    1.5 ms  127.0.0.1   Firefox  GET /a?bytes=1234567
    `,
  });
});

test('table of 80 columns: the offset is in the heading, and the request has room', async () => {
  const { out } = await run(['usage', '--storage', path, '--site', 'shop', '--limit', '1'], { columns: 80 });
  expect(out).toBe(lines`
    Date (+01:00)        Status  Transfer  Duration  Request
    2026-11-02 11:00:00     500       0 B    1.5 ms  DELETE /fail?a=1&a=2
  `);
  const { out: both } = await run(['usage', '--storage', path, '--site', 'shop'], { columns: 80 });
  expect(both.split('\n').filter((line) => line.length > 80)).toEqual([]);
  expect(both).toContain('GET /a?bytes=1234567');
});

test('the host is shown only where there are several', () => {
  const one = urlShortener(['http://shop.example/a?b', 'https://shop.example']);
  expect(['http://shop.example/a?b', 'https://shop.example', '*'].map(one)).toEqual(['/a?b', '/', '*']);
  const several = urlShortener(['http://shop.example/a', 'http://blog.example/a', '/path']);
  expect(['http://shop.example/a', '/path', 'http://'].map(several)).toEqual(['shop.example/a', '/path', '']);
});

test('prints a table of a range and of a page', async () => {
  const statuses = async (...argv: string[]) => (await usage(...argv)).out.match(/\b[25]00\b/g);
  expect(await statuses('--to', '2026-07-02T00:31')).toEqual(['200']);
  expect(await statuses('--from', '2026-07-02T00:31')).toEqual(['500']);
  expect(await statuses('--limit', '1')).toEqual(['500']);
  expect(await statuses('--limit', '1', '--page', '2')).toEqual(['200']);
});

test('prints the records as JSON', async () => {
  const records = JSON.parse((await usage('--format', 'json')).out) as UsageRecord[];
  expect(records).toMatchObject([
    {
      date: '2026-11-02T11:00:00+01:00',
      site: 'shop',
      method: 'DELETE',
      url: 'http://shop.example/fail?a=1&a=2',
      query: { a: ['1', '2'] },
      status: 500,
      userAgent: null,
    },
    {
      date: '2026-07-02T00:30:00.250+02:00',
      contentLength: 1_234_567,
      duration: 1500,
      userAgent: { string: FIREFOX, browser: 'Firefox', version: '126.0', platform: 'Linux' },
    },
  ]);
});

test('prints all fields as CSV', async () => {
  expect((await usage('--format', 'csv')).out).toBe(
    [
      'date,site,serverName,method,url,path,route,routeParams,query,protocol,status,class,contentLength,received,duration,' +
        'remoteAddr,forwardedFor,userAgent,browser,version,platform,device,language,referrer,referrerHost,campaign,' +
        'username,authorization,' +
        'visitor,country,geo,bot,vars,blueprint',
      '2026-11-02T11:00:00+01:00,shop,shop,DELETE,http://shop.example/fail?a=1&a=2,/fail,,,' +
        '"{""a"":[""1"",""2""]}",HTTP/1.1,500,api,0,0,1500,127.0.0.1,,,,,,,,,,,,false,,,,false,,',
      '2026-07-02T00:30:00.250+02:00,shop,shop,GET,http://shop.example/a?bytes=1234567,/a,,,' +
        `"{""bytes"":""1234567""}",HTTP/1.1,200,page,1234567,0,1500,127.0.0.1,,${FIREFOX},Firefox,126.0,Linux,desktop,,,,,,false,,,,false,,`,
      '',
    ].join('\r\n'),
  );
});

test('succeeds without rows, with a hint for the table', async () => {
  const to = ['--to', '2020-01-01'];
  expect(await usage(...to)).toEqual({
    code: 0,
    out: '',
    err: 'Nothing found: check --from, --to, --page and --site.\n',
  });
  expect(await usage(...to, '--format', 'json')).toEqual({ code: 0, out: '[]\n', err: '' });
});
