import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sumBasic, sumStatus } from '../../src/index.ts';
import { wallClock } from '../../src/platform/clock.ts';
import { run, temporaryDirectory, track } from './support.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, 'usage.db');
  await using app = await track(directory.path, { timeZone: 'Europe/Berlin' }, [sumBasic, sumStatus]);
  await app.visit(
    { at: '2026-09-30T21:59:00Z', path: '/a' },
    { at: '2026-09-30T22:00:00Z', path: '/a?bytes=1000' },
    { at: '2026-10-31T22:59:00Z', path: '/fail' },
    { at: '2026-11-02T10:00:00Z', path: '/b', headers: { 'User-Agent': '<script>alert(1)</script>' } },
  );
});
afterAll(() => directory[Symbol.asyncDispose]());
beforeEach(() => {
  const clock = vi.spyOn(wallClock, 'now').mockReturnValue(Date.parse('2026-11-25T20:36:00Z'));
  return () => clock.mockRestore();
});

const report = (...argv: string[]) => run(['report', '--storage', path, ...argv]);
const reportJson = async (...argv: string[]) => JSON.parse((await report('--format', 'json', ...argv)).out);

describe('the range', () => {
  test('defaults to the last full month in the time zone of the site', async () => {
    const { site, totals, series, top } = await reportJson();
    expect(site).toMatchObject({ site: 'default', timeZone: 'Europe/Berlin' });
    expect(totals).toMatchObject({
      range: { from: '2026-10-01T00:00:00+02:00', to: '2026-10-31T23:00:00+01:00' },
      totals: { hits: 2, transfer: 1000, errors: 1 },
      previous: { range: { from: '2026-09-01T00:00:00+02:00' }, totals: { hits: 1 } },
    });
    expect(series.buckets).toHaveLength(31);
    expect(top.map(({ summary }: { summary: string }) => summary)).toEqual([
      'urls',
      'remotes',
      'languages',
      'server',
      'status',
    ]);
    const full = await reportJson('--full');
    expect(full.top.map(({ summary }: { summary: string }) => summary)).toContain('user-agents');
  });

  test.each([
    [['--month', '2026-11'], '2026-11-01T00:00:00+01:00', '2026-11-25T21:00:00+01:00', 1],
    [['--range', '30d'], '2026-10-27T00:00:00+01:00', '2026-11-25T21:00:00+01:00', 2],
    [['--range', 'all'], '2026-09-01T00:00:00+02:00', '2026-11-25T21:00:00+01:00', 4],
    [
      ['--from', '2026-10-01', '--to', '2026-10-30'],
      '2026-10-01T00:00:00+02:00',
      '2026-10-30T23:00:00+01:00',
      1,
    ],
    [['--to', '2026-09'], '2026-09-01T00:00:00+02:00', '2026-09-30T23:00:00+02:00', 1],
  ] as const)('%j', async (argv, from, to, hits) => {
    const { totals } = await reportJson(...argv);
    expect(totals).toMatchObject({ range: { from, to }, totals: { hits } });
  });

  test.each([
    [['--month', '2026-13'], /^option '--month <month>' argument '2026-13' is invalid\. Expected a month/],
    [['--month', '2026-10-01'], /^option '--month <month>' argument .* is invalid/],
    [['--month', '2026-10', '--range', '7d'], /'--month <month>' cannot be used with/],
    [['--month', '2026-10', '--from', '2026-10-01'], /'--month <month>' cannot be used with/],
    [['--range', '7d', '--to', '2026-10-01'], /'--range <range>' cannot be used with/],
    [
      ['--range', '8d'],
      /^option '--range <range>' argument '8d' is invalid\. Allowed choices are 1h, 24h, today,/,
    ],
    [['--format', 'pdf'], /^option '--format <format>' argument 'pdf' is invalid/],
    [['--from', 'yesterday'], /^from is "yesterday"; expected a date/],
    [['--from', '2027-01-01'], /^from is "2027-01-01"; expected a time in the past/],
    [
      ['--from', '2026-10-02', '--to', '2026-10-01'],
      /^from is "2026-10-02"; expected a time that is not after/,
    ],
  ] as const)('usage error: %j', async (argv, message) => {
    const { code, out, err } = await report(...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.replace(/^track-usage: /, '')).toMatch(message);
  });
});

describe('the format', () => {
  test('defaults to HTML', async () => {
    const { code, out, err } = await report('--month', '2026-11', '--full');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^<!doctype html>\n[\s\S]*<\/html>\n$/);
    expect(out).toContain('&#60;script&#62;alert(1)&#60;/script&#62;');
    expect(out).not.toContain('<script');
  });

  test('is HTML for an email, which is the only format of --email', async () => {
    const { code, out } = await report('--month', '2026-11', '--email');
    expect(code).toBe(0);
    expect(out).toMatch(/^<!doctype html>/);
    expect(out).not.toContain('<svg');
    expect((await report('--email', '--format', 'json')).code).toBe(2);
  });

  test('is Markdown', async () => {
    const { out } = await report('--month', '2026-11', '--format', 'markdown', '--full');
    expect(out).toMatch(/^# Usage of `shop.example`\n\n\*\*1 November 2026 to 25 November 2026, 21:59\*\*/);
    expect(out).toContain('| `<script>alert(1)</script>` | 1 | 100% | 0 B |\n');
  });

  test('JSON can be shown in a terminal', async () => {
    const { out } = await report('--format', 'json');
    expect(out).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    expect(out.split('\n').length).toBeGreaterThan(8);
  });
});

describe('--out', () => {
  test('writes the file completely, and leaves no temporary file', async () => {
    await using temporary = await temporaryDirectory();
    const file = join(temporary.path, 'report.html');
    expect(await report('--out', file)).toEqual({ code: 0, out: '', err: '' });
    const first = await readFile(file, 'utf8');
    expect(first).toBe((await report('--out', '-')).out);
    await chmod(file, 0o640);
    expect(await report('-o', file, '--format', 'markdown')).toEqual({ code: 0, out: '', err: '' });
    expect(await readFile(file, 'utf8')).toMatch(/^# Usage of/);
    if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect(await readdir(temporary.path)).toEqual(['report.html']);
  });

  test('keeps the existing file if the query fails', async () => {
    await using temporary = await temporaryDirectory();
    const file = join(temporary.path, 'report.html');
    await writeFile(file, 'the old one');
    expect((await report('--out', file, '--from', 'yesterday')).code).toBe(2);
    expect((await run(['report', '-s', join(temporary.path, 'no.db'), '-o', file])).code).toBe(1);
    expect(await readFile(file, 'utf8')).toBe('the old one');
    expect(await readdir(temporary.path)).toEqual(['report.html']);
  });

  test('reports a file that cannot be written', async () => {
    await using temporary = await temporaryDirectory();
    const inMissingDirectory = join(temporary.path, 'none/report.html');
    expect(await report('--out', inMissingDirectory)).toEqual({
      code: 1,
      out: '',
      err: `track-usage: cannot write ${inMissingDirectory}: no such file or directory (ENOENT); choose another path, or check the permissions and the free space of its directory.\n`,
    });
    await mkdir(join(temporary.path, 'directory'));
    expect(await report('--out', join(temporary.path, 'directory'))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^track-usage: cannot write .*directory: [a-z ]+ \(EISDIR\); choose .*\n$/),
    });
    expect(await readdir(temporary.path)).toEqual(['directory']);
  });

  test.skipIf(process.platform === 'win32')('keeps a link, and writes to a pipe', async () => {
    await using temporary = await temporaryDirectory();
    const [file, link, pipe] = ['report.html', 'latest.html', 'pipe'].map((name) =>
      join(temporary.path, name),
    );
    await writeFile(file!, 'the old one');
    await symlink(file!, link!);
    await report('--out', link!);
    expect(await readFile(file!, 'utf8')).toMatch(/^<!doctype html>/);
    execFileSync('mkfifo', [pipe!]);
    const [text] = await Promise.all([readFile(pipe!, 'utf8'), report('--out', pipe!)]);
    expect(text).toMatch(/^<!doctype html>/);
    expect((await readdir(temporary.path)).sort()).toEqual(['latest.html', 'pipe', 'report.html']);
  });
});

describe('no data', () => {
  test('an empty database', async () => {
    await using temporary = await temporaryDirectory();
    const empty = join(temporary.path, 'new.db');
    await writeFile(empty, '');
    const { code, out, err } = await run(['report', '--storage', empty]);
    const message = 'No data for the site "default": check the storage and the name of the site.';
    expect({ code, err }).toEqual({ code: 3, err: `${message}\n` });
    expect(out).toContain(message.replaceAll('"', '&#34;'));
  });

  test('another site, or another month', async () => {
    expect(await report('--site', 'blog')).toMatchObject({
      code: 3,
      err: 'No data for the site "blog": check the storage and the name of the site.\n',
    });
    for (const month of ['2026-07', '2027-01']) {
      expect(await report('--month', month)).toMatchObject({
        code: 3,
        err: 'No hits of the site "default" in this range. The storage has hits from 2026-09 to 2026-11: choose a range with --month, or with --from and --to.\n',
      });
    }
  });

  test('no database', async () => {
    const missing = join(directory.path, 'missing.db');
    expect(await run(['report', '--storage', missing])).toEqual({
      code: 1,
      out: '',
      err: `track-usage: no database found at ${missing}; check the path or URL; a tracked app creates the database.\n`,
    });
  });
});

test('the help has examples', async () => {
  const { code, out } = await run(['report', '--help']);
  expect(code).toBe(0);
  expect(out).toMatch(/^Usage: track-usage report \[options\]/);
  expect(out).toMatch(/\nExamples:\n {2}track-usage report --storage usage\.db --out october\.html/);
});
