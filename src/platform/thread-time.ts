import { openSync, readSync } from 'node:fs';

/** Maximum age of the noted times. In ms. */
const FRESH = 50;
/** Assumed time that a thread waits for a CPU, on systems that do not report it. In ms. */
const UNKNOWN = 150;

/** Time that this thread has run, and that it has waited for a processor. In ns. Linux only, not on a disk. */
const SOURCE = '/proc/thread-self/schedstat';

const text = Buffer.alloc(64);
let file = open();
/** What the thread had run and waited, and when that was read. In ms. */
let noted = 0;
let notedAt = Number.NEGATIVE_INFINITY;

/**
 * To be called before what may block, however often.
 * @param now On the monotonic clock, in ms.
 */
export function noteThreadTime(now: number): void {
  if (file === undefined || now - notedAt < FRESH) return;
  noted = read();
  notedAt = now;
}

/**
 * How long this thread was blocked, of the last `took` ms before which `noteThreadTime` was called: neither running
 * nor waiting for a processor, which a busy machine may make it do for long. Up to 50 ms too little.
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
