/** The custom storage of `examples`: under the conformance suite, run by node:test, and in an app. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { blocks, DocsProject, ROOT } from '../docs/documentation.ts';

let project: DocsProject;
let directory: string;

beforeAll(() => {
  project = new DocsProject();
  directory = project.directory();
  cpSync(join(ROOT, 'examples/custom-storage'), directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
});
afterAll(() => project.remove());

function start(args: string[]) {
  const child = spawn(process.execPath, args, {
    cwd: directory,
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, ended: once(child, 'exit'), stderr: text(child.stderr) };
}

test('passes the conformance suite in node:test', { timeout: 300_000 }, async () => {
  const { child, ended, stderr } = start(['--test', '--test-reporter=tap', 'json-lines.test.ts']);
  try {
    const output = await text(child.stdout);
    const failed = output.split('\n').filter((line) => /^\s*not ok /.test(line));
    expect({ failed, stderr: await stderr }).toEqual({ failed: [], stderr: '' });
    const createLocation = () => Promise.reject<TestLocation>(new Error('only the names are wanted'));
    const cases = storageCases({
      name: 'json-lines',
      interfaces: ['library', 'http'],
      createLocation,
      cannot: {
        maintenance: 'lines are only appended',
        maxKeys: 'the writer keeps no sums, only positions',
        visitorKeys: 'the file is only appended, so an old key cannot be deleted',
      },
    });
    expect(cases.length).toBeGreaterThan(40);
    expect(output).toContain(`\n# pass ${cases.length}\n`);
    expect(await ended).toEqual([0, null]);
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended;
  }
});

test('runs, counts, and continues after SIGKILL', async () => {
  for (const [hits, signal] of [
    [1, 'SIGKILL'],
    [2, 'SIGTERM'],
  ] as const) {
    const { child, ended, stderr } = start(['main.ts']);
    try {
      const [origin] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
      expect(await (await fetch(origin)).text()).toBe('Hello!');
      await vi.waitFor(
        async () => {
          const rows = (await (await fetch(`${origin}/admin/usage`)).json()) as { hits: number }[];
          expect(rows.reduce((sum, row) => sum + row.hits, 0)).toBe(hits);
        },
        { timeout: 20_000, interval: 50 },
      );
      child.kill(signal);
      expect(await ended).toEqual(signal === 'SIGTERM' ? [0, null] : [null, signal]);
      expect(await stderr).toBe('');
    } finally {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    }
  }
});

test('has fewer than 150 lines, and includes the code in its page', () => {
  const files = ['json-lines.ts', 'json-lines.test.ts'].map((name) =>
    readFileSync(join(directory, name), 'utf8'),
  );
  expect(files[0]!.trimEnd().split('\n').length).toBeLessThan(150);
  const shown = blocks('docs/guides/custom-storages.md', 'ts');
  expect(shown.length).toBeGreaterThan(5);
  for (const block of shown)
    expect(files.some((file) => dedented(file).includes(dedented(block)))).toBe(true);
});

/** Returns a text without indentation. */
function dedented(text: string): string {
  return text.trim().replace(/^ +/gm, '');
}
