import { statSync } from 'node:fs';
import { clearTimeout, setImmediate, setTimeout } from '../clock.ts';

/** An operation of the file system that takes longer than this is slow. In ms. */
export const SLOW = 50;

/** By device number, for the disks in use. */
const disks = new Map<number, WeakRef<Disk>>();

/**
 * Operations of the file system off the app's thread. They run one after the other for all journals on the same disk,
 * so that a stalled disk holds one thread of libuv's pool (4 by default, shared with the app), never more.
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

  /** Whether an operation has not returned yet. */
  get isBusy(): boolean {
    return this.#outstanding > 0;
  }

  /** True if an operation is overdue. */
  get isStalled(): boolean {
    return this.#late > 0;
  }

  /**
   * Runs an operation when the ones before have returned. Resolves with its value, and with `isSlow` if it
   * has not returned after `SLOW` ms and one more turn of the event loop. That turn is needed because callbacks are late
   * if the app keeps its thread busy, even on a fast disk.
   */
  async run<T>(operation: () => Promise<T>): Promise<{ value: T; isSlow: boolean }> {
    let isSlow = false;
    let hasReturned = false;
    const look = () => {
      if (hasReturned) return;
      isSlow = true;
      this.#late += 1;
    };
    const timer = setTimeout(() => setImmediate(look), SLOW).unref();
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

/** The result of a function of `node:fs` that calls back. */
export function call<T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}
