import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installPackages } from '../../scripts/install-packages.ts';
import { progress } from './options.ts';

const BENCH = join(import.meta.dirname, '..');

/** Installs the libraries that are compared, the first time and after a change. */
export function installPeers(): void {
  installPackages(BENCH, () => progress('Installing the compared libraries …'));
}

const fromBench = createRequire(import.meta.url);
const fromSwaggerStats = createRequire(new URL('../peers/swagger-stats/package.json', import.meta.url));

/** Loads one of them. Untyped, so that the sources can be checked before they are installed. */
export function peer<T>(name: string): T {
  return (name === 'swagger-stats' ? fromSwaggerStats : fromBench)(name) as T;
}
