import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cursor } from '../journal/reader.ts';
import type { Batch, StorageWriter } from '../storages/contract.ts';

/**
 * Keeps the positions of a writer that has no place for them, in a file beside each journal's segments. Such a writer
 * gets every record at least once: what it took just before a crash comes again.
 */
export class JournalPositions implements StorageWriter {
  readonly #writer: StorageWriter;
  readonly #file: (journal: string) => string;
  /** What this thread knows, also where no file can be written. */
  readonly #known = new Map<string, Cursor>();

  /** @param name Tells this writer from the others of the same journals; fit for a file's name. */
  constructor(writer: StorageWriter, directory: string, name: string) {
    this.#writer = writer;
    this.#file = (journal) => join(directory, journal, `${name}.position`);
  }

  async position(journal: string): Promise<Cursor | undefined> {
    const known = this.#known.get(journal);
    if (known) return known;
    try {
      const [position, ordinal] = readFileSync(this.#file(journal), 'utf8').split(' ').map(Number);
      return Number.isSafeInteger(position) && Number.isSafeInteger(ordinal)
        ? { position: position!, ordinal: ordinal! }
        : undefined;
    } catch {
      return undefined;
    }
  }

  async apply(batch: Batch): Promise<boolean> {
    if (!(await this.#writer.apply(batch))) return false;
    this.#known.set(batch.journal, batch.to);
    const file = this.#file(batch.journal);
    try {
      writeFileSync(`${file}.new`, `${batch.to.position} ${batch.to.ordinal}`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // A full disk, or a journal in memory: after a crash some come again, or the journal is gone too.
    }
    return true;
  }

  async forget(journal: string): Promise<void> {
    this.#known.delete(journal);
    rmSync(this.#file(journal), { force: true });
  }

  refuses(error: unknown): boolean {
    return this.#writer.refuses(error);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
