import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { listSegments } from '../../journal/directory.ts';
import type { Position } from '../../journal/position.ts';
import { monotonicClock } from '../../platform/clock.ts';
import { ifPresent, isAbsence, isFileProblem, removing } from '../../platform/files.ts';
import type { Batch, StorageWriter } from '../../storage/contract.ts';

/** Pause before a file that could not be written is retried. */
const RETRY_INTERVAL_MS = 1_000;

/**
 * Stores the positions of a writer that cannot store them itself, in a file beside each journal's segments.
 * Such a writer gets every record at least once: records accepted just before a crash are repeated.
 */
export class JournalPositions implements StorageWriter {
  readonly #writer: StorageWriter;
  readonly #directory: string;
  readonly #name: string;
  readonly #onProblem: (error: TrackUsageError) => void;
  /** Positions known to this thread, even if no file can be written. */
  readonly #known = new Map<string, Position>();
  /** Journals whose file is outdated. */
  readonly #unwritten = new Set<string>();
  #retryAt = 0;

  /**
   * Creates the wrapper.
   * @param name Distinguishes this writer from others of the same journals. Must be valid in a file name.
   */
  constructor(
    writer: StorageWriter,
    directory: string,
    name: string,
    onProblem: (error: TrackUsageError) => void,
  ) {
    this.#writer = writer;
    this.#directory = directory;
    this.#name = name;
    this.#onProblem = onProblem;
  }

  /** Throws if the file cannot be read. Starting from 0 instead would write all records again. */
  async position(journal: string): Promise<Position | undefined> {
    const known = this.#known.get(journal);
    if (known) return known;
    const file = this.#file(journal);
    const text = ifPresent(file, () => readFileSync(file, 'utf8'));
    if (text === undefined) return undefined;
    const position = decode(text);
    if (position) return position;
    this.#onProblem(new TrackUsageError('POSITION_CORRUPT', { value: file }));
    // Everything before the oldest segment was written and deleted, or dropped and counted.
    const [oldest] = listSegments(join(this.#directory, journal));
    return oldest && { position: oldest.start, ordinal: oldest.ordinal };
  }

  async apply(batch: Batch): Promise<boolean> {
    if (!(await this.#writer.apply(batch))) return false;
    this.#known.set(batch.journal, batch.to);
    this.#write(batch.journal, batch.to);
    return true;
  }

  /** Retries writing the outdated files, at most once per second. */
  retry(): void {
    if (this.#unwritten.size === 0 || monotonicClock.now() < this.#retryAt) return;
    for (const journal of [...this.#unwritten]) this.#write(journal, this.#known.get(journal)!);
  }

  async forget(journal: string): Promise<void> {
    this.#known.delete(journal);
    this.#unwritten.delete(journal);
    const file = this.#file(journal);
    try {
      removing(file, () => rmSync(file));
    } catch (error) {
      // Its journal has no records left. It is deleted together with the journal.
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
    }
  }

  /** Forgets a journal that another process has adopted, and keeps its file. */
  leave(journal: string): void {
    this.#known.delete(journal);
    this.#unwritten.delete(journal);
  }

  refuses(error: unknown): boolean {
    return this.#writer.refuses(error);
  }

  close(): Promise<void> {
    this.#retryAt = 0;
    this.retry();
    return this.#writer.close();
  }

  #file(journal: string): string {
    return join(this.#directory, journal, `${this.#name}.position`);
  }

  #write(journal: string, position: Position): void {
    const file = this.#file(journal);
    this.#unwritten.delete(journal);
    try {
      writeFileSync(`${file}.new`, encode(position), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      this.#unwritten.add(journal);
      this.#retryAt = monotonicClock.now() + RETRY_INTERVAL_MS;
      // A journal without a directory is in memory. It ends with the process, or gets a directory later.
      if (isAbsence(error)) return;
      this.#onProblem(
        new TrackUsageError(
          'POSITION_UNWRITABLE',
          { value: file, reason: reasonOf(error) },
          { cause: error },
        ),
      );
    }
  }
}

/** Encodes position, ordinal and checksum twice, so that damage to one line leaves the other. */
function encode({ position, ordinal }: Position): string {
  const numbers = `${position} ${ordinal}`;
  return `${numbers} ${crc32(numbers)}\n`.repeat(2);
}

function decode(text: string): Position | undefined {
  for (const line of text.split('\n')) {
    const [position = '', ordinal = '', sum] = line.split(' ');
    if (sum === String(crc32(`${position} ${ordinal}`)))
      return { position: Number(position), ordinal: Number(ordinal) };
  }
  return undefined;
}
