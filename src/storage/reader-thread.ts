import type { Worker } from 'node:worker_threads';
import { TrackUsageError } from '../errors.ts';
import { moduleUrl, type PlainError, reviveError, startThread } from '../platform/threads.ts';
import { type CompleteReader, forwardingReader, type QueryName } from './complete-reader.ts';

/** Query sent to the reader's thread, and its result. */
export interface ReaderCall {
  id: number;
  method: QueryName;
  argument: unknown;
}
export interface ReaderResult {
  id: number;
  value?: unknown;
  error?: PlainError;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Reading end of a storage in a separate thread, so that a long query blocks neither the app nor the writer.
 */
export function threadReader(module: string, options: unknown): CompleteReader {
  const thread = new ReaderThread(module, options);
  return forwardingReader(
    (method, argument) => thread.query(method, argument),
    () => thread.close(),
  );
}

class ReaderThread {
  readonly #module: string;
  readonly #options: unknown;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(module: string, options: unknown) {
    this.#module = module;
    this.#options = options;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  async query(method: ReaderCall['method'], argument: unknown): Promise<unknown> {
    const worker = this.#start();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      // Keeps the process alive while a caller waits for a result.
      worker.ref();
      worker.postMessage({ id, method, argument } satisfies ReaderCall);
    });
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = startThread(moduleUrl('../storage/thread', import.meta.url), {
      name: 'track-usage reader',
      workerData: { module: this.#module, options: this.#options },
    });
    this.#worker = worker;
    let failure: unknown;
    worker.on('message', ({ id, value, error }: ReaderResult) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
      if (error) waiting?.reject(reviveError(error));
      else waiting?.resolve(value);
    });
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(failure ?? new TrackUsageError('CLOSED'));
      this.#waiting.clear();
    });
    return worker;
  }
}
