import { setTimeout } from 'node:timers/promises';

/** How long work of ours may keep the app's thread before it gets a turn. In ms. */
const SLICE = 5;

/** Gives the app's thread a turn from time to time, during work of ours that may be long. */
export class Turns {
  #until = performance.now() + SLICE;

  /** To be awaited between the pieces of that work. Does not keep the process alive. */
  async give(): Promise<void> {
    if (performance.now() < this.#until) return;
    // An unreferenced immediate would not wake an idle event loop, an unreferenced timer does.
    await setTimeout(1, undefined, { ref: false });
    this.#until = performance.now() + SLICE;
  }
}
