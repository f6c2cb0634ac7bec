import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { RecordBatch, type RecordBatchData } from '../../batch.ts';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { ifPresent, isAbsence, isFileProblem, removing } from '../../journal/files.ts';
import type { Cursor } from '../../journal/position.ts';
import type { Batch } from '../../storage/contract.ts';
import type { Losses } from './losses.ts';

/** A file begins with it, to be changed when a batch is: another release may have left the file. Then its checksum. */
const FORMAT = Buffer.from('TUb2');
const HEAD_BYTES = FORMAT.length + 4;

/** A batch as it was read, and what was missing between its records. */
export interface FilledBatch {
  batch: Batch;
  losses: Losses;
}

/**
 * The batch of each journal that is on its way to a storage which cannot commit it as one, in a file beside the
 * journal's segments. Whatever happens on the way, the same batch is given again.
 *
 * Where that file cannot be written, the batch has to be one that the next process makes again without it: a single
 * record, or records that are only in the memory of this process. So the first batch of a process is a single record
 * too, unless it finds a file.
 */
export class InFlight {
  readonly #file: (journal: string) => string;
  /** Batches whose file could not be written. */
  readonly #unwritten = new Map<string, Buffer>();
  readonly #onProblem: (error: TrackUsageError) => void;

  /** @param name Tells this storage from the others of the same journals; fit for a file's name. */
  constructor(directory: string, name: string, onProblem: (error: TrackUsageError) => void) {
    this.#file = (journal) => join(directory, journal, `${name}.batch`);
    this.#onProblem = onProblem;
  }

  /** Writes the batch down; returns false where it cannot be written. */
  save(filled: FilledBatch): boolean {
    const { journal } = filled.batch;
    const file = this.#file(journal);
    try {
      writeFileSync(`${file}.new`, encode(filled), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      // A journal without a directory is in memory.
      if (!isAbsence(error))
        this.#onProblem(
          new TrackUsageError('BATCH_UNWRITABLE', { value: file, reason: reasonOf(error) }, { cause: error }),
        );
      return false;
    }
    this.#unwritten.delete(journal);
    return true;
  }

  /** Remembers a batch that cannot be written down. */
  keep(filled: FilledBatch): void {
    // As bytes: the lane fills the next batch into the same columns.
    this.#unwritten.set(filled.batch.journal, encode(filled));
  }

  /** The batch that begins at `from`, where one was on its way. Throws where that cannot be known now. */
  load(journal: string, from: Cursor): FilledBatch | undefined {
    const unwritten = this.#unwritten.get(journal);
    const filled = unwritten ? decode(unwritten) : this.#read(journal);
    return filled?.batch.from.position === from.position ? filled : undefined;
  }

  /** Forgets the batch, which the storage did not take. Throws where it would come again. */
  clear(journal: string): void {
    const file = this.#file(journal);
    removing(file, () => rmSync(file));
    this.#unwritten.delete(journal);
  }

  /** Forgets the batch, which the storage has. A file that stays is of no use: the position is behind it. */
  done(journal: string): void {
    this.#unwritten.delete(journal);
    try {
      this.clear(journal);
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
    }
  }

  #read(journal: string): FilledBatch | undefined {
    const file = this.#file(journal);
    const bytes = ifPresent(file, () => readFileSync(file));
    if (bytes === undefined) return undefined;
    const filled = decode(bytes);
    if (filled) return filled;
    // The records are in the journal. What the storage took of the batch may be given to it again.
    this.#onProblem(new TrackUsageError('BATCH_CORRUPT', { value: file }));
    this.clear(journal);
    return undefined;
  }
}

function encode({ batch, losses }: FilledBatch): Buffer {
  const body = serialize({ batch: { ...batch, records: batch.records.toData() }, losses });
  const bytes = Buffer.concat([FORMAT, Buffer.alloc(4), body]);
  bytes.writeUInt32LE(crc32(body), FORMAT.length);
  return bytes;
}

/** `undefined` for what is damaged, or not of this format. */
function decode(bytes: Buffer): FilledBatch | undefined {
  const body = bytes.subarray(HEAD_BYTES);
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, FORMAT.length).equals(FORMAT)) return undefined;
  if (bytes.readUInt32LE(FORMAT.length) !== crc32(body)) return undefined;
  try {
    const { batch, losses } = deserialize(body) as FilledBatch & { batch: { records: RecordBatchData } };
    return { batch: { ...batch, records: RecordBatch.of(batch.records) }, losses };
  } catch {
    return undefined;
  }
}
