import { renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stop } from 'esbuild-wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUNDLERS } from './bundlers.ts';
import { Consumer, run, serverHits } from './consumer.ts';

const FORMATS = ['esm', 'cjs'] as const;
const CASES = Object.keys(BUNDLERS).flatMap((bundler) => FORMATS.map((format) => ({ bundler, format })));
const SERVED = { answers: ['hello', 'hello', 'hello'], captured: 3, state: 'file', writerRestarts: 0 };
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
  consumer?.leave();
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
  test('external: it tracks', async () => {
    const { cwd, file } = await bundle(bundler, format, true);
    const said = await run([file], { cwd });
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(said.stdout)).toMatchObject({ ...SERVED, ready: null, hits: HITS });
  });

  test('all in one file: the app is served and told once what to do, and nothing is lost', async () => {
    const { cwd, file } = await bundle(bundler, format, false);
    // Where it is deployed there is no node_modules, and no folder of the machine that bundled it.
    const modules = join(consumer.directory, 'node_modules');
    renameSync(modules, `${modules}-away`);
    const said = await run([file], { cwd });
    renameSync(`${modules}-away`, modules);
    expect(JSON.parse(said.stdout)).toMatchObject({ ...SERVED, ready: 'WRITER_FILE', hits: 'WRITER_FILE' });
    expect(said.code).toBe(0);
    expect(said.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(
        /^track-usage: cannot load .*mark "track-usage" and "track-usage\/sqlite" as external/,
      ),
    ]);

    // With the package in place the next start stores what waited in the journal.
    await bundle(bundler, format, true, basename(cwd));
    await run([file], { cwd });
    expect(await serverHits(consumer, cwd)).toBe(6);
  });
});

test('only "track-usage" external, "track-usage/sqlite" bundled: the app is served and told so', async () => {
  const { cwd, file } = await bundle('rolldown', 'esm', 'half');
  // The writer's thread is there and tries again for ever.
  const said = await run([file], { cwd, env: { PATIENCE: '1000' } });
  expect(JSON.parse(said.stdout)).toMatchObject({ ...SERVED, ready: 'WRITER_FILE', hits: 'WRITER_FILE' });
  expect(said.stderr).toMatch(/cannot load .*storages\/sqlite\/module.js.*"track-usage\/sqlite" as external/);
});
