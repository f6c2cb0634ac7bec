import { monotonicClock, setTimeout } from './clock.ts';

/** Maximum time that our work may block the app's thread before it yields. */
const SLICE_MS = 5;

/** Yields to the app's thread periodically during long work. */
export class TimeSlice {
  #until = monotonicClock.now() + SLICE_MS;

  /** Await this between the steps of the work. Does not keep the process alive. */
  async yieldIfBusy(): Promise<void> {
    if (monotonicClock.now() < this.#until) return;
    // An unreferenced immediate would not wake an idle event loop, an unreferenced timer does.
    await new Promise<void>((resolve) => void setTimeout(resolve, 1).unref());
    this.#until = monotonicClock.now() + SLICE_MS;
  }
}
