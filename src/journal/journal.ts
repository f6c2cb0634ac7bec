import { randomBytes } from 'node:crypto';
import { closeSync, fdatasync, ftruncateSync, mkdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicClock, setImmediate, setTimeout } from '../clock.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type Facts, MAX_RECORD_BYTES, RecordEncoder } from './codec.ts';
import { emptyJournal, enforceLimit, prepareDirectory } from './directory.ts';
import { isFileProblem } from './files.ts';
import { DirectoryLock } from './lock.ts';
import { createSegment, SEGMENT_HEAD_BYTES, type SegmentHeader } from './segment.ts';
import { SharedState } from './shared.ts';

/**
 * - `append`: one append a record, before the write that completes the response. Survives SIGKILL.
 * - `group`: the sockets' writes of an event-loop turn are held, its records appended at once, then the writes
 *   released. Survives SIGKILL too and costs next to nothing, but delays responses to the end of the turn.
 * - `power`: as `append`, and the file is synchronised again and again, so that a power failure loses at most
 *   what came within the last one or two synchronisations (about 50 ms on a local disk).
 */
export const JOURNAL_MODES = ['append', 'group', 'power'] as const;
export type JournalMode = (typeof JOURNAL_MODES)[number];

/** An append slower than this is counted as slow; three in a row change to one append a turn. In ms. */
export const SLOW_APPEND = 50;
const SLOW_IN_A_ROW = 3;
/** While the file system refuses, it is tried again this often. In ms. */
const RETRY = 2_000;
/** The pause between two synchronisations in mode `power`. In ms. */
const SYNC_PAUSE = 10;

export interface JournalOptions {
  /** The directory of the identity; each journal has one of its own in it. */
  directory: string;
  mode: JournalMode;
  /** Of all journals in the directory. */
  maxBytes: number;
  /** Where a new segment begins. Defaults to 16 MiB or an eighth of `maxBytes`. */
  segmentBytes?: number;
  /** How much waits in memory while the file system refuses. Defaults to 16 MiB. */
  memoryBytes?: number;
  header: SegmentHeader;
  /** Told at most about what changed: never once a record. */
  onProblem(problem: TrackUsageError): void;
}

/** A piece of the journal that could not be written to a file. */
export interface MemoryPiece {
  start: number;
  ordinal: number;
  records: number;
  bytes: Buffer;
}

/**
 * The app's end of a journal: records go in, before their responses go out. Nothing here throws, whatever the
 * disk does: what cannot be written waits in bounded memory, and what does not fit there is counted in `dropped`.
 */
export class Journal {
  readonly id = randomBytes(16).toString('hex');
  readonly shared = new SharedState();
  /** Records that found no room. */
  dropped = 0;
  /** Requests that became no record: reading them failed, or the app answered them after its end. */
  uncaptured = 0;
  slowAppends = 0;
  /** Called with each piece that has no file; it must reach the writer in order. */
  onMemoryPiece: (piece: MemoryPiece) => void = () => {};
  /** Called when the records held back by `group` have been appended. */
  afterTurn: () => void = () => {};

  readonly #options: Required<JournalOptions>;
  readonly #encoder = new RecordEncoder(4 * MAX_RECORD_BYTES);
  #lock: DirectoryLock | undefined;
  #fd: number | undefined;
  #segmentStart = 0;
  #end = 0;
  #ordinal = 0;
  /** Bytes and records in the encoder that were not appended yet. */
  #pending = 0;
  #pendingRecords = 0;
  #perTurn: boolean;
  #turnScheduled = false;
  #slowInARow = 0;
  #pieces: MemoryPiece[] = [];
  #memoryUsed = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  #lastProblem: string | undefined;
  #syncing = false;
  #dirty = false;
  #closed = false;

  constructor(options: JournalOptions) {
    this.#options = {
      segmentBytes: Math.min(16 * 1024 * 1024, Math.max(64 * 1024, Math.floor(options.maxBytes / 8))),
      memoryBytes: 16 * 1024 * 1024,
      ...options,
    };
    this.#perTurn = options.mode === 'group';
    this.#open();
  }

  /** The journal's own directory. */
  get path(): string {
    return join(this.#options.directory, this.id);
  }

  /** Whether records reach a file, or wait in memory because none can be written. */
  get state(): 'file' | 'memory' {
    return this.#fd === undefined ? 'memory' : 'file';
  }

  /** Whether records wait for the turn's end, so that their responses must be held. */
  get holdsResponses(): boolean {
    return this.#options.mode === 'group';
  }

  /** How many records were taken. */
  get records(): number {
    return this.#ordinal + this.#pendingRecords;
  }

  /**
   * Takes a record. In the modes `append` and `power` it is in the file when this returns.
   * @param now On the monotonic clock, in ms.
   */
  append(facts: Facts, now = monotonicClock.now()): void {
    if (!this.#encoder.hasRoom(this.#pending)) this.appendPending(now);
    this.#pending += this.#encoder.encode(this.#pending, facts, this.#ordinal + this.#pendingRecords);
    this.#pendingRecords += 1;
    if (!this.#perTurn) this.appendPending(now);
    else if (!this.#turnScheduled) {
      this.#turnScheduled = true;
      setImmediate(this.#endTurn);
    }
  }

  readonly #endTurn = (): void => {
    this.#turnScheduled = false;
    this.appendPending();
  };

  /** Appends what waits for the turn's end, and lets its responses go. */
  appendPending(now = monotonicClock.now()): void {
    const bytes = this.#pending;
    const records = this.#pendingRecords;
    if (bytes > 0) {
      this.#pending = 0;
      this.#pendingRecords = 0;
      if (!this.#toFile(bytes, now)) {
        if (!this.#toMemory(bytes, records)) {
          this.dropped += records;
          this.afterTurn();
          return;
        }
      }
      this.#end += bytes;
      this.#ordinal += records;
      this.shared.advance(this.#end, this.#ordinal);
      const inSegment = this.#end - this.#segmentStart;
      if (this.#fd !== undefined && inSegment >= this.#options.segmentBytes) this.#rotate();
    }
    this.afterTurn();
  }

  /** Goes on in a new segment: the file that it wrote to was deleted under it. */
  reopen(): void {
    this.#closeFile();
    this.#failedAt = Number.NEGATIVE_INFINITY;
    this.#open();
  }

  /** Pieces in memory that no storage may need any more are let go; the others are returned. */
  memoryPieces(): readonly MemoryPiece[] {
    const committed = this.shared.committed;
    while (this.#pieces.length > 0 && this.#pieces[0]!.start + this.#pieces[0]!.bytes.length <= committed) {
      this.#memoryUsed -= this.#pieces.shift()!.bytes.length;
    }
    return this.#pieces;
  }

  /**
   * Appends what waits and lets the file go. The lock goes too: another process may adopt the journal, unless
   * everything in it is stored and it is discarded.
   */
  close({ discard }: { discard: boolean }): void {
    if (this.#closed) return;
    this.appendPending();
    this.#closed = true;
    this.#closeFile();
    try {
      // While the lock is held: what shows how far it is stored must not go before the records do.
      const empty = discard && emptyJournal(this.path);
      this.#lock?.release();
      if (empty) rmSync(this.path, { recursive: true, force: true });
    } catch (error) {
      // Every record is stored, and the storages know: the next process adopts what is left, and deletes it.
      this.#lock?.release();
      this.#report(
        isFileProblem(error)
          ? error
          : new TrackUsageError('JOURNAL_UNDELETED', { value: this.path, reason: reasonOf(error) }),
      );
    }
  }

  #toFile(length: number, started: number): boolean {
    if (this.#fd === undefined && !this.#open()) return false;
    const fd = this.#fd!;
    try {
      for (let at = 0; at < length; ) at += writeSync(fd, this.#encoder.bytes, at, length - at);
    } catch (error) {
      this.#undo(fd);
      this.#fail(error);
      return false;
    }
    if (monotonicClock.now() - started > SLOW_APPEND) this.#slow();
    else this.#slowInARow = 0;
    if (this.#options.mode === 'power') this.#sync();
    return true;
  }

  #toMemory(length: number, records: number): boolean {
    this.memoryPieces();
    if (this.#closed || this.#memoryUsed + length > this.#options.memoryBytes) return false;
    const bytes = Buffer.from(Buffer.allocUnsafeSlow(length));
    this.#encoder.bytes.copy(bytes, 0, 0, length);
    const piece = { start: this.#end, ordinal: this.#ordinal, records, bytes };
    this.#pieces.push(piece);
    this.#memoryUsed += length;
    this.onMemoryPiece(piece);
    return true;
  }

  /** Opens the next segment, and before the first one the journal itself. */
  #open(): boolean {
    if (this.#closed || monotonicClock.now() - this.#failedAt < RETRY) return false;
    try {
      // Somebody may have deleted the directory; `stat` does not open the file, which would drop the lock.
      if (this.#lock && !DirectoryLock.existsIn(this.path)) {
        this.#lock.release();
        this.#lock = undefined;
      }
      if (!this.#lock) {
        prepareDirectory(this.#options.directory);
        mkdirSync(this.path, { recursive: true, mode: 0o700 });
        // Nobody else has a reason to hold it, but an adopter may look into the new directory just now.
        for (let attempt = 0; !this.#lock && attempt < 100; attempt++)
          this.#lock = DirectoryLock.take(this.path);
        if (!this.#lock) throw new Error('its lock is held by another process');
      }
      this.#fd = createSegment(this.path, this.#end, this.#ordinal, this.#options.header);
      this.#segmentStart = this.#end;
      this.#lastProblem = undefined;
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** Takes back what a failed append left in the file, so that the segment ends with a whole record. */
  #undo(fd: number): void {
    try {
      ftruncateSync(fd, SEGMENT_HEAD_BYTES + this.#end - this.#segmentStart);
    } catch {
      // Readers stop at the beginning of the next segment, and know a torn record by its checksum.
    }
  }

  #rotate(): void {
    this.#closeFile();
    const { directory, maxBytes, onProblem } = this.#options;
    try {
      const { dropped, error } = enforceLimit(directory, maxBytes);
      if (dropped > 0) onProblem(new TrackUsageError('JOURNAL_FULL', { value: maxBytes }));
      if (error) this.#report(error);
    } catch (error) {
      this.#report(error);
    }
    this.#open();
  }

  #closeFile(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    if (this.#options.mode !== 'power') this.#closeDescriptor(fd);
    else {
      fdatasync(fd, (error) => {
        if (error) this.#unsynced(error);
        this.#closeDescriptor(fd);
      });
    }
  }

  /** The descriptor is free afterwards, also where closing fails. */
  #closeDescriptor(fd: number): void {
    try {
      closeSync(fd);
    } catch (error) {
      this.#report(error);
    }
  }

  #unsynced(error: Error): void {
    this.#report(
      new TrackUsageError('JOURNAL_UNSYNCED', { value: this.path, reason: error.message }, { cause: error }),
    );
  }

  #fail(error: unknown): void {
    if (this.#fd !== undefined) {
      try {
        closeSync(this.#fd);
      } catch {
        // It is given up either way.
      }
      this.#fd = undefined;
    }
    this.#failedAt = monotonicClock.now();
    this.#report(error);
  }

  #report(error: unknown): void {
    const reason = reasonOf(error);
    if (reason === this.#lastProblem) return;
    this.#lastProblem = reason;
    this.#options.onProblem(
      error instanceof TrackUsageError
        ? error
        : new TrackUsageError('JOURNAL_UNWRITABLE', { value: this.path, reason }, { cause: error }),
    );
  }

  #slow(): void {
    this.slowAppends += 1;
    this.#slowInARow += 1;
    if (this.#slowInARow < SLOW_IN_A_ROW || this.#perTurn) return;
    this.#perTurn = true;
    this.#options.onProblem(new TrackUsageError('JOURNAL_SLOW', { value: SLOW_APPEND }));
  }

  /** At most one synchronisation runs, and each covers all that was appended before it began. */
  #sync(): void {
    if (this.#syncing) {
      this.#dirty = true;
      return;
    }
    this.#syncing = true;
    this.#dirty = false;
    setTimeout(() => {
      if (this.#fd === undefined) {
        this.#syncing = false;
        return;
      }
      fdatasync(this.#fd, (error) => {
        this.#syncing = false;
        if (error) this.#unsynced(error);
        if (this.#dirty && !this.#closed) this.#sync();
      });
    }, SYNC_PAUSE).unref();
  }
}
