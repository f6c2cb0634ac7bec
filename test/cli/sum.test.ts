import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sumBasic, sumReferrers } from '../../src/index.ts';
import { lines, run, temporaryDirectory, track } from './support.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, 'usage.db');
  await using app = await track(directory.path, { timeZone: 'Europe/Berlin', serverName: '日本' }, [
    sumBasic,
    sumReferrers,
  ]);
  await app.visit(
    // The night in which the clock is set back from 3:00 to 2:00.
    { at: '2026-10-25T00:30:00Z', path: '/a?bytes=1000', headers: { Referer: 'https://peer.example/' } },
    { at: '2026-10-25T01:30:00Z', path: '/b?bytes=1234567', headers: { 'User-Agent': FIREFOX } },
    { at: '2026-11-02T10:00:00Z', path: '/a?bytes=1000' },
    { at: '2026-11-02T11:00:00Z', path: '/a?bytes=1000' },
    { at: '2026-11-02T12:00:00Z', path: '/fail' },
  );
});
afterAll(() => directory[Symbol.asyncDispose]());

const sum = (...argv: string[]) => run(['sum', ...argv, '--storage', `sqlite:${path}`]);

describe('table', () => {
  test('by day, the default', async () => {
    expect(await sum('urls')).toEqual({
      code: 0,
      err: '',
      out: lines`
                                            Avg. response
        Date        Hits  Transfer  Errors           time  Key
        2026-11-02     2    2.0 kB       0         1.5 ms  http://shop.example/a?bytes=1000
        2026-11-02     1       0 B       1         1.5 ms  http://shop.example/fail
        2026-10-25     1    1.0 kB       0         1.5 ms  http://shop.example/a?bytes=1000
        2026-10-25     1    1.2 MB       0         1.5 ms  http://shop.example/b?bytes=1234567
        Total          5    1.2 MB       1         1.5 ms
      `,
    });
  });

  test('by hour, with the offset for repeated hours', async () => {
    expect((await sum('urls', '--period', 'hour', '--to', '2026-10-26')).out).toBe(lines`
                                                       Avg. response
      Date                     Hits  Transfer  Errors           time  Key
      2026-10-25 02:00 +01:00     1    1.2 MB       0         1.5 ms  http://shop.example/b?bytes=1234567
      2026-10-25 02:00 +02:00     1    1.0 kB       0         1.5 ms  http://shop.example/a?bytes=1000
      Total                       2    1.2 MB       0         1.5 ms
    `);
  });

  test('by month, with the exported name of the summary', async () => {
    const { out, err } = await sum('sumServer', '--period', 'month');
    expect(out).toBe(lines`
                                       Avg. response
      Date     Hits  Transfer  Errors           time  Key
      2026-11     3    2.0 kB       1         1.5 ms  日本
      2026-10     2    1.2 MB       0         1.5 ms  日本
      Total       5    1.2 MB       1         1.5 ms
    `);
    expect(err).toBe('');
  });

  test('a page labels its sums as those of the page', async () => {
    expect((await sum('urls', '--limit', '2', '--page', '1')).out).toBe(lines`
                                          Avg. response
      Date        Hits  Transfer  Errors           time  Key
      2026-11-02     2    2.0 kB       0         1.5 ms  http://shop.example/a?bytes=1000
      2026-11-02     1       0 B       1         1.5 ms  http://shop.example/fail
      This page      3    2.0 kB       1         1.5 ms
    `);
    expect((await sum('urls', '--limit', '3', '--page', '2')).out).toBe(lines`
                                          Avg. response
      Date        Hits  Transfer  Errors           time  Key
      2026-10-25     1    1.2 MB       0         1.5 ms  http://shop.example/b?bytes=1234567
    `);
    expect((await sum('urls', '--limit', '0')).out).toContain('\nTotal ');
  });

  test('keys are truncated to the terminal width, and (none) is dimmed', async () => {
    const argv = ['sum', 'user-agents', '--storage', path, '--from', '2026-10-25', '--to', '2026-10-25'];
    const terminal = { isTTY: true, columns: 71 };
    const plain = lines`
                                          Avg. response
      Date        Hits  Transfer  Errors           time  Key
      2026-10-25     1    1.2 MB       0         1.5 ms  Mozilla/5.0 (X11; L…
      2026-10-25     1    1.0 kB       0         1.5 ms  (none)
      Total          2    1.2 MB       0         1.5 ms
    `;
    expect((await run(argv, { isTTY: false, columns: 60 })).out).toBe(lines`
      Date        Hits  Transfer  Errors  Key
      2026-10-25     1    1.2 MB       0  Mozilla/5.0 (X11; Linux…
      2026-10-25     1    1.0 kB       0  (none)
      Total          2    1.2 MB       0
    `);
    expect((await run(argv, { ...terminal, env: { NO_COLOR: '1' } })).out).toBe(plain);
    expect((await run(argv, { ...terminal, env: { TERM: 'dumb' } })).out).toBe(plain);
    expect((await run(argv, { ...terminal, env: { NO_COLOR: '' } })).out).toContain(
      '\x1b[2m(none)\x1b[22m\n',
    );
    expect((await run(argv)).out).toContain(FIREFOX);
    expect((await run([...argv, '--format', 'csv'], terminal)).out).toContain(FIREFOX);
  });
});

describe('json', () => {
  test('an array', async () => {
    const { code, out, err } = await sum('referrers', '--period', 'month', '--format', 'json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const measures = (hits: number, transfer: number, errors: number) => ({
      hits,
      transfer,
      errors,
      duration: hits * 1500,
    });
    const november = { period: 'month', date: '2026-11-01T00:00:00+01:00' };
    const october = { period: 'month', date: '2026-10-01T00:00:00+02:00' };
    expect(JSON.parse(out)).toEqual([
      { ...november, key: null, ...measures(3, 2000, 1) },
      { ...october, key: 'https://peer.example/', ...measures(1, 1000, 0) },
      { ...october, key: null, ...measures(1, 1_234_567, 0) },
    ]);
  });

  test('one key, and requests without a key', async () => {
    const keys = async (...argv: string[]) =>
      JSON.parse((await sum('referrers', '--format', 'json', ...argv)).out).map(
        ({ date, key, hits }: { date: string; key: string; hits: number }) => [date.slice(0, 10), key, hits],
      );
    expect(await keys('--target', 'https://peer.example/')).toEqual([
      ['2026-10-25', 'https://peer.example/', 1],
    ]);
    expect(await keys('--target-null')).toEqual([
      ['2026-11-02', null, 3],
      ['2026-10-25', null, 1],
    ]);
    expect(await keys('--target', 'elsewhere')).toEqual([]);
  });
});

test('prints CSV', async () => {
  expect((await sum('referrers', '--period', 'month', '--format', 'csv')).out).toBe(
    lines`
      period,date,key,hits,transfer,errors,duration
      month,2026-11-01T00:00:00+01:00,,3,2000,1,4500
      month,2026-10-01T00:00:00+02:00,https://peer.example/,1,1000,0,1500
      month,2026-10-01T00:00:00+02:00,,1,1234567,0,1500
    `.replaceAll('\n', '\r\n'),
  );
});

describe('no rows', () => {
  test('is a success, with a hint for the table', async () => {
    const hint = 'Nothing found: check --from, --to, --page, --target and --site.\n';
    const range = ['--from', '2026-11-03'];
    expect(await sum('urls', ...range)).toEqual({ code: 0, out: '', err: hint });
    expect(await sum('urls', ...range, '--format', 'json')).toEqual({ code: 0, out: '[]\n', err: '' });
    expect(await sum('urls', ...range, '--format', 'csv')).toEqual({
      code: 0,
      out: 'period,date,key,hits,transfer,errors,duration\r\n',
      err: '',
    });
    expect(await sum('urls', '--site', 'another', '--format', 'json')).toMatchObject({
      code: 0,
      out: '[]\n',
    });
  });

  test('a summary that the storage does not keep says so, in every format', async () => {
    const err =
      'The storage has no data for sumGeo. To count requests, add it to the hooks in the app, then run track-usage rebuild --summary geo to count older ones.\n';
    const range = ['--from', '2026-11-03'];
    expect(await sum('geo', ...range)).toEqual({ code: 0, out: '', err });
    expect(await sum('sumGeo', ...range, '--format', 'json')).toEqual({ code: 0, out: '[]\n', err });
  });
});

test('reports missing coverage on stderr', async () => {
  const gap =
    'sumRoutes does not include 5 hits between 2026-10-25 02:00 and 2026-11-02 13:59, when it was not among the hooks of every app.\n';
  expect((await sum('routes')).err).toContain(gap);
  expect(await sum('routes', '--format', 'json')).toMatchObject({ code: 0, out: '[]\n' });
  expect(
    (await sum('routes', '--period', 'hour', '--to', '2026-11-02T11:00', '--format', 'csv')).err,
  ).toContain(gap.replace('5 hits', '3 hits').replace('13:59', '11:59'));
});

test('reads while another process writes', async () => {
  using writer = new DatabaseSync(path);
  writer.exec('BEGIN IMMEDIATE; UPDATE monthly SET hits = 1000');
  expect(JSON.parse((await sum('server', '--period', 'month', '--format', 'json')).out)).toMatchObject([
    { hits: 3 },
    { hits: 2 },
  ]);
  writer.exec('ROLLBACK');
});
