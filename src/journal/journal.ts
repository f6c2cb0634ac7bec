import { randomBytes } from 'node:crypto';
import { closeSync, fdatasync, ftruncateSync, mkdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicClock, processTime, setImmediate, setTimeout } from '../clock.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type Facts, MAX_RECORD_BYTES, RecordEncoder } from './codec.ts';

import { emptyJournal, enforceLimit, prepareDirectory } from './directory.ts';
import { isFileProblem } from './files.ts';
import { beat, endHeartbeat, LEASE, startHeartbeat } from './heartbeat.ts';
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
/** Number of completed segments that the writer's thread may be behind with the limit of the journals' size. */
const MAX_UNLIMITED = 2;
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
  /** Another one, with a `shared` of its own, after `onStartOver`. */
  id = newId();
  shared = new SharedState();
  /** Records of earlier journals of this process, which other processes have adopted. */
  recordsBefore = 0;
  /** Records that found no room. */
  dropped = 0;
  /** Requests that became no record: reading them failed, or the app answered them after its end. */
  uncaptured = 0;
  slowAppends = 0;
  /** Called with each piece that has no file; it must reach the writer in order. */
  onMemoryPiece: (piece: MemoryPiece) => void = () => {};
  /** Called when the records held back by `group` have been appended. */
  afterTurn: () => void = () => {};

  /** Called when another process had adopted the journal, and this one has begun another. */
  onStartOver: () => void = () => {};

  readonly #options: Required<JournalOptions>;
  readonly #encoder = new RecordEncoder(4 * MAX_RECORD_BYTES);
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
    return this.recordsBefore + this.#ordinal + this.#pendingRecords;
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
      if (this.#fd !== undefined && this.#leaseIsOver(now)) this.confirm();
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

  /** Goes on in a new segment where the files that it wrote to were deleted; as `confirm` where they were adopted. */
  reopen(): void {
    if (this.#beat() === 'taken') this.#startOver();
    else this.#recreate();
  }

  /**
   * Makes sure that no other process has adopted the journal, as it may after a pause of this one; begins another
   * journal where one has.
   */
  confirm(): void {
    const state = this.#beat();
    if (state === 'taken') this.#startOver();
    if (state !== 'gone') return;
    this.#options.onProblem(new TrackUsageError('JOURNAL_GONE', { value: this.path }));
    this.#recreate();
  }

  /** Whether another process may have adopted the journal. */
  #leaseIsOver(now = monotonicClock.now()): boolean {
    return processTime(now) - this.shared.beat > LEASE;
  }

  #beat(): 'kept' | 'gone' | 'taken' {
    try {
      return beat(this.path, this.shared);
    } catch (error) {
      this.#fail(error);
      return 'kept';
    }
  }

  #recreate(): void {
    this.#closeFile();
    this.#failedAt = Number.NEGATIVE_INFINITY;
    this.shared.beat = 0;
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

  /** Appends what is pending, when the process ends without `close`: another one can adopt the journal soon. */
  leave(): void {
    this.appendPending();
    if (this.#closed || this.shared.beat === 0) return;
    try {
      endHeartbeat(this.path);
    } catch {
      // Then it is adopted when the heart has stood still for a while.
    }
  }

  /**
   * Appends what is pending and closes the file. Another process can adopt the journal from then on, unless everything
   * in it is stored and it is discarded.
   */
  close({ discard }: { discard: boolean }): void {
    if (this.#closed) return;
    this.appendPending();
    this.#closed = true;
    this.#closeFile();
    if (this.shared.beat === 0) return;
    try {
      if (!discard) endHeartbeat(this.path);
      // What shows how far it is stored must not go before the records do; the heartbeat goes last of all.
      else if (emptyJournal(this.path)) rmSync(this.path, { recursive: true, force: true });
    } catch (error) {
      // The next process adopts what is left. It deletes what is stored, which the storages know.
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
      if (this.#leaseIsOver()) {
        const state = beat(this.path, this.shared);
        if (state === 'gone') this.shared.beat = 0;
        if (state === 'taken') {
          this.#startOver();
          return this.#fd !== undefined;
        }
      }
      if (this.shared.beat === 0) {
        prepareDirectory(this.#options.directory);
        mkdirSync(this.path, { recursive: true, mode: 0o700 });
        // Before the first segment: a journal with records and without a heartbeat may be adopted.
        startHeartbeat(this.path);
        this.shared.beat = processTime();
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
    const { shared } = this;
    shared.rotations += 1;
    // The writer's thread does it, since it takes long where there are many journals; here only where no thread runs.
    if (shared.limited < 0 || shared.rotations - shared.limited > MAX_UNLIMITED) this.#enforceLimit();
    this.#open();
  }

  #enforceLimit(): void {
    const { directory, maxBytes, onProblem } = this.#options;
    if (this.shared.limited >= 0) this.shared.limited = this.shared.rotations;
    try {
      const { dropped, error } = enforceLimit(directory, maxBytes);
      if (dropped > 0) onProblem(new TrackUsageError('JOURNAL_FULL', { value: maxBytes }));
      if (error) this.#report(error);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Leaves the journal to the process that has adopted it, and begins another one. */
  #startOver(): void {
    this.#closeFile();
    // Their positions are those of the journal that is left; only this process has them.
    const lost = this.memoryPieces().reduce((sum, { records }) => sum + records, 0);
    this.#options.onProblem(new TrackUsageError('JOURNAL_TAKEN', { value: this.path, records: lost }));
    this.dropped += lost;
    this.recordsBefore += this.#ordinal - lost;
    this.#pieces = [];
    this.#memoryUsed = 0;
    this.#end = 0;
    this.#ordinal = 0;
    this.#failedAt = Number.NEGATIVE_INFINITY;
    this.id = newId();
    this.shared = new SharedState();
    this.#open();
    this.onStartOver();
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

function newId(): string {
  return randomBytes(16).toString('hex');
}
