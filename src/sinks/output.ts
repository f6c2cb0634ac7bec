import type { RecordBatch } from '../batch.ts';
import { show, TrackUsageError } from '../errors.ts';
import { recordJson } from '../formats/record-json.ts';
import { checkOption, checkOptions } from '../options/checks.ts';
import { clearTimeout, setTimeout } from '../platform/clock.ts';
import { ignoreRejection } from '../platform/promises.ts';
import { TimeSlice } from '../platform/time-slice.ts';
import type { UsageRecord } from '../record.ts';
import type { Batch, StorageWriter } from '../storage/contract.ts';
import { type RecordHook, RecordWriter } from '../storage/writer.ts';
import { calendar } from '../summaries/periods.ts';
import { checkNoSummaries } from './no-summaries.ts';

/**
 * Maximum number of records per batch. Small, so that little is repeated after a failure and the app's thread
 * is not blocked for long.
 */
const MAX_RECORDS = 1_000;
/** Time after which a write counts as failed. */
const WRITE_TIMEOUT_MS = 30_000;

/** A Node stream, or an object with the same `write`. The callback reports success or the error. */
export interface Output {
  /** Writes a text or bytes, and then calls back. A write that takes longer than 30 s counts as failed. */
  write(text: string | Uint8Array, callback: (error?: Error | null) => void): unknown;
  /** Listens for errors. Required of a stream that throws an `error` event without a listener. */
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/** Options of an `OutputWriter`. All are optional. */
export interface OutputWriterOptions {
  /** Destination of the records: a writable stream, which is never ended. Defaults to `process.stderr`. */
  output?: Output;
  /**
   * Returns the text for a record, including its line end. Called in the app's thread. If it throws, the
   * record is set aside in the reject file. Defaults to one line of JSON, with `date` as ISO 8601 text with
   * the site's offset.
   */
  transform?: (record: UsageRecord) => string | Uint8Array;
  /** Functions to call with each written record. */
  hooks?: readonly RecordHook[];
}

/**
 * Writes every record to a stream, in the app's thread. A failing stream is retried until it accepts the
 * record. A record written just before a crash may be written again by the next process.
 */
export class OutputWriter extends RecordWriter {
  /**
   * @param label Name in messages and `status()`. Processes with the same site, directory and writer names
   * write each other's remaining records. Defaults to `output`.
   */
  constructor(options: OutputWriterOptions = {}, label = 'output') {
    checkOptions('OutputWriter', options, ['output', 'transform', 'hooks']);
    const { output = process.stderr, transform, hooks = [] } = options;
    checkOption(
      'OutputWriter.output',
      output,
      typeof (output as Partial<Output> | null)?.write === 'function',
      'a writable stream',
    );
    checkOption(
      'OutputWriter.transform',
      transform,
      transform === undefined || typeof transform === 'function',
      'a function',
    );
    checkNoSummaries(label, hooks);
    // Listens immediately, because opening a file may fail before the writer's thread runs.
    listen(output);
    super(
      {
        label,
        identity: label,
        openWriter: async ({ timeZone }) => new OutputSink(output, transform ?? lineIn(timeZone)),
        hooks,
        positions: 'journal',
        maxRecords: MAX_RECORDS,
      },
      [],
    );
  }
}

/** Returns the default `transform` of a site with this time zone. */
function lineIn(timeZone: string): (record: UsageRecord) => string {
  const zone = calendar(timeZone);
  return (record) => `${JSON.stringify(recordJson(record, zone))}\n`;
}

const LISTENED = new WeakSet<Output>();

/** Adds an error listener, without which a failing stream would end the process. One per stream is enough. */
function listen(output: Output): void {
  if (!LISTENED.has(output)) output.on?.('error', () => {});
  LISTENED.add(output);
}

class OutputSink implements StorageWriter {
  readonly #output: Output;
  readonly #transform: (record: UsageRecord) => string | Uint8Array;
  /**
   * Batch that failed after some of its records were written, and their number. They are not written again.
   */
  #failed: { batch: string; written: number } | undefined;
  #refused: unknown;

  constructor(output: Output, transform: (record: UsageRecord) => string | Uint8Array) {
    this.#output = output;
    this.#transform = transform;
  }

  /** Returns undefined: the journal stores the position. */
  async position(): Promise<undefined> {
    return undefined;
  }

  async apply({ journal, from, to, records }: Batch): Promise<boolean> {
    const batch = `${journal} ${from.position}`;
    const before = this.#failed?.batch === batch ? this.#failed.written : 0;
    const slice = new TimeSlice();
    // All texts are created first, so that a refused record is found before anything of its batch is written.
    const texts: (string | Uint8Array)[] = [];
    for (let i = before; i < records.length; i++) {
      texts.push(this.#textOf(records, i));
      await slice.yieldIfBusy();
    }
    this.#failed = { batch, written: before };
    for (const text of texts) {
      await this.#write(text);
      this.#failed.written += 1;
      await slice.yieldIfBusy();
    }
    // If the batch is split after this failure, its second half knows the remaining records.
    this.#failed = { batch: `${journal} ${to.position}`, written: Math.max(0, before - records.length) };
    return true;
  }

  async forget(): Promise<void> {}

  refuses(error: unknown): boolean {
    return this.#refused === error;
  }

  async close(): Promise<void> {}

  #textOf(records: RecordBatch, index: number): string | Uint8Array {
    try {
      const text: unknown = this.#transform(records.record(index));
      if (typeof text === 'string' || text instanceof Uint8Array) return text;
      const shown = ignoreRejection(text) ? 'a promise' : show(text);
      throw new TypeError(`transform returned ${shown}, expected text or bytes`);
    } catch (error) {
      this.#refused = error;
      throw error;
    }
  }

  async #write(text: string | Uint8Array): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(
          () =>
            reject(
              new TrackUsageError('TIMEOUT', { what: 'a write to the output', value: WRITE_TIMEOUT_MS }),
            ),
          WRITE_TIMEOUT_MS,
        ).unref();
        const result = this.#output.write(text, (error) => (error ? reject(error) : resolve()));
        // A value that is not a stream may have an async `write`.
        if (result instanceof Promise) result.catch(reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }
}
