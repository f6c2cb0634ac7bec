import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';

interface Reply {
  id: number;
  result?: unknown;
  error?: string;
}

export interface ChildOptions {
  args?: readonly string[];
  /** CPU core that it may use. Defaults to any. */
  core?: number;
  /** Command-line flags of Node. */
  flags?: readonly string[];
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A child process that measures, and whose functions can be called. */
export class Child {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #calls = 0;

  constructor(module: string, { args = [], core, flags = [] }: ChildOptions = {}) {
    const pinned = core !== undefined;
    const child = fork(module, [...args], {
      execPath: pinned ? 'taskset' : process.execPath,
      execArgv: pinned ? ['-c', String(core), process.execPath, ...flags] : [...flags],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production' },
    });
    running.add(child);
    child.on('message', (reply: Reply) => {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    });
    const failed = (error: string) => {
      running.delete(child);
      for (const [id, settle] of this.#waiting) settle({ id, error });
      this.#waiting.clear();
    };
    child.on('error', (error) => failed(String(error)));
    child.on('exit', (code, signal) => failed(`${module} ended (${signal ?? code})`));
    this.#process = child;
  }

  call<T>(method: string, argument?: unknown): Promise<T> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ error, result }) => {
        if (error === undefined) resolve(result as T);
        else reject(new Error(error));
      });
      if (this.#process.connected) this.#process.send({ id, method, argument });
      else this.#waiting.get(id)!({ id, error: 'the process has ended' });
    });
  }

  /**
   * Reserves the core for the main thread, and moves the other threads to `core`. Only on Linux, which
   * supports pinning.
   */
  moveOtherThreads(core: number): void {
    const { pid } = this.#process;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      if (thread !== String(pid)) {
        execFileSync('taskset', ['-p', '-c', String(core), thread], { stdio: 'ignore' });
      }
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

/** Handles calls in the child process. */
export function handleCalls(functions: Record<string, (argument: never) => unknown>): void {
  process.on('message', async ({ id, method, argument }: { id: number; method: string; argument: never }) => {
    try {
      process.send!({ id, result: await functions[method]!(argument) });
    } catch (error) {
      process.send!({ id, error: (error as Error).stack ?? String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
}
