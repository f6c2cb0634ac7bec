import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Consumer, run, serverHits } from './consumer.ts';

const TRACKED = {
  responses: ['hello', 'hello', 'hello'],
  ready: null,
  hits: [
    ['/', 2],
    ['/about', 1],
  ],
  captured: 3,
  state: 'file',
  storage: { ok: true, committed: 3 },
  writerRestarts: 0,
};
let consumer: Consumer;

beforeAll(async () => {
  // The path has characters with a special meaning in URLs.
  consumer = await Consumer.create('an app #1, 100%25 üñ日');
}, 120_000);
afterAll(() => consumer?.remove());

let folders = 0;
const folder = (...apps: string[]) => consumer.folder(`folder-${folders++}`, 'esm.mjs', ...apps);

describe('the app tracks without output on stderr', () => {
  test('in a path with spaces, #, % and non-ASCII letters', async () => {
    const result = await run(['esm.mjs'], { cwd: folder() });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject(TRACKED);
  });

  test.each([
    ['--disallow-code-generation-from-strings'],
    ['--frozen-intrinsics'],
    ['--disable-proto=throw'],
    ['--no-experimental-require-module'],
    ['--preserve-symlinks'],
    ['--pending-deprecation'],
    ['--trace-deprecation', '--throw-deprecation'],
    ['--unhandled-rejections=strict'],
  ])('under %s', async (...flags) => {
    // Node warns about experimental features.
    const result = await run([...flags, '--disable-warning=ExperimentalWarning', 'esm.mjs'], {
      cwd: folder(),
    });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject(TRACKED);
  });

  test('with preloaded modules in every thread, and module hooks', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'first.cjs'), 'globalThis.first = true;');
    writeFileSync(
      join(cwd, 'hooks.mjs'),
      `import { register } from 'node:module';
       const source = 'export const load = (url, context, next) => next(url, context);';
       register('data:text/javascript,' + encodeURIComponent(source));`,
    );
    const NODE_OPTIONS = '--require ./first.cjs --import ./hooks.mjs';
    const result = await run(['--disable-warning=DEP0205', 'esm.mjs'], { cwd, env: { NODE_OPTIONS } });
    expect(JSON.parse(result.stdout)).toMatchObject(TRACKED);
    expect(result.code).toBe(0);
  });

  test('when it changes the working directory: relative paths refer to the previous one', async () => {
    const cwd = folder();
    const countries = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';
    copyFileSync(createRequire(import.meta.url).resolve(countries), join(cwd, 'countries.mmdb'));
    const result = await run(['esm.mjs'], { cwd, env: { CHDIR: '/', GEO: 'countries.mmdb' } });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject(TRACKED);
    expect(await serverHits(consumer, cwd)).toBe(3);
  });

  test('in a worker thread: the second thread stores the records of a terminated one', async () => {
    const cwd = folder('threads.mjs', 'killed.mjs');
    const result = await run(['threads.mjs'], { cwd, env: { TOTAL: '5' } });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { hits, storage, ...rest } = JSON.parse(result.stdout);
    expect(rest).toMatchObject({ responses: TRACKED.responses, ready: null, captured: 3, state: 'file' });
    expect(storage).toMatchObject({ ok: true, committed: 3 });
    expect(await serverHits(consumer, cwd)).toBe(5);
  });

  test('when it is ended by SIGTERM, as by systemd and containers: the next start stores its records', async () => {
    const cwd = folder('killed.mjs');
    const result = await run(['killed.mjs'], { cwd, env: { SIGNAL: 'SIGTERM' } });
    expect(result).toMatchObject({ code: null, stderr: '' });
    await run(['esm.mjs'], { cwd, env: { TOTAL: '5' } });
    expect(await serverHits(consumer, cwd)).toBe(5);
  });
});

test('node --watch: a restart loses nothing, and storing does not cause a restart', async () => {
  const cwd = folder('watched.mjs');
  const watcher = spawn(process.execPath, ['--watch', '--watch-preserve-output', 'watched.mjs'], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pids: number[] = [];
  try {
    const output = createInterface({ input: watcher.stdout });
    const starts = portsOf(output, pids);
    const request = async (port: number, count: number) => {
      for (let i = 0; i < count; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    };
    await request((await starts.next()).value!, 2);
    appendFileSync(join(cwd, 'watched.mjs'), '// changed\n');
    await request((await starts.next()).value!, 1);
    await end(watcher);
    expect(pids).toHaveLength(2);
  } finally {
    await end(watcher);
    for (const pid of pids) endPid(pid);
  }
  const result = await run(['esm.mjs'], { cwd, env: { TOTAL: '6' } });
  expect(JSON.parse(result.stdout)).toMatchObject({ responses: TRACKED.responses });
  expect(await serverHits(consumer, cwd)).toBe(6);
});

async function* portsOf(lines: AsyncIterable<string>, pids: number[]): AsyncGenerator<number, undefined> {
  for await (const line of lines) {
    const [, port, pid] = /^PORT (\d+) PID (\d+)\.$/.exec(line) ?? [];
    if (!port) continue;
    pids.push(Number(pid));
    yield Number(port);
  }
  return undefined;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function endPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}
