import { renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stop } from 'esbuild-wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUNDLERS } from './bundlers.ts';
import { Consumer, run, serverHits } from './consumer.ts';

const FORMATS = ['esm', 'cjs'] as const;
const CASES = Object.keys(BUNDLERS).flatMap((bundler) => FORMATS.map((format) => ({ bundler, format })));
const SERVED = { responses: ['hello', 'hello', 'hello'], captured: 3, state: 'file', writerRestarts: 0 };
const HITS = [
  ['/', 2],
  ['/about', 1],
];
let consumer: Consumer;

beforeAll(async () => {
  consumer = await Consumer.create();
}, 120_000);
afterAll(async () => {
  await stop();
  consumer?.remove();
});

/** Bundles the app into a folder. */
async function bundle(
  bundler: string,
  format: 'esm' | 'cjs',
  external: boolean | 'half',
  name = `${bundler}-${format}-${external}`,
) {
  const cwd = consumer.folder(name, 'esm.mjs');
  const file = join(cwd, 'dist', format === 'esm' ? 'app.mjs' : 'app.cjs');
  await BUNDLERS[bundler]!({ input: join(cwd, 'esm.mjs'), output: file, format, external });
  return { cwd, file };
}

describe.each(CASES)('$bundler, $format', ({ bundler, format }) => {
  test('with track-usage external: it tracks', async () => {
    const { cwd, file } = await bundle(bundler, format, true);
    const result = await run([file], { cwd });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({ ...SERVED, ready: null, hits: HITS });
  });

  test('with everything in one file: the app works, one error says what to do, and nothing is lost', async () => {
    const { cwd, file } = await bundle(bundler, format, false);
    // A deployment has no node_modules, and no folder of the machine that bundled the app.
    const modules = join(consumer.directory, 'node_modules');
    renameSync(modules, `${modules}-away`);
    const result = await run([file], { cwd });
    renameSync(`${modules}-away`, modules);
    expect(JSON.parse(result.stdout)).toMatchObject({ ...SERVED, ready: 'WRITER_FILE', hits: 'WRITER_FILE' });
    expect(result.code).toBe(0);
    expect(result.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(
        /^track-usage: cannot load .*mark "track-usage" and "track-usage\/sqlite" as external/,
      ),
    ]);

    // With the package installed, the next start stores the records of the journal.
    await bundle(bundler, format, true, basename(cwd));
    await run([file], { cwd });
    expect(await serverHits(consumer, cwd)).toBe(6);
  });
});

test('with only "track-usage" external: the app works, and an error is reported', async () => {
  const { cwd, file } = await bundle('rolldown', 'esm', 'half');
  // The writer thread starts and retries without end.
  const result = await run([file], { cwd, env: { TIMEOUT: '1000' } });
  expect(JSON.parse(result.stdout)).toMatchObject({ ...SERVED, ready: 'WRITER_FILE', hits: 'WRITER_FILE' });
  expect(result.stderr).toMatch(
    /cannot load .*storages\/sqlite\/module.js.*"track-usage\/sqlite" as external/,
  );
});
