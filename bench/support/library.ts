import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '..', '..');

/** Where the built library is, for this process and its children. */
const DIST = process.env.TRACK_USAGE_BENCH_DIST ?? join(ROOT, 'dist');

/** Takes a copy of the built library, so that a build during a long run does not change what is measured. */
export function copyLibrary(): string {
  const copy = join(ROOT, 'node_modules', '.cache', `track-usage-bench-${process.pid}`);
  mkdirSync(copy, { recursive: true });
  cpSync(join(ROOT, 'dist'), copy, { recursive: true });
  process.env.TRACK_USAGE_BENCH_DIST = copy;
  return copy;
}

/** A file of the built library. */
export function load<T = unknown>(path: string): Promise<T> {
  return import(pathToFileURL(join(DIST, path)).href) as Promise<T>;
}

type Library = typeof import('../../src/index.ts') &
  typeof import('../../src/storages/sqlite/index.ts') &
  typeof import('../../src/journal/directory.ts') &
  typeof import('../../src/journal/journal.ts');

/** The built library: what users load, and the two parts of its inside that the writer's benchmark needs. */
export async function library(): Promise<Library> {
  const parts = ['index.js', 'storages/sqlite/index.js', 'journal/directory.js', 'journal/journal.js'];
  return Object.assign({}, ...(await Promise.all(parts.map((part) => load(part))))) as Library;
}

/** All summaries that the parent names. */
export const ALL_HOOKS = [
  'sumUrls',
  'sumRemotes',
  'sumUserAgents',
  'sumLanguages',
  'sumServer',
  'sumVisitors',
  'sumGeo',
];

/** Prints what went wrong; that a summary stays empty (there is no cookie here) is no news. */
export function onError(error: Error & { code?: string }): void {
  if (error.code !== 'SUMMARY_IDLE') console.error(error.message);
}
