import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Summary, sumRoutes, sumStatus, sumUrls, TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { DocsProject, ROOT } from '../docs/documentation.ts';

/** Keys of a summary, with their hits. */
type Sums = [key: string | null, hits: number][];

const ROUTES: Sums = [
  ['/users/:id', 2],
  ['/', 1],
  [null, 1],
];
const EXAMPLES: Record<string, { summary: Summary; sums: (origin: string) => Sums; statuses: Sums }> = {
  ...Object.fromEntries(
    ['express', 'fastify', 'hono', 'koa', 'nestjs'].map((name) => [
      name,
      {
        summary: sumRoutes,
        sums: () => ROUTES,
        statuses: [
          ['200', 3],
          ['404', 1],
        ],
      },
    ]),
  ),
  'node-http': {
    summary: sumUrls,
    sums: (origin) => [
      [`${origin}/`, 1],
      [`${origin}/nowhere`, 1],
      [`${origin}/users/7`, 1],
      [`${origin}/users/8`, 1],
    ],
    statuses: [
      ['404', 3],
      ['200', 1],
    ],
  },
};

let project: DocsProject;
beforeAll(() => {
  project = new DocsProject();
});
afterAll(() => project.remove());

/** Copies an example to a separate project. Returns its directory and main file. */
function copy(name: string): { directory: string; main: string } {
  const directory = project.directory();
  cpSync(join(ROOT, 'examples', name), directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  if (name !== 'nestjs') return { directory, main: 'main.js' };
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler], { cwd: directory, stdio: 'pipe' });
  return { directory, main: 'dist/main.js' };
}

/** Returns the URL of an example, which is its first line of output. */
async function originOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error('the example ended without output');
}

const sumsOf = (rows: { key: string | null; hits: number }[]): Sums =>
  rows.map(({ key, hits }) => [key, hits]);

test('every example is tested here or in another file', () => {
  const others = ['custom-storage', 'shop'];
  expect(readdirSync(join(ROOT, 'examples')).sort()).toEqual([...Object.keys(EXAMPLES), ...others].sort());
});

describe.each(Object.entries(EXAMPLES))('%s', (name, { summary, sums, statuses }) => {
  test('runs, counts, and exits on SIGTERM', async () => {
    const { directory, main } = copy(name);
    const child = spawn(process.execPath, [main], {
      cwd: directory,
      env: { ...process.env, PORT: '0', HOST: '127.0.0.1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    const stderr = text(child.stderr);
    try {
      const origin = await Promise.race([
        originOf(child),
        stderr.then((output) => Promise.reject(new Error(`the example ended: ${output}`))),
      ]);
      const responses = [];
      for (const path of ['/', '/users/7', '/users/8', '/health', '/nowhere']) {
        const response = await fetch(origin + path);
        responses.push([response.status, await response.text()]);
      }
      expect(responses[0]).toEqual([200, 'Hello!']);
      expect(responses[1]).toEqual(name === 'node-http' ? [404, ''] : [200, 'User 7']);
      expect(responses[3]).toEqual([200, 'fine']);
      expect(responses[4]![0]).toBe(404);

      const expected = sums(origin);
      await vi.waitFor(
        async () => {
          const rows = await (await fetch(`${origin}/admin/usage`)).json();
          expect(sumsOf(rows as { key: string; hits: number }[])).toEqual(expected);
        },
        { timeout: 20_000, interval: 50 },
      );

      child.kill('SIGTERM');
      const [code, signal] = await ended;
      // Nest lets a signal end the process when it is done.
      expect([code, signal]).toEqual(name === 'nestjs' ? [null, 'SIGTERM'] : [0, null]);
      expect(await stderr).toBe('');

      const journal = { dir: join(directory, '.track-usage') };
      const usage = new TrackUsage(
        null,
        new SqliteStorage(join(directory, 'usage.db'), { hooks: [summary, sumStatus] }),
        {
          journal,
          geo: false,
        },
      );
      expect(sumsOf(await usage.getSum(summary.name, { period: 'day' }))).toEqual(expected);
      expect(sumsOf(await usage.getSum(sumStatus, { period: 'day' }))).toEqual(statuses);
      await usage.close();
    } finally {
      if (child.exitCode === null && child.signalCode === null) process.kill(child.pid!, 'SIGKILL');
      await ended;
    }
  });
});
