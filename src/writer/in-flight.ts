import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { RecordBatch, type RecordBatchData } from '../batch.ts';
import type { Cursor } from '../journal/reader.ts';
import type { Batch } from '../storages/contract.ts';

/**
 * The batch of each journal that is on its way to a storage which cannot commit it as one, in a file beside the
 * journal's segments. Whatever happens on the way, the same batch is given again.
 */
export class InFlight {
  readonly #file: (journal: string) => string;
  /** Where no file can be written, such as for a journal in memory. */
  readonly #unwritten = new Map<string, Buffer>();

  /** @param name Tells this storage from the others of the same journals; fit for a file's name. */
  constructor(directory: string, name: string) {
    this.#file = (journal) => join(directory, journal, `${name}.batch`);
  }

  save(batch: Batch): void {
    const bytes = serialize({ ...batch, records: batch.records.toData() });
    const file = this.#file(batch.journal);
    try {
      writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      this.#unwritten.delete(batch.journal);
    } catch {
      this.#unwritten.set(batch.journal, bytes);
    }
  }

  /** The batch that begins at `from`, where one was on its way. */
  load(journal: string, from: Cursor): { batch: Batch; to: Cursor; lost: number } | undefined {
    const batch = this.#read(journal);
    if (batch?.from.position !== from.position) return undefined;
    return { batch, to: batch.to, lost: 0 };
  }

  clear(journal: string): void {
    this.#unwritten.delete(journal);
    rmSync(this.#file(journal), { force: true });
  }

  #read(journal: string): Batch | undefined {
    try {
      const bytes = this.#unwritten.get(journal) ?? readFileSync(this.#file(journal));
      const batch = deserialize(bytes) as Batch & { records: RecordBatchData };
      return { ...batch, records: RecordBatch.of(batch.records) };
    } catch {
      // There is none, or the power failed while it was written: then it was not sent either.
      return undefined;
    }
  }
}
