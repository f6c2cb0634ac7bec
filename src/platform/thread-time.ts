import { openSync, readSync } from 'node:fs';

/** Maximum age of a sample. */
const MAX_SAMPLE_AGE_MS = 50;
/** Assumed time that a thread waits for a CPU, on systems that do not report it. */
const ASSUMED_WAIT_MS = 150;

/**
 * File with the times that this thread has run and has waited for a CPU, in ns. Only on Linux, where it is
 * virtual, so that reading it never waits for a disk.
 */
const SOURCE = '/proc/thread-self/schedstat';

const text = Buffer.alloc(64);
let file = open();
/** Last sample of the sum of both times, and when it was taken. In ms. */
let sample = 0;
let sampledAt = Number.NEGATIVE_INFINITY;

/**
 * Samples the thread's times, unless the last sample is recent. Call before each operation that may block.
 * @param now Timestamp of the monotonic clock, in ms.
 */
export function sampleThreadTime(now: number): void {
  if (file === undefined || now - sampledAt < MAX_SAMPLE_AGE_MS) return;
  sample = read();
  sampledAt = now;
}

/**
 * Returns how long this thread was blocked during the last `elapsed` ms, if `sampleThreadTime` was called before.
 * Blocked means neither running nor waiting for a CPU, because a thread may wait long for a CPU on a busy
 * machine. The result may be up to `MAX_SAMPLE_AGE_MS` too small.
 */
export function blockedDuring(elapsed: number): number {
  const busy = file === undefined ? ASSUMED_WAIT_MS : read() - sample;
  return Math.max(0, elapsed - busy);
}

function read(): number {
  try {
    const length = readSync(file!, text, 0, text.length, 0);
    const [run, wait] = text.toString('latin1', 0, length).split(' ');
    return (Number(run) + Number(wait)) / 1e6;
  } catch {
    file = undefined;
    return sample + ASSUMED_WAIT_MS;
  }
}

function open(): number | undefined {
  try {
    return process.platform === 'linux' ? openSync(SOURCE, 'r') : undefined;
  } catch {
    return undefined;
  }
}
