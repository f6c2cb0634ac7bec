import { monotonicClock, setTimeout } from './clock.ts';

/** How long work of ours may keep the app's thread before it gets a turn. In ms. */
const SLICE = 5;

/** Gives the app's thread a turn from time to time, during work of ours that may be long. */
export class Turns {
  #until = monotonicClock.now() + SLICE;

  /** To be awaited between the pieces of that work. Does not keep the process alive. */
  async give(): Promise<void> {
    if (monotonicClock.now() < this.#until) return;
    // An unreferenced immediate would not wake an idle event loop, an unreferenced timer does.
    await new Promise<void>((resolve) => void setTimeout(resolve, 1).unref());
    this.#until = monotonicClock.now() + SLICE;
  }
}
