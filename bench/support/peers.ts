import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { progress } from './options.ts';

const BENCH = join(import.meta.dirname, '..');

/** Installs the libraries that are compared, the first time and after a change. */
export function installPeers(): void {
  const installed = join(BENCH, 'node_modules', '.package-lock.json');
  const wanted = join(BENCH, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return;
  progress('Installing the compared libraries …');
  execFileSync('npm', ['ci', '--prefix', BENCH, '--ignore-scripts', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const fromBench = createRequire(import.meta.url);
const fromSwaggerStats = createRequire(new URL('../peers/swagger-stats/package.json', import.meta.url));

/** Loads one of them. Untyped, so that the sources can be checked before they are installed. */
export function peer<T>(name: string): T {
  return (name === 'swagger-stats' ? fromSwaggerStats : fromBench)(name) as T;
}
