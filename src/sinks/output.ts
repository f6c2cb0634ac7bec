import type { RecordBatch } from '../batch.ts';
import { show, TrackUsageError } from '../errors.ts';
import { recordJson } from '../formats/record-json.ts';
import { checkOption, checkOptions } from '../options/checks.ts';
import { clearTimeout, setTimeout } from '../platform/clock.ts';
import { letGo } from '../platform/promises.ts';
import { Turns } from '../platform/turns.ts';
import type { UsageRecord } from '../record.ts';
import type { Batch, StorageWriter } from '../storage/contract.ts';
import { type RecordHook, RecordWriter } from '../storage/writer.ts';
import { calendar } from '../summaries/periods.ts';
import { checkNoSummaries } from './no-summaries.ts';

/** Few enough that a repeated batch is short, and that the app's thread is not kept long. */
const MAX_RECORDS = 1_000;
/** How long one write may take until it counts as failed. In ms. */
const PATIENCE = 30_000;

/** A stream of Node, or what writes as one does: the callback says that the text was taken, or why not. */
export interface Output {
  write(text: string | Uint8Array, callback: (error?: Error | null) => void): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

export interface OutputWriterOptions {
  /** Where the records go: a writable stream. Defaults to `process.stderr`. It is never ended. */
  output?: Output;
  /**
   * What is written of a record, with its line end; called in the app's thread. A record that it throws at is set aside
   * in the reject file. Defaults to one line of JSON, with `date` as ISO 8601 text with the site's offset.
   */
  transform?: (record: UsageRecord) => string | Uint8Array;
  /** Functions to call with each record that was written. */
  hooks?: readonly RecordHook[];
}

/**
 * Writes every record to a stream, in the app's thread. A stream that fails is tried again until it takes the
 * record; a record that was written just before a crash may be written again by the next process.
 */
export class OutputWriter extends RecordWriter {
  /**
   * @param label Its name in messages and `status()`. Processes with the same site, directory and names of writers
   * write what each other left. Defaults to `output`.
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
    // Now: a file that cannot be opened fails before the writer's thread is there.
    listen(output);
    super(
      {
        label,
        identity: label,
        openWriter: async ({ timeZone }) => new OutputEnd(output, transform ?? lineIn(timeZone)),
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

/** A stream that fails and is not listened to ends the process; one listener for each is enough. */
function listen(output: Output): void {
  if (!LISTENED.has(output)) output.on?.('error', () => {});
  LISTENED.add(output);
}

class OutputEnd implements StorageWriter {
  readonly #output: Output;
  readonly #transform: (record: UsageRecord) => string | Uint8Array;
  /** Where a batch begins of which some records were written before it failed: they are not written again. */
  #failed: { batch: string; written: number } | undefined;
  #refused: unknown;

  constructor(output: Output, transform: (record: UsageRecord) => string | Uint8Array) {
    this.#output = output;
    this.#transform = transform;
  }

  /** The journal keeps it. */
  async position(): Promise<undefined> {
    return undefined;
  }

  async apply({ journal, from, to, records }: Batch): Promise<boolean> {
    const began = `${journal} ${from.position}`;
    const before = this.#failed?.batch === began ? this.#failed.written : 0;
    const turns = new Turns();
    // All of them first: one that is refused must be found while nothing of its batch is written.
    const texts: (string | Uint8Array)[] = [];
    for (let i = before; i < records.length; i++) {
      texts.push(this.#textOf(records, i));
      await turns.give();
    }
    this.#failed = { batch: began, written: before };
    for (const text of texts) {
      await this.#write(text);
      this.#failed.written += 1;
      await turns.give();
    }
    // A batch that was cut in two since it failed: its second half knows what is left.
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
      const shown = letGo(text) ? 'a promise' : show(text);
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
          () => reject(new TrackUsageError('TIMEOUT', { what: 'a write to the output', value: PATIENCE })),
          PATIENCE,
        ).unref();
        const result = this.#output.write(text, (error) => (error ? reject(error) : resolve()));
        // What is no stream may well be an async function.
        if (result instanceof Promise) result.catch(reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }
}
