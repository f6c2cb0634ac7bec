import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { RecordBatch, type RecordBatchData } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Cursor } from '../journal/reader.ts';
import type { Batch } from '../storages/contract.ts';

/** A file begins with it, to be changed when a batch is: another release may have left the file. Then its checksum. */
const FORMAT = Buffer.from('TUb1');
const HEAD_BYTES = FORMAT.length + 4;

/**
 * The batch of each journal that is on its way to a storage which cannot commit it as one, in a file beside the
 * journal's segments. Whatever happens on the way, the same batch is given again.
 */
export class InFlight {
  readonly #file: (journal: string) => string;
  /** Where no file can be written, such as for a journal in memory. */
  readonly #unwritten = new Map<string, Buffer>();

  readonly #onProblem: (error: TrackUsageError) => void;

  /** @param name Tells this storage from the others of the same journals; fit for a file's name. */
  constructor(directory: string, name: string, onProblem: (error: TrackUsageError) => void) {
    this.#file = (journal) => join(directory, journal, `${name}.batch`);
    this.#onProblem = onProblem;
  }

  save(batch: Batch): void {
    const bytes = encode(batch);
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
    const bytes = this.#unwritten.get(journal) ?? this.#bytesOf(this.#file(journal));
    if (bytes === undefined) return undefined;
    const batch = decode(bytes);
    if (batch) return batch;
    // The records are in the journal. What the storage took of the batch may be given to it again.
    this.#onProblem(
      new TrackUsageError('JOURNAL_CORRUPT', { bytes: bytes.length, value: this.#file(journal) }),
    );
    this.clear(journal);
    return undefined;
  }

  #bytesOf(file: string): Buffer | undefined {
    try {
      return readFileSync(file);
    } catch {
      return undefined;
    }
  }
}

function encode(batch: Batch): Buffer {
  const body = serialize({ ...batch, records: batch.records.toData() });
  const bytes = Buffer.concat([FORMAT, Buffer.alloc(4), body]);
  bytes.writeUInt32LE(crc32(body), FORMAT.length);
  return bytes;
}

/** `undefined` for what is damaged, or not of this format. */
function decode(bytes: Buffer): Batch | undefined {
  const body = bytes.subarray(HEAD_BYTES);
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, FORMAT.length).equals(FORMAT)) return undefined;
  if (bytes.readUInt32LE(FORMAT.length) !== crc32(body)) return undefined;
  try {
    const batch = deserialize(body) as Batch & { records: RecordBatchData };
    return { ...batch, records: RecordBatch.of(batch.records) };
  } catch {
    return undefined;
  }
}
