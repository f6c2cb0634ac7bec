import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './consumer.ts';

/** Node versions to test in addition to the current one, including the oldest supported and the newest. */
const VERSIONS = ['22.13.0', '22.23.3', '26.10.0'];
/** Kept between runs; ignored by git. */
const CACHE = join(ROOT, '.nodes');

export interface Node {
  version: string;
  path: string;
}

/**
 * Returns the Node versions to test on, downloaded with npm the first time (about 45 MB each). If that fails, throws in
 * CI, and otherwise prints the skipped versions.
 */
export async function findNodes(): Promise<Node[]> {
  const nodes: Node[] = [{ version: process.versions.node, path: process.execPath }];
  for (const version of VERSIONS) {
    try {
      nodes.push({ version, path: await findNode(version) });
    } catch (cause) {
      if (process.env.CI) throw new Error(`Node ${version} could not be fetched`, { cause });
      const [reason] = /npm error code \w+/.exec(`${cause}`) ?? [`${cause}`];
      console.warn(`NOT RUN on Node ${version}: it could not be fetched (${reason})`);
    }
  }
  return nodes;
}

async function findNode(version: string): Promise<string> {
  const path = join(CACHE, version, 'bin/node');
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, 'fetched-'));
  try {
    // The package of a platform holds the program itself, without an install script.
    const name = `node-${process.platform === 'darwin' ? 'bin-darwin' : process.platform}-${process.arch}`;
    const options = [
      '--no-save',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=0',
      '--prefer-offline',
    ];
    await promisify(execFile)('npm', ['install', ...options, '--prefix', temporary, `${name}@${version}`]);
    renameSync(join(temporary, 'node_modules', name), join(CACHE, version));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return path;
}
