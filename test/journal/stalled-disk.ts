import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Call = (...args: unknown[]) => unknown;

/**
 * Stalls file system calls of the library in this process. While the disk is stalled, each synchronous call blocks its
 * thread for a given time, and asynchronous calls return when the stall is over.
 */
export class StalledDisk {
  /** Names of the synchronous calls that were blocked. */
  readonly blockedCalls: string[] = [];
  /** Maximum number of concurrent asynchronous calls, of those started during a stall. */
  maxPending = 0;
  #blockTime: number | undefined;
  #trigger: { name: string; blockTime: number } | undefined;
  #pending = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #restore: () => void;

  constructor() {
    const functions = fs as unknown as Record<string, Call>;
    const originals: Record<string, Call> = {};
    for (const name of Object.keys(functions).filter((key) => key.endsWith('Sync'))) {
      const asynchronous = name.slice(0, -'Sync'.length);
      const [synchronous, callback] = [functions[name], functions[asynchronous]];
      if (!synchronous || !callback) continue;
      Object.assign(originals, { [name]: synchronous, [asynchronous]: callback });
      functions[name] = this.#slowSync(name, synchronous);
      functions[asynchronous] = this.#slow(callback);
    }
    syncBuiltinESMExports();
    this.#restore = () => {
      Object.assign(functions, originals);
      syncBuiltinESMExports();
    };
  }

  /** Stalls the disk. Each synchronous call blocks for `blockTime` ms. */
  stall(blockTime: number): void {
    this.#blockTime = blockTime;
  }

  /** Stalls the disk from the next synchronous call with this name. */
  stallAt(name: string, blockTime: number): void {
    this.#trigger = { name, blockTime: blockTime };
  }

  /** Blocks the thread. */
  block = (ms: number): void => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };

  /** Receives the name of each synchronous call. */
  onCall: ((name: string) => void) | undefined;

  /** Ends the stall. */
  release(): void {
    this.#blockTime = undefined;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  restore(): void {
    this.release();
    this.#restore();
  }

  #slowSync(name: string, original: Call): Call {
    const disk = this;
    return function (this: unknown, ...args) {
      if ((disk.onCall || disk.#blockTime !== undefined || disk.#trigger?.name === name) && isLibraryCall()) {
        disk.onCall?.(name);
        if (disk.#trigger?.name === name) {
          disk.#blockTime = disk.#trigger.blockTime;
          disk.#trigger = undefined;
        }
        if (disk.#blockTime !== undefined) {
          disk.blockedCalls.push(name);
          disk.block(disk.#blockTime);
        }
      }
      return original.apply(this, args);
    };
  }

  #slow(original: Call): Call {
    const disk = this;
    return function (this: unknown, ...args) {
      const done = args.at(-1);
      if (disk.#blockTime === undefined || typeof done !== 'function' || !isLibraryCall()) {
        return original.apply(this, args);
      }
      disk.#pending += 1;
      disk.maxPending = Math.max(disk.maxPending, disk.#pending);
      args[args.length - 1] = (...results: unknown[]) => {
        disk.#pending -= 1;
        return done(...results);
      };
      disk.#waiting.push(() => original.apply(this, args));
      return undefined;
    };
  }
}

/** Returns whether the current call comes from the library, from its sources or its build. */
function isLibraryCall(): boolean {
  const { stack = '' } = new Error();
  return /[/\\](src|dist)[/\\]journal[/\\]/.test(stack) && !stack.includes('thread-time');
}
