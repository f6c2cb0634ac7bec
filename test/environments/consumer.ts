import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { startRegistry } from './registry.ts';

export const ROOT = join(import.meta.dirname, '../..');
const APPS = join(import.meta.dirname, 'apps');
/** Files that `npm pack` needs in addition to node_modules. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'README.md',
  'LICENSE',
  'scripts',
  'src',
  'dashboard',
];

export interface RunResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Program to run. Defaults to the Node that runs the tests. */
  node?: string;
  /** Timeout after which the program is killed, in ms. Defaults to 60,000. */
  timeout?: number;
}

/** A project in an empty folder, in which npm installed the packed tarball. */
export class Consumer {
  readonly #temporary = mkdtempSync(join(tmpdir(), 'track-usage-consumer-'));
  readonly directory: string;

  private constructor(name: string) {
    this.directory = join(this.#temporary, name);
  }

  /** @param name Name of the project's folder. */
  static async create(name = 'app'): Promise<Consumer> {
    const consumer = new Consumer(name);
    try {
      await consumer.#install(consumer.#pack());
    } catch (error) {
      consumer.remove();
      throw error;
    }
    return consumer;
  }

  /** Packs a copy, because packing rebuilds `dist`, which other tests may be using. */
  #pack(): string {
    const copy = join(this.#temporary, 'copy');
    for (const name of SOURCES) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const tarballs = join(this.#temporary, 'tarballs');
    mkdirSync(tarballs);
    execFileSync('npm', ['pack', '--pack-destination', tarballs], {
      cwd: copy,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return join(tarballs, readdirSync(tarballs)[0]!);
  }

  async #install(tarball: string): Promise<void> {
    const registry = await startRegistry(ROOT, dirname(tarball));
    try {
      mkdirSync(this.directory);
      writeFileSync(join(this.directory, 'package.json'), '{ "private": true }');
      const cache = join(this.#temporary, 'npm-cache');
      await promisify(execFile)(
        'npm',
        [
          'install',
          '--ignore-scripts',
          '--no-audit',
          '--no-fund',
          '--registry',
          registry.url,
          '--cache',
          cache,
          tarball,
        ],
        { cwd: this.directory },
      );
    } finally {
      registry.close();
    }
  }

  /** Creates a folder inside the project, with copies of some `apps`. */
  folder(name: string, ...apps: string[]): string {
    const folder = join(this.directory, name);
    mkdirSync(folder, { recursive: true });
    for (const app of apps) copyFileSync(join(APPS, app), join(folder, app));
    return folder;
  }

  /** Links packages of this repository into the project. */
  link(...packages: string[]): void {
    for (const name of packages) {
      const target = join(this.directory, 'node_modules', name);
      mkdirSync(dirname(target), { recursive: true });
      symlinkSync(join(ROOT, 'node_modules', name), target);
    }
  }

  remove(): void {
    rmSync(this.#temporary, { recursive: true, force: true });
  }
}

/** Returns the number of requests in a database, from the installed command line. */
export async function serverHits(consumer: Consumer, cwd: string, storage = 'usage.db'): Promise<number> {
  const bin = join(consumer.directory, 'node_modules/.bin/track-usage');
  const args = ['sum', 'server', '--storage', storage, '--period', 'month', '--format', 'json'];
  const { stdout } = await run([bin, ...args], { cwd });
  const sums = JSON.parse(stdout) as { hits: number }[];
  return sums.reduce((sum, { hits }) => sum + hits, 0);
}

/** Runs a program until it ends. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { cwd, env = {}, node = process.execPath, timeout = 60_000 } = options;
  const child = spawn(node, argv, {
    cwd,
    // The options of the test runner do not apply to the program.
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  try {
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}
