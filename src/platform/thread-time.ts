import { openSync, readSync } from 'node:fs';

/** Maximum age of the recorded times. */
const MAX_SAMPLE_AGE_MS = 50;
/** Assumed time that a thread waits for a CPU, on systems that do not report it. In ms. */
const UNKNOWN = 150;

/**
 * File with the time that this thread has run and has waited for a processor, in ns. Linux only, not on a
 * disk.
 */
const SOURCE = '/proc/thread-self/schedstat';

const text = Buffer.alloc(64);
let file = open();
/** Last reading of the thread's run and wait times, and its timestamp. In ms. */
let noted = 0;
let notedAt = Number.NEGATIVE_INFINITY;

/**
 * Records the thread's times. Call before operations that may block, however often.
 * @param now Timestamp of the monotonic clock, in ms.
 */
export function noteThreadTime(now: number): void {
  if (file === undefined || now - notedAt < MAX_SAMPLE_AGE_MS) return;
  noted = read();
  notedAt = now;
}

/**
 * Returns how long this thread was blocked during the last `took` ms, if `noteThreadTime` was called before.
 * Blocked means neither running nor waiting for a processor, which a busy machine can cause for long. The
 * result may be up to 50 ms too small.
 */
export function blockedOf(took: number): number {
  const busy = file === undefined ? UNKNOWN : read() - noted;
  return Math.max(0, took - busy);
}

function read(): number {
  try {
    const length = readSync(file!, text, 0, text.length, 0);
    const [run, wait] = text.toString('latin1', 0, length).split(' ');
    return (Number(run) + Number(wait)) / 1e6;
  } catch {
    file = undefined;
    return noted + UNKNOWN;
  }
}

function open(): number | undefined {
  try {
    return process.platform === 'linux' ? openSync(SOURCE, 'r') : undefined;
  } catch {
    return undefined;
  }
}
