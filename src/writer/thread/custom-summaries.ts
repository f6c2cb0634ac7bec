import type { Extra, RecordBatch } from '../../batch.ts';
import type { TrackUsageError } from '../../errors.ts';
import type { KeyFunction, Summary } from '../../summaries/define.ts';
import { keyFailed, keysOf } from '../../summaries/keys.ts';
import { loadKey } from '../../summaries/load-key.ts';

/** User-defined summaries of a storage. Finds the keys of records in them. */
export class CustomSummaries {
  /** Summaries whose keys were determined at capture and are in the journal. */
  readonly #captured: readonly string[];
  readonly #modules: readonly Summary[];
  readonly #onProblem: (error: TrackUsageError) => void;
  #functions: { name: string; key: KeyFunction }[] = [];

  constructor(summaries: readonly Summary[], onProblem: (error: TrackUsageError) => void) {
    this.#captured = summaries
      .filter(({ column, module }) => column === undefined && module === undefined)
      .map(({ name }) => name);
    this.#modules = summaries.filter(({ module }) => module !== undefined);
    this.#onProblem = onProblem;
  }

  /** Loads the modules. Rejects if one does not export the function. */
  async load(): Promise<void> {
    this.#functions = await Promise.all(this.#modules.map(loadKey));
  }

  /** Sets the keys that were determined when the record at `index` was captured. */
  captured(batch: RecordBatch, index: number): void {
    if (this.#captured.length === 0) return;
    const { keys } = JSON.parse(batch.extra.get(index) ?? '{}') as Extra;
    for (const name of this.#captured) batch.setKeys(name, index, keys?.[name] ?? []);
  }

  /** Calls the key functions for all records of a complete batch. */
  enriched(batch: RecordBatch): void {
    if (this.#functions.length === 0) return;
    for (let i = 0; i < batch.length; i++) {
      const record = batch.record(i);
      for (const { name, key } of this.#functions) batch.setKeys(name, i, this.#keysOf(name, key, record));
    }
  }

  #keysOf(name: string, key: KeyFunction, record: Parameters<KeyFunction>[0]): string[] {
    try {
      return keysOf(key(record));
    } catch (error) {
      this.#onProblem(keyFailed(name, error));
      return [];
    }
  }
}
