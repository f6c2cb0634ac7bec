import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '..', '..');

/** Directory of the built library, for this process and its children. */
const DIST = process.env.TRACK_USAGE_BENCH_DIST ?? join(ROOT, 'dist');

/** Copies the built library, so that a build during a long run does not affect the measurement. */
export function copyLibrary(): string {
  const copy = join(ROOT, 'node_modules', '.cache', `track-usage-bench-${process.pid}`);
  mkdirSync(copy, { recursive: true });
  cpSync(join(ROOT, 'dist'), copy, { recursive: true });
  process.env.TRACK_USAGE_BENCH_DIST = copy;
  return copy;
}

/** Loads a file of the built library. */
export function load<T = unknown>(path: string): Promise<T> {
  return import(pathToFileURL(join(DIST, path)).href) as Promise<T>;
}

type Library = typeof import('../../src/index.ts') &
  typeof import('../../src/storages/sqlite/index.ts') &
  typeof import('../../src/journal/directory.ts') &
  typeof import('../../src/journal/journal.ts');

/** Loads the built library: its public exports, and two internal parts for the writer's benchmark. */
export async function library(): Promise<Library> {
  const parts = ['index.js', 'storages/sqlite/index.js', 'journal/directory.js', 'journal/journal.js'];
  return Object.assign({}, ...(await Promise.all(parts.map((part) => load(part))))) as Library;
}

/** All summaries of Flask-Track-Usage. */
export const ALL_HOOKS = [
  'sumUrls',
  'sumRemotes',
  'sumUserAgents',
  'sumLanguages',
  'sumServer',
  'sumVisitors',
  'sumGeo',
];

/** Prints problems, except that a summary stays empty, which is expected without cookies. */
export function onError(error: Error & { code?: string }): void {
  if (error.code !== 'SUMMARY_IDLE') console.error(error.message);
}
