/**
 * `npm run docs` builds the documentation site: the pages of `docs/` and, from the doc comments, the TypeScript API.
 * Fails on a dead link. `npm run docs -- dev` serves the pages while you write, `npm run docs -- preview` what was built.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages } from './install-packages.ts';

const DOCS = join(import.meta.dirname, '../docs');
const API = join(DOCS, 'reference/api');

const [command = 'build', ...args] = process.argv.slice(2);
if (!['build', 'dev', 'preview'].includes(command)) {
  console.error(`unknown command: ${command}. Commands: build (default), dev, preview.`);
  process.exit(1);
}

installPackages(DOCS);
if (command === 'build' || (command === 'dev' && !existsSync(API))) {
  rmSync(API, { recursive: true, force: true });
  run('typedoc/bin/typedoc');
}
run('vitepress/bin/vitepress.js', command, '.', ...args);

function run(program: string, ...args: readonly string[]): void {
  const path = join(DOCS, 'node_modules', program);
  const { error, status } = spawnSync(process.execPath, [path, ...args], { cwd: DOCS, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
