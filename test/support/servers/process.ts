import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import type { TestServer } from '../../../src/testing/index.ts';
import { freePort } from './free-port.ts';

const GUARD = join(import.meta.dirname, 'guard.ts');
/** Of what a crash left, the server may need a moment to let go. */
const STARTS = 50;

/** How a server is run. */
export interface Command {
  program: string;
  args: readonly string[];
  /** What it says on its standard error when it takes connections. */
  ready: RegExp;
  env?: NodeJS.ProcessEnv;
}

/** Whom servers run as that refuse to run as root: nobody, or who we are. */
export function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (option: string) => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

export function giveTo(user: ReturnType<typeof serverUser>, ...paths: string[]): void {
  if (user) for (const path of paths) chownSync(path, user.uid, user.gid);
}

/** A server's process on 127.0.0.1, which ends with this one, however that ends. */
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

  /** What it said until it was ready, or had ended. */
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
