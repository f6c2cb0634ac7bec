import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Call = (...args: unknown[]) => unknown;

/**
 * Makes the file system of this process stall at will, for calls of the library. While it is stalled, each synchronous
 * call keeps its thread for `hold` ms, and asynchronous calls return when the stall is over.
 */
export class StalledDisk {
  /** The synchronous calls that were kept waiting, by name. */
  readonly kept: string[] = [];
  /** The most asynchronous calls that were under way at once, of those that began in a stall. */
  mostOutstanding = 0;
  #hold: number | undefined;
  #begin: { name: string; hold: number } | undefined;
  #outstanding = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #restore: () => void;

  constructor() {
    const functions = fs as unknown as Record<string, Call>;
    const originals: Record<string, Call> = {};
    for (const name of Object.keys(functions).filter((key) => key.endsWith('Sync'))) {
      const asynchronous = name.slice(0, -'Sync'.length);
      const [waiting, calling] = [functions[name], functions[asynchronous]];
      if (!waiting || !calling) continue;
      Object.assign(originals, { [name]: waiting, [asynchronous]: calling });
      functions[name] = this.#slowSync(name, waiting);
      functions[asynchronous] = this.#slow(calling);
    }
    syncBuiltinESMExports();
    this.#restore = () => {
      Object.assign(functions, originals);
      syncBuiltinESMExports();
    };
  }

  /** From now on nothing is answered in time. */
  stall(hold: number): void {
    this.#hold = hold;
  }

  /** The same, from the next synchronous call with this name on. */
  stallAt(name: string, hold: number): void {
    this.#begin = { name, hold };
  }

  /** Keeps the thread. */
  wait = (ms: number): void => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };

  /** Calls back with the name of each synchronous call. */
  onCall: ((name: string) => void) | undefined;

  /** The disk answers again. */
  release(): void {
    this.#hold = undefined;
    for (const go of this.#waiting.splice(0)) go();
  }

  restore(): void {
    this.release();
    this.#restore();
  }

  #slowSync(name: string, original: Call): Call {
    const disk = this;
    return function (this: unknown, ...args) {
      if ((disk.onCall || disk.#hold !== undefined || disk.#begin?.name === name) && isOurs()) {
        disk.onCall?.(name);
        if (disk.#begin?.name === name) {
          disk.#hold = disk.#begin.hold;
          disk.#begin = undefined;
        }
        if (disk.#hold !== undefined) {
          disk.kept.push(name);
          disk.wait(disk.#hold);
        }
      }
      return original.apply(this, args);
    };
  }

  #slow(original: Call): Call {
    const disk = this;
    return function (this: unknown, ...args) {
      const done = args.at(-1);
      if (disk.#hold === undefined || typeof done !== 'function' || !isOurs()) {
        return original.apply(this, args);
      }
      disk.#outstanding += 1;
      disk.mostOutstanding = Math.max(disk.mostOutstanding, disk.#outstanding);
      args[args.length - 1] = (...results: unknown[]) => {
        disk.#outstanding -= 1;
        return done(...results);
      };
      disk.#waiting.push(() => original.apply(this, args));
      return undefined;
    };
  }
}

/** Whether the library makes the call that is being made, from its sources or as it was built. */
function isOurs(): boolean {
  const { stack = '' } = new Error();
  return /[/\\](src|dist)[/\\]journal[/\\]/.test(stack) && !stack.includes('thread-time');
}
