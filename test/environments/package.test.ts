import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Consumer, ROOT, run, serverHits } from './consumer.ts';
import { findNodes } from './nodes.ts';

const nodes = await findNodes();
const HITS = [
  ['/', 2],
  ['/about', 1],
];
/** Maximum size of the package with its dependencies, in bytes. Raise it on purpose only. */
const MAX_INSTALLED = 6.5 * 1024 * 1024;
let consumer: Consumer;

beforeAll(async () => {
  consumer = await Consumer.create();
  consumer.link('@types/node', '@types/express', 'express');
}, 120_000);
afterAll(() => consumer?.remove());

/** Returns the installed packages, largest first. Packages that a test links are not counted. */
function installedSizes(modules: string): { name: string; bytes: number }[] {
  const { packages } = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')) as {
    packages: Record<string, object>;
  };
  return Object.keys(packages)
    .map((path) => {
      const files = readdirSync(join(dirname(modules), path), { recursive: true, withFileTypes: true });
      const own = files.filter(
        (file) =>
          file.isFile() &&
          !relative(path, relative(dirname(modules), file.parentPath)).includes('node_modules'),
      );
      const bytes = own.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
      return { name: path.replace(/^.*node_modules\//, ''), bytes };
    })
    .sort((a, b) => b.bytes - a.bytes);
}

describe('the packed tarball, installed by npm without scripts', () => {
  test('installs its dependencies, and no package with an install script', () => {
    const lock = join(consumer.directory, 'node_modules/.package-lock.json');
    const { packages } = JSON.parse(readFileSync(lock, 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) expect(packages).toHaveProperty([`node_modules/${name}`]);
    expect(Object.values(packages).filter(({ hasInstallScript }) => hasInstallScript)).toEqual([]);
    const packed = join(consumer.directory, 'node_modules/track-usage');
    expect(existsSync(join(packed, 'dist/writer/thread/main.js'))).toBe(true);
    expect(existsSync(join(packed, 'src'))).toBe(false);
    expect(existsSync(join(packed, 'LICENSE'))).toBe(true);
  });

  test('does not exceed the maximum installed size', () => {
    const modules = join(consumer.directory, 'node_modules');
    const sizes = installedSizes(modules);
    const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    const list = sizes.map(({ name, bytes }) => `${name}: ${Math.ceil(bytes / 1024)} kB`).join('\n');
    // No package is missing in the sum.
    expect(sizes.map(({ name }) => name)).toEqual(expect.arrayContaining(['track-usage', 'valibot']));
    expect(total, `the installed packages have ${total} bytes:\n${list}`).toBeLessThan(MAX_INSTALLED);
  });

  test('has no source map without sources', () => {
    const packed = join(consumer.directory, 'node_modules/track-usage');
    const scripts = globSync('**/*.{js,css,d.ts}', { cwd: packed });
    expect(scripts.length).toBeGreaterThan(100);
    for (const script of scripts) {
      const text = readFileSync(join(packed, script), 'utf8');
      const [, map] = /^\/[/*]# sourceMappingURL=(\S+)/m.exec(text) ?? [];
      if (map === undefined) continue;
      const { sourcesContent } = JSON.parse(readFileSync(join(packed, dirname(script), map), 'utf8'));
      expect(sourcesContent, script).toEqual([expect.any(String)]);
    }
  });

  test('runs npx track-usage --help', () => {
    const help = execFileSync('npx', ['--no-install', 'track-usage', '--help'], {
      cwd: consumer.directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(help).toMatch(/^Usage: track-usage /);
  });

  test('compiles with strict TypeScript and checked library types as ESM and CommonJS, and runs', async () => {
    const folder = consumer.folder('typed', 'typed.mts', 'typed.cts');
    const common = {
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      target: 'es2023',
      lib: ['es2024', 'esnext.disposable'],
      types: ['node'],
    };
    const projects = {
      nodenext: {
        compilerOptions: { ...common, module: 'nodenext', outDir: 'out' },
        files: ['typed.mts', 'typed.cts'],
      },
      bundler: {
        compilerOptions: { ...common, module: 'esnext', moduleResolution: 'bundler', noEmit: true },
        files: ['typed.mts'],
      },
    };
    for (const [name, project] of Object.entries(projects)) {
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(project));
      const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
      expect(await run([compiler, '-p', `${name}.json`], { cwd: folder })).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
      });
    }
    for (const program of ['typed.mjs', 'typed.cjs']) {
      const cwd = consumer.folder(`typed/${program}-runs`);
      const result = await run([join(folder, 'out', program)], { cwd });
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(result.stdout)).toEqual(HITS);
    }
  });
});

describe.each(nodes)('Node $version', ({ version, path: node }) => {
  test('tracks an ESM app without output on stderr', async () => {
    const cwd = consumer.folder(`esm-${version}`, 'esm.mjs');
    const result = await run(['esm.mjs'], { cwd, node });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({
      ready: null,
      hits: HITS,
      captured: 3,
      storage: { ok: true, committed: 3 },
      writerRestarts: 0,
    });
  });

  test('tracks a CommonJS app', async () => {
    const cwd = consumer.folder(`cjs-${version}`, 'cjs.cjs');
    const result = await run(['cjs.cjs'], { cwd, node });
    // Old Node versions warn about require() of ES modules. There must be no other warning.
    const others = result.stderr
      .split('\n')
      .filter((line) => line !== '' && !/ES Module|--trace-warnings/.test(line));
    expect({ code: result.code, others }).toEqual({ code: 0, others: [] });
    expect(JSON.parse(result.stdout)).toEqual(HITS);
  });

  test('runs the command line', async () => {
    const cwd = consumer.folder(`cli-${version}`, 'esm.mjs');
    await run(['esm.mjs'], { cwd, node });
    const bin = join(consumer.directory, 'node_modules/.bin/track-usage');
    const result = await run(
      [bin, 'sum', 'server', '--storage', 'usage.db', '--period', 'day', '--format', 'json'],
      { cwd, node },
    );
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject([{ hits: 3 }]);
  });

  test('stores the records of a killed process at the next start', async () => {
    const cwd = consumer.folder(`killed-${version}`, 'esm.mjs', 'killed.mjs');
    await run(['killed.mjs'], { cwd, node });
    const result = await run(['esm.mjs'], { cwd, node, env: { TOTAL: '5' } });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(await serverHits(consumer, cwd)).toBe(5);
  });

  test('rejects a record that the database refuses, and stores the others', async () => {
    const cwd = consumer.folder(`refused-${version}`, 'esm.mjs');
    await run(['esm.mjs'], { cwd, node });
    const database = new DatabaseSync(join(cwd, 'usage.db'));
    database.exec(`CREATE TRIGGER picky BEFORE INSERT ON records
      WHEN (SELECT text LIKE '%/about' FROM strings WHERE id = NEW.url)
      BEGIN SELECT RAISE(ABORT, 'not this one'); END`);
    database.close();
    const result = await run(['esm.mjs'], { cwd, node });
    expect(result.stderr).toMatch(/^track-usage: sqlite:usage.db rejected a record: not this one; .*\n$/);
    expect(JSON.parse(result.stdout)).toMatchObject({ storage: { ok: true, committed: 2, rejected: 1 } });
    expect(await serverHits(consumer, cwd)).toBe(5);
  });
});
