import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory, track } from './support.ts';

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url));
const PACKAGE = new URL('../../package.json', import.meta.url);

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  await using app = await track(directory.path);
  // More than a pipe holds.
  const path = `/${'a'.repeat(4000)}`;
  await app.visit(...Array.from({ length: 40 }, () => ({ at: '2026-11-02T10:00:00Z', path })));
});
afterAll(() => directory[Symbol.asyncDispose]());

function start(...argv: string[]) {
  const child = spawn(process.execPath, [BIN, ...argv], {
    cwd: directory.path,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const err = text(child.stderr);
  const ended = once(child, 'close').then(async ([code, signal]) => ({ code, signal, err: await err }));
  return { child, ended };
}

test('runs as a program', async () => {
  const { child, ended } = start('usage', '--storage', 'usage.db', '--format', 'json');
  const out = await text(child.stdout);
  expect(await ended).toEqual({ code: 0, signal: null, err: '' });
  expect(JSON.parse(out)).toHaveLength(40);
  expect(out.length).toBeGreaterThan(200_000);
});

test('exits with a failure code', async () => {
  const { child, ended } = start('usage', '--storage', 'sqlite:nowhere.db');
  expect(await text(child.stdout)).toBe('');
  expect(await ended).toEqual({
    code: 1,
    signal: null,
    err: expect.stringMatching(/^track-usage: no database found at .*nowhere\.db; .*\n$/),
  });
});

test('prints its version and the help of each command', async () => {
  const { version } = JSON.parse(await readFile(PACKAGE, 'utf8')) as { version: string };
  for (const argv of [['--version'], ['sum', '--version'], ['usage', '-V']]) {
    const { child, ended } = start(...argv);
    expect(await text(child.stdout)).toBe(`${version}\n`);
    expect(await ended).toEqual({ code: 0, signal: null, err: '' });
  }
  for (const argv of [['--help'], ['sum', '--help'], ['usage', '-h'], ['help', 'sum']]) {
    const { child, ended } = start(...argv);
    const help = await text(child.stdout);
    expect(help).toMatch(/^Usage: track-usage /);
    expect(help).toMatch(/\nExamples:\n {2}track-usage .* --storage /);
    expect(await ended).toEqual({ code: 0, signal: null, err: '' });
  }
});

test('exits without a message when its output is closed', async () => {
  const early = start('usage', '--storage', 'usage.db', '--format', 'json');
  early.child.stdout.destroy();
  expect(await early.ended).toEqual({ code: 0, signal: null, err: '' });

  const midst = start('usage', '--storage', 'usage.db', '--format', 'json');
  await once(midst.child.stdout, 'data');
  midst.child.stdout.destroy();
  expect(await midst.ended).toEqual({ code: 0, signal: null, err: '' });
});
