import { setTimeout } from '../clock.ts';

/** The pause between two synchronizations. In ms. */
const PAUSE = 10;

/** Synchronizes a file with its disk, for mode `power`: at most once at a time, and after each write again. */
export class Synchronizer {
  readonly #sync: () => Promise<unknown>;
  #isRunning = false;
  #isDirty = false;

  /** @param sync Covers what was written before it is called. Never rejects. */
  constructor(sync: () => Promise<unknown>) {
    this.#sync = sync;
  }

  /** Call after each write. */
  written(): void {
    this.#isDirty = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    setTimeout(() => {
      this.#isDirty = false;
      void this.#sync().then(() => {
        this.#isRunning = false;
        if (this.#isDirty) this.written();
      });
    }, PAUSE).unref();
  }
}
