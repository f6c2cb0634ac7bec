import { monotonicClock } from '../platform/clock.ts';
import type { Io } from './io.ts';

/** Minimum time between two changes of the line. In ms. */
const INTERVAL = 100;

/** Progress on one line of a terminal. Prints nothing elsewhere. */
export class ProgressLine {
  readonly #io: Io;
  #shown = Number.NEGATIVE_INFINITY;
  #open = false;

  constructor(io: Io) {
    this.#io = io;
  }

  /** Replaces the line, unless it was changed a moment ago. @param text Returns the line. */
  show(text: () => string): void {
    const now = monotonicClock.now();
    if (!this.#io.showsProgress || now - this.#shown < INTERVAL) return;
    this.#shown = now;
    this.#open = true;
    void this.#io.stderr(`\r\x1b[K${text()}`);
  }

  /** Removes the line. */
  async end(): Promise<void> {
    if (this.#open) await this.#io.stderr('\r\x1b[K');
    this.#open = false;
  }
}

/** Runs a task with a line of progress, which is removed at the end. */
export async function withProgress<T>(io: Io, task: (progress: ProgressLine) => Promise<T>): Promise<T> {
  const progress = new ProgressLine(io);
  try {
    return await task(progress);
  } finally {
    await progress.end();
  }
}
