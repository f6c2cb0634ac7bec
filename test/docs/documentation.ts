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
/** Documentation pages. */
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

/** Returns the fenced blocks of a page in a language. */
export function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , text = '']) => text);
}

/** Returns programs of a page with their output: the `text` block that immediately follows. */
export function programsWithOutput(page: string): { program: string; printed: string }[] {
  return [...read(page).matchAll(/^```js\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$/gm)].map(
    ([, program = '', printed = '']) => ({ program, printed }),
  );
}

/** Returns the files that the programs of a page need: blocks such as ```` ```js kinds.js ````. */
export function files(page: string): { name: string; text: string }[] {
  return [...read(page).matchAll(/^```\w+ ([\w.-]+)\n(.*?)^```$/gms)].map(([, name = '', text = '']) => ({
    name,
    text,
  }));
}

/** Returns the text between `<!-- name -->` and `<!-- /name -->`. */
export function section(page: string, name: string): string {
  return read(page).split(`<!-- ${name} -->`)[1]!.split(`<!-- /${name} -->`)[0]!.trim();
}

/** Other packages installed in a project. */
const OTHERS = [
  ...['express', 'fastify', 'koa', '@koa', 'hono', '@hono', '@nestjs', 'reflect-metadata', 'rxjs'],
  '@types',
];

/** A project with a separate build of the package, because other tests may rebuild `dist`. */
export class DocsProject {
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

  /** Creates a working directory, with the files of a page if one is given. */
  directory(page?: string): string {
    const directory = mkdtempSync(join(this.#home, 'app-'));
    for (const { name, text } of page ? files(page) : []) writeFileSync(join(directory, name), text);
    return directory;
  }

  /**
   * Runs a program on a free port until it ends or its output matches `until`. A program that serves until it is
   * stopped is ended when it has responded to a request, every program after 20 s. In its output, the port is
   * replaced with 3000.
   */
  async run(program: string, directory: string, until?: RegExp): Promise<RunResult> {
    const port = await freePort();
    // A file, because the workers of a cluster start it again.
    const file = join(directory, 'program.mjs');
    writeFileSync(file, program.replaceAll('3000', `${port}`));
    const child = spawn(process.execPath, [file], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    // Ends the workers too, which would otherwise print errors.
    const stop = () => {
      try {
        process.kill(-child.pid!);
      } catch {
        // The process has ended.
      }
    };
    const result: RunResult = { stdout: '', stderr: '', code: null };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        result.stderr += 'The program neither ended nor responded within 20 s.';
        stop();
      }, 20_000);
      if (!until && servesUntilStopped(program))
        void responds(port, () => child.exitCode !== null).then(stop);
      const append = (stream: 'stdout' | 'stderr') => (text: Buffer) => {
        result[stream] += text;
        if (until?.test(result.stdout)) stop();
      };
      child.stdout.on('data', append('stdout'));
      child.stderr.on('data', append('stderr'));
      child.on('close', (code) => {
        clearTimeout(timer);
        result.code = code;
        resolve();
      });
    });
    result.stdout = result.stdout.replaceAll(`${port}`, '3000');
    return result;
  }

  /** Compiles programs as TypeScript. Returns the compiler's output. */
  compile(programs: readonly { name: string; program: string }[]): string {
    const directory = this.directory();
    for (const { name, program } of programs) {
      writeFileSync(join(directory, `${name.replace(/\W+/g, '-')}.mts`), `${program}\nexport {};\n`);
    }
    const compilerOptions = {
      strict: true,
      // Programs in pages omit parameter types and null checks, for brevity.
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

  remove(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** `null` for a program that was stopped, such as a server. */
  code: number | null;
}

/** Programs that send requests to their server and close it end by themselves. */
function servesUntilStopped(program: string): boolean {
  return /\b(listen|serve)\(/.test(program) && !/\bfetch\(.*close\(/s.test(program);
}

/** Resolves when the server at this port has responded to a request, or `hasEnded` returns true. */
async function responds(port: number, hasEnded: () => boolean): Promise<void> {
  while (!hasEnded()) {
    try {
      await (await fetch(`http://localhost:${port}/`)).text();
      return;
    } catch {
      // It does not listen yet.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Returns a free port of four digits, like 3000, so that tables have the same width as in the pages. */
async function freePort(): Promise<number> {
  for (;;) {
    // `fetch` refuses some ports, none of which are in this range.
    const port = 7000 + Math.floor(Math.random() * 2999);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}
