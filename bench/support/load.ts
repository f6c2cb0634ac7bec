import { execFile, execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { End, Mark } from '../servers/main.ts';
import type { Framework } from '../servers/variant.ts';
import type { VariantName } from '../servers/variants.ts';
import { Child } from './child.ts';
import { newDirectory, removeDirectory } from './directory.ts';

const run = promisify(execFile);
const SERVER = join(import.meta.dirname, '..', 'servers', 'main.ts');
const SCRIPT = join(import.meta.dirname, '..', 'load.lua');
const CONNECTIONS = 64;
/** Number of collections; each collects twice. */
const COLLECTIONS = 4;

/** Durations of the load before and during a measurement. In s. */
export interface Window {
  warmUp: number;
  measured: number;
}

export interface Measurement {
  begin: Mark;
  finish: Mark;
  end: End;
}

/**
 * Runs `wrk` against a server for a number of seconds and returns its output. Rejects if any response is not
 * 200. Refused connections and error pages would make a server look faster than it is.
 * @param core CPU core that it may use. Defaults to any.
 */
export async function load(
  port: number,
  { connections, seconds, core, flags = [] }: LoadOptions,
): Promise<string> {
  const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
  const [program = '', ...args] = [
    ...[...pinned, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '60s', ...flags],
    ...['-s', SCRIPT, `http://127.0.0.1:${port}/`],
  ];
  const { stdout } = await run(program, args);
  const failure = /^\s*(Socket errors|Non-2xx).*$/m.exec(stdout)?.[0];
  if (failure) throw new Error(failure.trim());
  return stdout;
}

interface LoadOptions {
  connections: number;
  seconds: number;
  core?: number;
  /** Additional flags of `wrk`. */
  flags?: readonly string[];
}

/** Throws if a required tool is not installed on this machine. */
export function requireLoadTools(): void {
  if (availableParallelism() < 2)
    throw new Error('This needs two cores: one for the server, one for the load.');
  for (const [tool, of] of [
    ['wrk', 'wrk'],
    ['taskset', 'util-linux'],
  ] as const) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      throw new Error(`This needs ${tool}: install the package ${of}.`);
    }
  }
}

/**
 * A measured server in a separate process. Its app uses core 0; its other threads share core 1 with the load
 * generator.
 */
export class LoadedServer {
  readonly variant: VariantName;
  readonly #name: string;
  readonly #directory: string;
  readonly #process: Child;
  #pinned = false;

  /** Creates a server, which must be stopped at the end. */
  constructor(framework: Framework, variant: VariantName) {
    this.variant = variant;
    this.#name = `${framework}, ${variant}`;
    this.#directory = newDirectory();
    this.#process = new Child(SERVER, {
      args: [framework, variant, this.#directory],
      core: 0,
      flags: ['--expose-gc'],
    });
  }

  /** Runs it under load while `work` runs, for a number of seconds, and waits until everything is stored. */
  async underLoad<T>(seconds: number, work: (server: Child) => Promise<T>): Promise<{ result: T; end: End }> {
    const server = this.#process;
    const port = await server.call<number>('port');
    server.moveOtherThreads(1);
    const loaded = load(port, { connections: CONNECTIONS, seconds: Math.ceil(seconds + 0.5), core: 1 });
    loaded.catch(() => {});
    const result = await work(server);
    try {
      await loaded;
    } catch (cause) {
      throw new Error(`${this.#name}: ${(cause as Error).message}`, { cause });
    }
    const end = await server.call<End>('end');
    if (end.stored !== undefined && end.stored !== end.handled) {
      throw new Error(
        `${this.#name}: the server handled ${end.handled} requests, the storage has ${end.stored} hits`,
      );
    }
    return { result, end };
  }

  /** Measures its cost during the load. */
  async measure(
    { warmUp, measured }: Window,
    during?: { begin(server: Child): Promise<unknown>; finish(server: Child): Promise<unknown> },
  ): Promise<Measurement> {
    const { result, end } = await this.underLoad(warmUp + measured, async (server) => {
      await sleep(warmUp * 1000);
      await during?.begin(server);
      const begin = await server.call<Mark>('mark');
      await sleep(measured * 1000);
      const finish = await server.call<Mark>('mark');
      await during?.finish(server);
      return { begin, finish };
    });
    return { ...result, end };
  }

  /** Sends requests from memory. Returns the app thread's time per request, in µs. */
  async requestFromMemory(requests: number): Promise<number> {
    const server = this.#process;
    if (!this.#pinned) {
      await server.call('port');
      server.moveOtherThreads(1);
      this.#pinned = true;
    }
    return server.call<number>('request-from-memory', requests);
  }

  /**
   * Ages the server. After some full garbage collections at idle times, `process.nextTick` of Node 24 is
   * permanently ten times as slow. For a fair comparison, this must be so for all servers or for none.
   */
  async age(): Promise<void> {
    for (let i = 0; i < COLLECTIONS; i++) await this.#process.call('collect');
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    removeDirectory(this.#directory);
  }
}

/**
 * Runs work with new, aged servers. Two processes of the same program may differ permanently, so each round
 * of a comparison uses new ones.
 * @param warmUp Sends a server some thousand requests.
 */
export async function withServers<T>(
  framework: Framework,
  variants: readonly VariantName[],
  warmUp: (server: LoadedServer) => Promise<unknown>,
  work: (servers: readonly LoadedServer[]) => Promise<T>,
): Promise<T> {
  const servers = variants.map((variant) => new LoadedServer(framework, variant));
  try {
    for (const server of servers) await warmUp(server);
    await Promise.all(servers.map((server) => server.age()));
    for (const server of servers) await warmUp(server);
    return await work(servers);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** Runs work with a server, and stops it afterwards. */
export async function withServer<T>(
  framework: Framework,
  variant: VariantName,
  work: (server: LoadedServer) => Promise<T>,
): Promise<T> {
  const server = new LoadedServer(framework, variant);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
