import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
/** The pages that promise something to readers. */
export const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CODE_OF_CONDUCT.md',
  'CONTRIBUTING.md',
  'RELEASING.md',
  'SECURITY.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !/node_modules|\.vitepress|reference\/api\//.test(name))
    .map((name) => `docs/${name}`),
];

export function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** The fenced blocks of a page in a language. */
export function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , text = '']) => text);
}

/** What the programs of a page print: the `text` block that follows the program, without a word in between. */
export function shown(page: string): { program: string; printed: string }[] {
  return [...read(page).matchAll(/^```js\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$/gm)].map(
    ([, program = '', printed = '']) => ({ program, printed }),
  );
}

/** The files that the programs of a page need beside them: blocks such as ```` ```js kinds.js ````. */
export function files(page: string): { name: string; text: string }[] {
  return [...read(page).matchAll(/^```\w+ ([\w.-]+)\n(.*?)^```$/gms)].map(([, name = '', text = '']) => ({
    name,
    text,
  }));
}

/** The text between `<!-- name -->` and `<!-- /name -->`. */
export function section(page: string, name: string): string {
  return read(page).split(`<!-- ${name} -->`)[1]!.split(`<!-- /${name} -->`)[0]!.trim();
}

/** What a newcomer has besides. */
const OTHERS = [
  ...['express', 'fastify', 'koa', '@koa', 'hono', '@hono', '@nestjs', 'reflect-metadata', 'rxjs'],
  '@types',
];

/** Someone who installed the package, built for them alone: other tests may use `dist` meanwhile. */
export class Newcomer {
  readonly #home = mkdtempSync(join(tmpdir(), 'track-usage-docs-'));
  readonly package = join(this.#home, 'node_modules/track-usage');

  constructor() {
    mkdirSync(this.package, { recursive: true });
    copyFileSync(join(ROOT, 'package.json'), join(this.package, 'package.json'));
    writeFileSync(join(this.#home, 'package.json'), '{ "type": "module" }');
    const modules = join(ROOT, 'node_modules');
    symlinkSync(modules, join(this.package, 'node_modules'));
    for (const name of OTHERS) symlinkSync(join(modules, name), join(this.#home, 'node_modules', name));
    const compiler = join(modules, 'typescript/bin/tsc');
    const out = join(this.package, 'dist');
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', out], { cwd: ROOT });
  }

  /** A new working directory, with the files of a page, where one is given. */
  directory(page?: string): string {
    const directory = mkdtempSync(join(this.#home, 'app-'));
    for (const { name, text } of page ? files(page) : []) writeFileSync(join(directory, name), text);
    return directory;
  }

  /**
   * Runs a program on a port of its own until it ends, says `until`, or has run for `patience` ms. What it said
   * has port 3000 again.
   */
  async run(program: string, directory: string, until?: RegExp, patience = 20_000): Promise<Said> {
    const port = await freePort();
    // A file, as a program has it: the workers of a cluster start it again.
    const file = join(directory, 'program.mjs');
    writeFileSync(file, program.replaceAll('3000', `${port}`));
    const child = spawn(process.execPath, [file], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    // With its workers: those that it only just started complain when they find it gone.
    const stop = () => {
      try {
        process.kill(-child.pid!);
      } catch {
        // It has ended.
      }
    };
    const said: Said = { stdout: '', stderr: '', code: null };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(stop, patience);
      const hear = (stream: 'stdout' | 'stderr') => (text: Buffer) => {
        said[stream] += text;
        if (until?.test(said.stdout)) stop();
      };
      child.stdout.on('data', hear('stdout'));
      child.stderr.on('data', hear('stderr'));
      child.on('close', (code) => {
        clearTimeout(timer);
        said.code = code;
        resolve();
      });
    });
    said.stdout = said.stdout.replaceAll(`${port}`, '3000');
    return said;
  }

  /** Compiles programs as TypeScript; returns what the compiler says. */
  compile(programs: readonly { name: string; program: string }[]): string {
    const directory = this.directory();
    for (const { name, program } of programs) {
      writeFileSync(join(directory, `${name.replace(/\W+/g, '-')}.mts`), `${program}\nexport {};\n`);
    }
    const compilerOptions = {
      strict: true,
      // What a program of a page leaves out for its readers: types of its own functions, and checks for null.
      noImplicitAny: false,
      strictNullChecks: false,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2024', 'esnext.disposable', 'dom'],
      types: ['node'],
      noEmit: true,
      skipLibCheck: true,
    };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }));
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    return spawnSync(process.execPath, [compiler, '-p', directory], { encoding: 'utf8' }).stdout;
  }

  leave(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

export interface Said {
  stdout: string;
  stderr: string;
  /** `null` for a program that had to be stopped, as servers have. */
  code: number | null;
}

/** With four digits as 3000 has, so that tables are as wide as the pages show them. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 3001 + Math.floor(Math.random() * 6999);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}
