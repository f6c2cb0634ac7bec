import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestServer } from '../../../src/testing/index.ts';
import { freePort } from './free-port.ts';

const GUARD = join(import.meta.dirname, 'guard.ts');
/** Maximum number of starts. After a crash, the server may need a moment to release resources. */
const STARTS = 50;

/** Command that runs a server. */
export interface Command {
  program: string;
  args: readonly string[];
  /** Matches its output on standard error when it accepts connections. */
  ready: RegExp;
  env?: NodeJS.ProcessEnv;
}

/** Returns the user for servers that refuse to run as root: `nobody`, or the current user. */
export function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (option: string) => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

export function giveTo(user: ReturnType<typeof serverUser>, ...paths: string[]): void {
  if (user) for (const path of paths) chownSync(path, user.uid, user.gid);
}

/** Process of a server on 127.0.0.1. It ends with this process, however this one ends. */
export class ServerProcess implements TestServer {
  readonly port: number;
  readonly #command: Command;
  #guard: ChildProcess | undefined;

  private constructor(command: Command, port: number) {
    this.#command = command;
    this.port = port;
  }

  static async start(make: (port: number) => Command): Promise<ServerProcess> {
    const port = await freePort();
    const server = new ServerProcess(make(port), port);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    let said = '';
    for (let n = 0; n < STARTS; n++) {
      said = await this.#try();
      if (this.#guard) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the server does not start: ${said}`);
  }

  async stop(): Promise<void> {
    const guard = this.#guard;
    this.#guard = undefined;
    if (!guard || guard.exitCode !== null || guard.signalCode !== null) return;
    const ended = once(guard, 'exit');
    guard.stdin!.end();
    await ended;
  }

  /** Returns the output until the server was ready or had exited. */
  async #try(): Promise<string> {
    const { program, args, ready, env } = this.#command;
    const user = serverUser();
    const ids = [user?.uid ?? '', user?.gid ?? ''].map(String);
    const guard = spawn(process.execPath, [GUARD, ...ids, program, ...args], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    let said = '';
    const isReady = await new Promise<boolean>((resolve) => {
      guard.stderr.on('data', (data: Buffer) => {
        if (!ready.test(said)) said += data;
        if (ready.test(said)) resolve(true);
      });
      guard.on('exit', () => resolve(false));
    });
    if (isReady) this.#guard = guard;
    return said;
  }
}

/** Returns whether a file of a directory contains a text. */
export function hasText(directory: string, text: string): boolean {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  return files.some(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes(text));
}
