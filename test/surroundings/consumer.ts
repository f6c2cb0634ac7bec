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
/** What `npm pack` needs besides node_modules. */
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

export interface Said {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** The program. Defaults to the Node that runs the tests. */
  node?: string;
  /** Ended after so long. Defaults to 60,000 ms. */
  patience?: number;
}

/** Someone who installed the packed tarball with npm in an empty folder. */
export class Consumer {
  readonly #temporary = mkdtempSync(join(tmpdir(), 'track-usage-consumer-'));
  readonly directory: string;

  private constructor(name: string) {
    this.directory = join(this.#temporary, name);
  }

  /** @param name Of the folder in which it is all installed. */
  static async create(name = 'app'): Promise<Consumer> {
    const consumer = new Consumer(name);
    try {
      await consumer.#install(consumer.#pack());
    } catch (error) {
      consumer.leave();
      throw error;
    }
    return consumer;
  }

  /** Packs a copy, for packing builds `dist` anew and other tests may use it meanwhile. */
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

  /** A new folder that finds the package in one above it, with these of the `apps` in it. */
  folder(name: string, ...apps: string[]): string {
    const folder = join(this.directory, name);
    mkdirSync(folder, { recursive: true });
    for (const app of apps) copyFileSync(join(APPS, app), join(folder, app));
    return folder;
  }

  /** Lets programs use packages of this project too. */
  borrow(...packages: string[]): void {
    for (const name of packages) {
      const place = join(this.directory, 'node_modules', name);
      mkdirSync(dirname(place), { recursive: true });
      symlinkSync(join(ROOT, 'node_modules', name), place);
    }
  }

  leave(): void {
    rmSync(this.#temporary, { recursive: true, force: true });
  }
}

/** The requests that the database in a folder has, as the command line of the package says. */
export async function serverHits(consumer: Consumer, cwd: string, storage = 'usage.db'): Promise<number> {
  const bin = join(consumer.directory, 'node_modules/.bin/track-usage');
  const question = ['sum', 'server', '--storage', storage, '--period', 'month', '--format', 'json'];
  const { stdout } = await run([bin, ...question], { cwd });
  const sums = JSON.parse(stdout) as { hits: number }[];
  return sums.reduce((sum, { hits }) => sum + hits, 0);
}

/** Runs a program until it ends. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Said> {
  const { cwd, env = {}, node = process.execPath, patience = 60_000 } = options;
  const child = spawn(node, argv, {
    cwd,
    // What the tests' own runner sets is not the programs'.
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
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
