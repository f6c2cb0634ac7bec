import { statSync } from 'node:fs';
import { clearTimeout, setImmediate, setTimeout } from '../platform/clock.ts';

/** Time after which a file system operation counts as slow. */
export const SLOW_MS = 50;

/** Disks in use, by device number. */
const disks = new Map<number, WeakRef<Disk>>();

/**
 * Runs file system operations off the app's thread, one at a time for all journals on a disk. So a stalled
 * disk blocks only one thread of libuv's pool, which the app shares. The pool defaults to 4 threads.
 */
export class Disk {
  #last: Promise<unknown> = Promise.resolve();
  #outstanding = 0;
  #late = 0;

  /** Returns the disk of an existing file or directory. */
  static of(path: string): Disk {
    const device = statSync(path).dev;
    let disk = disks.get(device)?.deref();
    if (!disk) {
      disk = new Disk();
      disks.set(device, new WeakRef(disk));
    }
    return disk;
  }

  /** True if an operation is in progress. */
  get isBusy(): boolean {
    return this.#outstanding > 0;
  }

  /** True if an operation is overdue. */
  get isStalled(): boolean {
    return this.#late > 0;
  }

  /**
   * Runs an operation after all earlier ones have returned. Resolves with its value. `isSlow` is true if it had
   * not returned after `SLOW_MS` and one more turn of the event loop. The additional turn is needed because
   * callbacks are late if the app keeps its thread busy, even on a fast disk.
   */
  async run<T>(operation: () => Promise<T>): Promise<{ value: T; isSlow: boolean }> {
    let isSlow = false;
    let hasReturned = false;
    const look = () => {
      if (hasReturned) return;
      isSlow = true;
      this.#late += 1;
    };
    const timer = setTimeout(() => setImmediate(look), SLOW_MS).unref();
    this.#outstanding += 1;
    const result = this.#last.then(operation);
    this.#last = result.catch(() => {});
    try {
      return { value: await result, isSlow };
    } finally {
      hasReturned = true;
      if (isSlow) this.#late -= 1;
      this.#outstanding -= 1;
      clearTimeout(timer);
    }
  }
}

/** Returns a promise for a callback function of `node:fs`. */
export function call<T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}
