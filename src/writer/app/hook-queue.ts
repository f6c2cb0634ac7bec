import { RecordBatch, type RecordBatchData } from '../../batch.ts';
import { hookFailed } from '../../errors.ts';
import { clearTimeout, setTimeout } from '../../platform/clock.ts';
import { TimeSlice } from '../../platform/time-slice.ts';
import type { RecordHook, RecordWriter } from '../../storage/writer.ts';
import type { HookLoad } from '../protocol.ts';

/** Maximum time that a hook's promise is awaited. */
const PROMISE_TIMEOUT_MS = 10_000;

/**
 * Calls a storage's hook functions in the app's thread with the committed records. Calls are sequential, and
 * split into time slices so that requests are handled in between.
 */
export class HookQueue {
  /** Number of calls that threw, rejected, or timed out. */
  failed = 0;
  /** Number of records whose hooks have not finished. */
  pending = 0;
  readonly #storage: RecordWriter;
  readonly #onCalled: (load: HookLoad) => void;
  readonly #onProblem: (error: Error) => void;
  readonly #batches: { batch: RecordBatch; units: number }[] = [];
  #running: Promise<void> | undefined;

  /**
   * Creates a queue.
   * @param onCalled Called with the load that the hooks have processed.
   */
  constructor(storage: RecordWriter, onCalled: (load: HookLoad) => void, onProblem: (error: Error) => void) {
    this.#storage = storage;
    this.#onCalled = onCalled;
    this.#onProblem = onProblem;
  }

  add(data: RecordBatchData, units: number): void {
    this.#batches.push({ batch: RecordBatch.of(data), units });
    this.pending += data.length;
    this.#running ??= this.#run();
  }

  /** Resolves when the hooks have processed all records. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const slice = new TimeSlice();
    for (let next = this.#batches.shift(); next; next = this.#batches.shift()) {
      const { batch, units } = next;
      for (let i = 0; i < batch.length; i++) {
        for (const hook of this.#storage.hooks) {
          const promise = this.#call(hook, batch, i);
          if (promise) await promise;
        }
        this.pending -= 1;
        await slice.yieldIfBusy();
      }
      this.#onCalled({ records: batch.length, units });
    }
    this.#running = undefined;
  }

  /**
   * Calls a hook. Returns a promise only if the hook did. Each hook gets a separate record object, because
   * hooks may modify it.
   */
  #call(hook: RecordHook, batch: RecordBatch, index: number): Promise<void> | undefined {
    try {
      const result: unknown = hook(batch.record(index), this.#storage);
      if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') return undefined;
      return this.#settle(hook, result as PromiseLike<unknown>);
    } catch (error) {
      this.#fail(hook, error);
      return undefined;
    }
  }

  async #settle(hook: RecordHook, promise: PromiseLike<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        promise,
        new Promise((_, reject) => {
          timer = setTimeout(
            () => reject(new Error(`its promise had not settled after ${PROMISE_TIMEOUT_MS} ms`)),
            PROMISE_TIMEOUT_MS,
          ).unref();
        }),
      ]);
    } catch (error) {
      this.#fail(hook, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #fail(hook: RecordHook, error: unknown): void {
    this.failed += 1;
    const what = `the hook ${hook.name || '(anonymous)'} of ${this.#storage.label}`;
    this.#onProblem(
      hookFailed(what, 'the record is stored, and the hook is not called with it again', error),
    );
  }
}
