import { closeSync, fstatSync, openSync } from 'node:fs';
import type { CapturedFields } from '../capture/record-sink.ts';
import { monotonicClock } from '../platform/clock.ts';
import { ifPresent, unreadable } from '../platform/files.ts';
import { HEAD_BYTES, MAX_RECORD_BYTES, ORDINAL_MASK, RecordDecoder } from './codec.ts';
import { Damage } from './damage.ts';
import { listSegments, type Segment } from './directory.ts';
import type { MemoryPiece } from './pieces.ts';
import type { Position } from './position.ts';
import { readFully, readHead, SEGMENT_HEAD_BYTES, type SegmentHeader } from './segment.ts';
import type { SharedState } from './shared.ts';

/** Reason for a loss: the bytes are damaged, or the file was dropped at the limit or deleted. */
export type LossCause = 'damaged' | 'dropped';

/** Callbacks for everything that a reader finds besides records. */
export interface ReadReport {
  /** Number of damaged bytes. */
  damaged(bytes: number): void;
  lost(records: number, cause: LossCause): void;
  /** The file at the reader's position is missing: it was deleted. */
  gone(): void;
}

/** Receives a record. Returns whether it was accepted. */
type Take = (fields: CapturedFields) => boolean;

type Piece = {
  start: number;
  ordinal: number;
  end: number;
  /** Ordinal of the next piece, if there is one. */
  next: number | undefined;
} & ({ file: string; memory?: undefined } | { memory: Buffer; file?: undefined });

/** Reason why reading a piece ended: its current end, `take` returned false, or its file is gone. */
type Outcome = 'end' | 'full' | 'gone';

/** Time that a gap must persist before it counts, because a piece in memory may still be in transit. */
const GAP_TIMEOUT_MS = 1_000;

/** Shared by all readers of a thread. No data in it outlives a call of `read`, and calls never overlap. */
const readBuffer = Buffer.from(new ArrayBuffer(4 * MAX_RECORD_BYTES));

/**
 * Reads one journal: the own one while it grows, or that of a dead process to its end. A journal is a
 * sequence of pieces, each in a file or, if no file could be written, in memory.
 *
 * A missing file was dropped. Any other file system error is thrown as `JOURNAL_UNREADABLE`, and the caller
 * retries later from the same position.
 */
export class JournalReader {
  readonly directory: string;
  readonly #live: SharedState | undefined;
  readonly #memory: readonly MemoryPiece[];
  readonly #gapTimeout: number;
  readonly #known: Readonly<Position>;
  readonly #decoder = new RecordDecoder();
  #open: { file: string; fd: number } | undefined;
  #segments: Segment[] | undefined;
  #gapSince: number | undefined;

  /**
   * Creates a reader. `live` is the shared state of the own journal; it is omitted for a dead process's
   * journal. `known` is the position up to which such a journal had certainly been written. It may grow.
   */
  constructor(
    directory: string,
    live?: SharedState,
    memory: readonly MemoryPiece[] = [],
    gapTimeout = GAP_TIMEOUT_MS,
    known: Readonly<Position> = { position: 0, ordinal: 0 },
  ) {
    this.directory = directory;
    this.#live = live;
    this.#memory = memory;
    this.#gapTimeout = gapTimeout;
    this.#known = known;
  }

  /**
   * Returns the values that all records share, from the first intact head, or `undefined` if there is none.
   */
  header(): SegmentHeader | undefined {
    for (const { path } of this.#list()) {
      const header = this.#reading(path, (fd) => readHead(fd).header);
      if (header) return header;
    }
    return undefined;
  }

  /** Returns whether there is nothing after `position`. */
  atEnd(position: number): boolean {
    if (this.#live) return position >= this.#live.end;
    return position >= this.#known.position && this.#pieceAt(position) === undefined;
  }

  /** Returns the first position from `from` on at which the journal still has records. */
  firstAt(from: Position): Position {
    this.#segments = undefined;
    const piece = this.#pieceAt(from.position);
    if (piece) return piece.start > from.position ? { position: piece.start, ordinal: piece.ordinal } : from;
    return this.#live ? { position: this.#live.end, ordinal: this.#live.ordinal } : from;
  }

  /**
   * Reads records from `from` until `take` returns false, the current end of the journal, or `until`. A
   * record for which `take` returns false counts as unread. Returns the position after the last accepted
   * record.
   */
  read(from: Position, until: number, take: Take, report: ReadReport): Position {
    const current = { ...from };
    this.#segments = undefined;
    const end = Math.min(until, this.#live?.end ?? Number.POSITIVE_INFINITY);
    let missing: string | undefined;
    while (current.position < end) {
      const piece = this.#pieceAt(current.position);
      if (!piece) {
        if (!this.#live) this.#countMissingEnd(current, end, report);
        else if (this.#isGapConfirmed()) report.gone();
        break;
      }
      if (piece.start > current.position) {
        if (!this.#isGapConfirmed()) break;
        this.#countLost(piece.ordinal, current, 'dropped', report);
        current.position = piece.start;
      } else if (piece.start === current.position) {
        // Damage in the previous piece destroyed records.
        this.#countLost(piece.ordinal, current, 'damaged', report);
      }
      this.#gapSince = undefined;
      const outcome = this.#readPiece(piece, current, Math.min(end, piece.end), take, report);
      if (outcome === 'full') return current;
      if (outcome === 'gone') {
        // The file was deleted after it was listed. The next listing shows the gap.
        if (missing === piece.file)
          throw unreadable(piece.file!, new Error('it is listed, but does not exist'));
        missing = piece.file;
        this.#segments = undefined;
      } else if (current.position < Math.min(end, piece.end)) break;
    }
    if (this.#live && current.position === this.#live.end) {
      const { ordinal } = this.#live;
      if (current.position === this.#live.end) this.#countLost(ordinal, current, 'damaged', report);
    }
    return current;
  }

  close(): void {
    const open = this.#open;
    this.#open = undefined;
    try {
      if (open) closeSync(open.fd);
    } catch {
      // The descriptor is freed in any case, and closing a file that was only read loses nothing.
    }
  }

  /** Counts the records between `current` and `ordinal` as lost. */
  #countLost(ordinal: number, current: Position, cause: LossCause, report: ReadReport): void {
    if (ordinal <= current.ordinal) return;
    report.lost(ordinal - current.ordinal, cause);
    current.ordinal = ordinal;
  }

  /** Counts the records missing between the end of a dead process's files and its last known position. */
  #countMissingEnd(current: Position, end: number, report: ReadReport): void {
    const { position, ordinal } = this.#known;
    if (end >= position) {
      this.#countLost(ordinal, current, current.position < position ? 'dropped' : 'damaged', report);
    }
    current.position = Math.max(current.position, Math.min(end, position));
  }

  /** Reads from one piece, up to `end`. */
  #readPiece(piece: Piece, current: Position, end: number, take: Take, report: ReadReport): Outcome {
    let headDamage: number | undefined = 0;
    if (piece.file && current.position === piece.start) {
      headDamage = this.#reading(piece.file, (fd) => readHead(fd).damaged);
      if (headDamage === undefined) return 'gone';
    }
    const moved = () => {
      if (headDamage) report.damaged(headDamage);
      headDamage = 0;
    };
    // The number of records in the newest segment of a dead process is only known from the records themselves.
    const tail = piece.next === undefined && !this.#live ? piece.end : undefined;
    let damage: Damage | undefined;
    let isCounted = false;
    while (current.position < end) {
      const bytes = this.#load(piece, current.position, end);
      if (bytes === undefined) return 'gone';
      const isWhole = bytes.length === Math.min(readBuffer.length, end - current.position);
      const begin = current.position;
      const hasNext = isWhole && begin + bytes.length < end;
      this.#decoder.use(bytes);
      for (let at = 0; at < bytes.length; at = current.position - begin) {
        const size = this.#decoder.sizeAt(at, bytes.length);
        // The record exceeds the buffer and is loaded again from its start.
        if (hasNext && at > 0 && (size === 0 || at + HEAD_BYTES > bytes.length)) break;
        if (size > 0) {
          if (damage) report.damaged(current.position - damage.from.position);
          damage = undefined;
          if (!isCounted) {
            const missing = (this.#decoder.ordinalAt(at) - current.ordinal) & ORDINAL_MASK;
            const fit = missing * HEAD_BYTES <= current.position - piece.start;
            if (fit) this.#countLost(current.ordinal + missing, current, 'damaged', report);
            isCounted = true;
          }
          if (!take(this.#decoder.read(at, size))) return 'full';
          moved();
          current.position += size;
          current.ordinal += 1;
        } else {
          moved();
          damage ??= new Damage(current, tail);
          damage.look(this.#decoder, at, current.position, bytes.length);
          isCounted = false;
          current.position += 8;
        }
      }
      if (!isWhole) return this.#skipMissingEnd(piece, current, end, damage, report);
    }
    if (damage && (tail === undefined || damage.records > 0)) {
      report.damaged(current.position - damage.from.position);
      this.#countLost(current.ordinal + damage.records, current, 'damaged', report);
    }
    return 'end';
  }

  /**
   * Handles a file that ends before the piece does. The rest was only in memory, or the file was truncated.
   */
  #skipMissingEnd(
    piece: Piece,
    current: Position,
    end: number,
    damage: Damage | undefined,
    report: ReadReport,
  ): Outcome {
    if (damage) report.damaged(current.position - damage.from.position);
    current.position = end;
    if (end === piece.end && piece.next !== undefined)
      this.#countLost(piece.next, current, 'dropped', report);
    return 'end';
  }

  /** Returns the bytes from `position` on, as many as fit, or `undefined` if the file is gone. */
  #load(piece: Piece, position: number, end: number): Buffer | undefined {
    const length = Math.min(readBuffer.length, end - position);
    if (piece.memory) {
      const at = position - piece.start;
      return readBuffer.subarray(0, piece.memory.copy(readBuffer, 0, at, at + length));
    }
    const at = SEGMENT_HEAD_BYTES + position - piece.start;
    return this.#reading(piece.file, (fd) =>
      readBuffer.subarray(0, readFully(fd, readBuffer, length, at) & ~7),
    );
  }

  /** Calls `read` with the file descriptor of a segment. Returns `undefined` if the file does not exist. */
  #reading<T>(file: string, read: (fd: number) => T): T | undefined {
    if (this.#open?.file !== file) {
      this.close();
      const fd = ifPresent(file, () => openSync(file, 'r'));
      if (fd === undefined) return undefined;
      this.#open = { file, fd };
    }
    const { fd } = this.#open;
    return ifPresent(file, () => read(fd));
  }

  /** Returns the piece that contains `position`, or the first one after it. */
  #pieceAt(position: number): Piece | undefined {
    const found = this.#memoryAt(position) ?? this.#choose(position);
    if (found || this.#segments === undefined) return found;
    this.#segments = undefined;
    return this.#choose(position);
  }

  /**
   * Returns the piece in memory that contains `position`. Uses a binary search, because there may be a piece
   * for every record.
   */
  #memoryAt(position: number): Piece | undefined {
    let low = 0;
    let high = this.#memory.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#memory[middle]!.start <= position) low = middle + 1;
      else high = middle;
    }
    const piece = this.#memory[low - 1];
    if (!piece) return undefined;
    const { start, ordinal, bytes } = piece;
    const end = start + bytes.length;
    return position < end ? { start, ordinal, end, next: undefined, memory: bytes } : undefined;
  }

  #choose(position: number): Piece | undefined {
    const starts: Piece[] = [
      ...this.#list().map(({ start, ordinal, path }) => ({
        start,
        ordinal,
        end: 0,
        next: undefined,
        file: path,
      })),
      ...this.#memory.map(({ start, ordinal, bytes }) => ({
        start,
        ordinal,
        end: 0,
        next: undefined,
        memory: bytes,
      })),
    ].sort((a, b) => a.start - b.start);
    for (const [index, piece] of starts.entries()) {
      piece.next = starts[index + 1]?.ordinal;
      if (piece.memory) piece.end = piece.start + piece.memory.length;
      else piece.end = starts[index + 1]?.start ?? this.#live?.end ?? this.#endOfFile(piece);
      if (piece.end > position) return piece;
    }
    return undefined;
  }

  /** Returns the end of a dead journal's last segment, from the size of its file. Returns 0 if it is gone. */
  #endOfFile({ file, start }: Piece): number {
    const size = this.#reading(file!, (fd) => fstatSync(fd).size);
    return size === undefined ? 0 : start + Math.max(0, (size - SEGMENT_HEAD_BYTES) & ~7);
  }

  #list(): Segment[] {
    this.#segments ??= listSegments(this.directory);
    return this.#segments;
  }

  #isGapConfirmed(): boolean {
    if (!this.#live) return true;
    const now = monotonicClock.now();
    this.#gapSince ??= now;
    return now - this.#gapSince >= this.#gapTimeout;
  }
}
