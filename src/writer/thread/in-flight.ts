import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { RecordBatch, type RecordBatchData } from '../../batch.ts';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { ifPresent, isAbsence, isFileProblem, removing } from '../../platform/files.ts';
import type { Batch } from '../../storage/contract.ts';
import type { Losses } from './losses.ts';

/**
 * Start of a file, followed by its checksum. Change it whenever the batch format changes, because another
 * release may have left the file.
 */
const FORMAT = Buffer.from('TUb4');
const HEAD_BYTES = FORMAT.length + 4;

/** A batch as it was read, and the records missing in it. */
export interface FilledBatch {
  batch: Batch;
  losses: Losses;
  /** Time zone of the buckets in its sums. */
  timeZone?: string | undefined;
}

/**
 * Saves each journal's batch on its way to a storage without atomic commits, in a file beside the journal's
 * segments. So the identical batch is repeated after any failure.
 *
 * If the file cannot be written, the next process must be able to create the same batch without it. The batch
 * is then a single record, or records that are only in this process's memory. So a process without such a
 * file also starts with a single record.
 */
export class InFlight {
  readonly #file: (journal: string) => string;
  readonly #timeZone: string;
  /** Batches whose file could not be written. */
  readonly #unwritten = new Map<string, Buffer>();
  readonly #onProblem: (error: TrackUsageError) => void;

  /**
   * Creates the store.
   * @param name Distinguishes this storage from others of the same journals. Must be valid in a file name.
   * @param timeZone Time zone of the site.
   */
  constructor(
    directory: string,
    name: string,
    timeZone: string,
    onProblem: (error: TrackUsageError) => void,
  ) {
    this.#timeZone = timeZone;
    this.#file = (journal) => join(directory, journal, `${name}.batch`);
    this.#onProblem = onProblem;
  }

  /** Saves the batch. Returns false if it cannot be written. */
  save(filled: FilledBatch): boolean {
    const { journal } = filled.batch;
    const file = this.#file(journal);
    try {
      writeFileSync(`${file}.new`, this.#encode(filled), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      // A journal without a directory is only in memory.
      if (!isAbsence(error))
        this.#onProblem(
          new TrackUsageError('BATCH_UNWRITABLE', { value: file, reason: reasonOf(error) }, { cause: error }),
        );
      return false;
    }
    this.#unwritten.delete(journal);
    return true;
  }

  /** Keeps a batch that cannot be written in memory. */
  keep(filled: FilledBatch): void {
    // Encoded, because the pipeline reuses the columns for the next batch.
    this.#unwritten.set(filled.batch.journal, this.#encode(filled));
  }

  /** Returns the saved batch that starts at `from`, if any. Throws if that cannot be determined now. */
  load(journal: string, from: Position): FilledBatch | undefined {
    const unwritten = this.#unwritten.get(journal);
    const filled = unwritten ? decode(unwritten) : this.#read(journal);
    // The zone was changed meanwhile, which is refused while a batch is partly stored.
    if (filled?.timeZone !== undefined && filled.timeZone !== this.#timeZone) return undefined;
    return filled?.batch.from.position === from.position ? filled : undefined;
  }

  /** Deletes a batch that the storage did not accept. Throws if it would be repeated. */
  clear(journal: string): void {
    const file = this.#file(journal);
    removing(file, () => rmSync(file));
    this.#unwritten.delete(journal);
  }

  /**
   * Deletes a batch that the storage has. A remaining file does no harm, because the position is after its
   * batch.
   */
  done(journal: string): void {
    this.#unwritten.delete(journal);
    try {
      this.clear(journal);
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
    }
  }

  /** Forgets a journal that another process has adopted, and keeps its file. */
  leave(journal: string): void {
    this.#unwritten.delete(journal);
  }

  #encode(filled: FilledBatch): Buffer {
    return encode({ ...filled, timeZone: this.#timeZone });
  }

  #read(journal: string): FilledBatch | undefined {
    const file = this.#file(journal);
    const bytes = ifPresent(file, () => readFileSync(file));
    if (bytes === undefined) return undefined;
    const filled = decode(bytes);
    if (filled) return filled;
    // The records are in the journal. The storage may receive records again that it has already stored.
    this.#onProblem(new TrackUsageError('BATCH_CORRUPT', { value: file }));
    this.clear(journal);
    return undefined;
  }
}

/** Reads the file of a batch. Returns `undefined` if it does not exist, is damaged or has another format. */
export function readBatchFile(file: string): FilledBatch | undefined {
  const bytes = ifPresent(file, () => readFileSync(file));
  return bytes && decode(bytes);
}

/**
 * Returns the name of a storage's batch files, without their extension.
 * @param number Number of storages before it that are not ephemeral.
 */
export function batchFileName(number: number, label: string): string {
  return createHash('sha256').update(`${number} ${label}`).digest('hex').slice(0, 16);
}

function encode({ batch, ...rest }: FilledBatch): Buffer {
  const body = serialize({ batch: { ...batch, records: batch.records.toData() }, ...rest });
  const bytes = Buffer.concat([FORMAT, Buffer.alloc(4), body]);
  bytes.writeUInt32LE(crc32(body), FORMAT.length);
  return bytes;
}

/** Decodes a batch. Returns `undefined` if it is damaged or in another format. */
function decode(bytes: Buffer): FilledBatch | undefined {
  const body = bytes.subarray(HEAD_BYTES);
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, FORMAT.length).equals(FORMAT)) return undefined;
  if (bytes.readUInt32LE(FORMAT.length) !== crc32(body)) return undefined;
  try {
    const { batch, ...rest } = deserialize(body) as FilledBatch & { batch: { records: RecordBatchData } };
    return { batch: { ...batch, records: RecordBatch.of(batch.records) }, ...rest };
  } catch {
    return undefined;
  }
}
