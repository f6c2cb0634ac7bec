import { setTimeout } from '../platform/clock.ts';

/** Pause between two synchronizations. */
const SYNC_INTERVAL_MS = 10;

/**
 * Synchronizes a file with its disk, for mode `power`. Runs one synchronization at a time, and another one
 * after later writes.
 */
export class Synchronizer {
  readonly #sync: () => Promise<unknown>;
  #isRunning = false;
  #isDirty = false;

  /** @param sync Synchronizes everything written before the call. Never rejects. */
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
    }, SYNC_INTERVAL_MS).unref();
  }
}
