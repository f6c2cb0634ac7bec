import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { CapturedFields, RecordSink } from '../capture/record-sink.ts';
import { TrackUsageError } from '../errors.ts';
import { monotonicClock, setImmediate } from '../platform/clock.ts';
import { MAX_RECORD_BYTES, RecordEncoder } from './codec.ts';
import type { MemoryPiece } from './pieces.ts';
import type { SegmentHeader } from './segment.ts';
import { type JournalLocation, SegmentWriter } from './segment-writer.ts';
import { SharedState } from './shared.ts';

/** Modes of durability. */
export const JOURNAL_MODES = ['append', 'group', 'power'] as const;

/**
 * Durability of the journal.
 *
 * - `append`: one append per record, before the write that completes the response. Survives SIGKILL.
 * - `group`: holds the socket writes of an event-loop turn, appends its records together, then releases the
 *   writes. Survives SIGKILL too and costs almost nothing, but delays responses to the end of the turn.
 * - `power`: like `append`, and the file is synchronized continually. A power failure loses at most the
 *   records since the last one or two synchronizations (about 50 ms on a local disk).
 *
 * @useDeclaredType
 */
export type JournalMode = (typeof JOURNAL_MODES)[number];

export interface JournalOptions {
  /** Directory of the identity. Each journal has a subdirectory. */
  directory: string;
  mode: JournalMode;
  /** Maximum size of all journals in the directory, in bytes. */
  maxBytes: number;
  /** Size at which a new segment is started, in bytes. Defaults to 16 MiB or an eighth of `maxBytes`. */
  segmentBytes?: number;
  /** Maximum bytes in memory while no file can be written. Defaults to 16 MiB, or 64 MiB with `inMemory`. */
  memoryBytes?: number;
  /** Maximum time that the disk may block the app's thread. Defaults to 100. */
  maxBlockedMs?: number;
  /** True if no file is needed, because no storage outlasts the process. Defaults to `false`. */
  inMemory?: boolean;
  header: SegmentHeader;
  /** Called when the state changes, never once per record. */
  onProblem(problem: TrackUsageError): void;
}

/**
 * App's end of a journal. Records are appended before their responses are sent. No method throws. Records that
 * cannot be written wait in bounded memory, and those that do not fit are counted in `dropped`.
 */
export class Journal implements RecordSink {
  /** ID of the journal. After `onStartOver`, another one with another `shared`. */
  id = newId();
  shared = new SharedState();
  /** Records of earlier journals of this process, which other processes have adopted. */
  recordsBefore = 0;
  /** Number of records dropped because memory was full. */
  dropped = 0;
  /**
   * Number of requests without a record: capturing them failed, or they were answered after `close()`.
   */
  uncaptured = 0;
  /** Called with each piece that has no file. Pieces must reach the writer in order. */
  onMemoryPiece: (piece: MemoryPiece) => void = () => {};
  /** Called when the pieces before a position have been written to a file. */
  onWritten: (position: number) => void = () => {};
  /** Called after another process adopted the journal and this one started another. */
  onStartOver: () => void = () => {};
  /** Called when the records deferred by `group` have been appended. */
  afterTurn: () => void = () => {};

  readonly #options: JournalOptions;
  readonly #encoder = new RecordEncoder(4 * MAX_RECORD_BYTES);
  readonly #segments: SegmentWriter;
  /** Number of bytes and records in the encoder that were not appended yet. */
  #pending = 0;
  #pendingRecords = 0;
  /** Number of records that were only in memory when the journal was closed. */
  #lost = 0;
  #turnScheduled = false;
  #closing: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    const { directory, mode, maxBytes, header, onProblem } = options;
    this.#segments = new SegmentWriter({
      directory,
      syncs: mode === 'power' && !options.inMemory,
      maxBytes,
      segmentBytes:
        options.segmentBytes ?? Math.min(16 * 1024 * 1024, Math.max(64 * 1024, Math.floor(maxBytes / 8))),
      memoryBytes: options.memoryBytes ?? (options.inMemory ? 64 : 16) * 1024 * 1024,
      inMemory: options.inMemory ?? false,
      maxBlockedMs: options.maxBlockedMs ?? 100,
      header,
      location: this.#location,
      onTaken: (lost) => this.#begin(lost),
      onMemoryPiece: (piece) => this.onMemoryPiece(piece),
      onWritten: (position) => this.onWritten(position),
      onStartOver: () => this.onStartOver(),
      onProblem,
    });
  }

  /** Directory of this journal. */
  get path(): string {
    return join(this.#options.directory, this.id);
  }

  /**
   * Destination of the app thread's appends: a file, or memory because the file system refuses or is slow.
   * `none` if no storage needs a file.
   */
  get state(): 'file' | 'memory' | 'none' {
    return this.#segments.state;
  }

  /** Number of times that the disk blocked the app's thread for more than 50 ms. */
  get slowAppends(): number {
    return this.#segments.slowAppends;
  }

  /** True if records wait for the end of the turn, so that their responses must be deferred. */
  get defersResponses(): boolean {
    return this.#options.mode === 'group' && !this.#options.inMemory;
  }

  /** Number of records accepted. */
  get records(): number {
    return this.recordsBefore + this.#segments.ordinal + this.#pendingRecords - this.#lost;
  }

  /**
   * Accepts a record. In the modes `append` and `power` it is in the file when this returns.
   * @param now Timestamp of the monotonic clock, in ms.
   */
  append(fields: CapturedFields, now = monotonicClock.now()): void {
    if (!this.#encoder.hasRoom(this.#pending)) this.appendPending(now);
    this.#pending += this.#encoder.encode(
      this.#pending,
      fields,
      this.#segments.ordinal + this.#pendingRecords,
    );
    this.#pendingRecords += 1;
    // In memory, the records of a turn are sent to the writer's thread in one message.
    if (!this.defersResponses && !this.#options.inMemory) this.appendPending(now);
    else if (!this.#turnScheduled) {
      this.#turnScheduled = true;
      setImmediate(this.#endTurn);
    }
  }

  readonly #endTurn = (): void => {
    this.#turnScheduled = false;
    this.appendPending();
  };

  /** Appends the records that wait for the end of the turn, and releases their responses. */
  appendPending(now = monotonicClock.now()): void {
    const bytes = this.#pending;
    const records = this.#pendingRecords;
    if (bytes > 0) {
      this.#pending = 0;
      this.#pendingRecords = 0;
      if (!this.#segments.write(this.#encoder.bytes, bytes, records, now)) this.dropped += records;
    }
    this.afterTurn();
  }

  /** Continues in a new segment if the files were deleted. Acts like `confirm` if they were adopted. */
  reopen(): void {
    this.#segments.reopen();
  }

  /**
   * Checks that no other process has adopted the journal, which may happen while this one is paused. Starts
   * another journal if one has.
   */
  confirm(): void {
    this.#segments.confirm();
  }

  /** Returns the pieces that are neither in a file nor in all storages. */
  memoryPieces(): readonly MemoryPiece[] {
    return this.#segments.memoryPieces();
  }

  /**
   * Writes the records in memory when the process exits without `close`, and lets another process adopt the
   * journal soon.
   */
  leave(): void {
    this.appendPending();
    this.#segments.leave();
  }

  /** Synchronously removes everything that the constructor created. */
  undo(): void {
    this.#segments.undo();
  }

  /**
   * Appends the pending records and closes the file. With `discard`, the journal is deleted, because all its
   * records are stored. Otherwise, another process can adopt it from then on.
   */
  close({ discard }: { discard: boolean }): Promise<void> {
    this.#closing ??= this.#close(discard);
    return this.#closing;
  }

  get #location(): JournalLocation {
    return { path: this.path, shared: this.shared };
  }

  /** Starts another journal. `lost` is the number of records lost with the current one. */
  #begin(lost: number): JournalLocation {
    this.dropped += lost;
    this.recordsBefore += this.#segments.ordinal - lost;
    this.id = newId();
    this.shared = new SharedState();
    return this.#location;
  }

  async #close(discard: boolean): Promise<void> {
    this.appendPending();
    const lost = await this.#segments.close({ discard });
    if (lost === 0) return;
    this.#lost = lost;
    this.dropped += lost;
    this.#options.onProblem(new TrackUsageError('RECORDS_LOST', { records: lost, value: this.path }));
  }
}

function newId(): string {
  return randomBytes(16).toString('hex');
}
