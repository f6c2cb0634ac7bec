import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { monotonicClock } from '../clock.ts';
import { type Facts, MAX_RECORD_BYTES, RecordDecoder } from './codec.ts';
import { listSegments, type Segment } from './directory.ts';
import type { MemoryPiece } from './journal.ts';
import { readHeader, type SegmentHeader } from './segment.ts';
import type { SharedState } from './shared.ts';

/** A place between two records. */
export interface Cursor {
  position: number;
  /** How many records stand before it, the lost ones included. */
  ordinal: number;
}

/** What a reader came upon besides records. */
export interface ReadReport {
  /** Bytes that were no record, and the file they stand in. */
  damaged(bytes: number, file: string): void;
  /** Records that are gone: damaged, or in a segment that was dropped. */
  lost(records: number): void;
  /** Nothing is there of what should be: somebody deleted the file that the journal is at. */
  gone(): void;
}

/** Is given a record and the position behind it; whether it was taken. */
type Take = (facts: Facts, behind: number) => boolean;

type Piece = { start: number; ordinal: number; end: number; last: boolean } & (
  | { file: string; memory?: undefined }
  | { memory: Buffer; file?: undefined }
);

interface OpenSegment {
  file: string;
  fd: number;
  header: SegmentHeader | undefined;
  headerBytes: number;
}

/** How long a gap must stay before it is believed: a piece in memory may still be on its way. In ms. */
const GAP_PATIENCE = 1_000;

/**
 * Reads one journal, the own one while it grows or that of a dead process to its end. A journal is a row of
 * pieces, each a file or, where no file could be written, in memory.
 */
export class JournalReader {
  readonly directory: string;
  readonly #live: SharedState | undefined;
  readonly #memory: readonly MemoryPiece[];
  readonly #gapPatience: number;
  readonly #buffer = Buffer.from(new ArrayBuffer(4 * MAX_RECORD_BYTES));
  readonly #decoder = new RecordDecoder();
  #open: OpenSegment | undefined;
  #segments: Segment[] | undefined;
  #gapSince: number | undefined;

  /** `live` is the shared state of the own journal; without it the journal is a dead process's. */
  constructor(
    directory: string,
    live?: SharedState,
    memory: readonly MemoryPiece[] = [],
    gapPatience = GAP_PATIENCE,
  ) {
    this.directory = directory;
    this.#live = live;
    this.#memory = memory;
    this.#gapPatience = gapPatience;
  }

  /** What the records have in common. `undefined` for a journal without a readable segment. */
  header(): SegmentHeader | undefined {
    for (const { path } of this.#list()) {
      const opened = this.#openFile(path);
      if (opened?.header) return opened.header;
    }
    return undefined;
  }

  /** Whether nothing stands behind `position`. */
  atEnd(position: number): boolean {
    return this.#live ? position >= this.#live.end : this.#pieceAt(position) === undefined;
  }

  /**
   * Reads records from `from` on until `take` returns false (the record it was called with counts as not taken),
   * or the journal's end for now, or `until`. Returns the place behind the last record taken.
   */
  read(from: Cursor, until: number, take: Take, report: ReadReport): Cursor {
    const cursor = { ...from };
    this.#segments = undefined;
    const end = Math.min(until, this.#live?.end ?? Number.POSITIVE_INFINITY);
    while (cursor.position < end) {
      const piece = this.#pieceAt(cursor.position);
      if (!piece) {
        if (this.#live && this.#believesGap()) report.gone();
        break;
      }
      if (piece.start > cursor.position) {
        if (!this.#believesGap()) break;
        report.lost(piece.ordinal - cursor.ordinal);
        cursor.position = piece.start;
        cursor.ordinal = piece.ordinal;
      } else if (piece.start === cursor.position && piece.ordinal > cursor.ordinal) {
        // Damage in the piece before swallowed records.
        report.lost(piece.ordinal - cursor.ordinal);
        cursor.ordinal = piece.ordinal;
      }
      this.#gapSince = undefined;
      if (!this.#readPiece(piece, cursor, Math.min(end, piece.end), take, report)) return cursor;
      if (cursor.position < Math.min(end, piece.end)) break;
    }
    if (this.#live && cursor.position === this.#live.end) {
      const { ordinal } = this.#live;
      if (ordinal > cursor.ordinal && cursor.position === this.#live.end) {
        report.lost(ordinal - cursor.ordinal);
        cursor.ordinal = ordinal;
      }
    }
    return cursor;
  }

  close(): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  /** Reads from one piece; false where `take` wants no more. */
  #readPiece(piece: Piece, cursor: Cursor, end: number, take: Take, report: ReadReport): boolean {
    const damage = (to: number) => {
      report.damaged(to - cursor.position, piece.file ?? 'memory');
      cursor.position = to;
    };
    while (cursor.position < end) {
      const bytes = this.#load(piece, cursor.position, end);
      if (bytes.length === 0) {
        damage(end);
        return true;
      }
      this.#decoder.use(bytes);
      let at = 0;
      while (at < bytes.length) {
        const size = this.#decoder.sizeAt(at, bytes.length);
        if (size > 0) {
          if (!take(this.#decoder.read(at, size), cursor.position + size)) return false;
          at += size;
          cursor.position += size;
          cursor.ordinal += 1;
        } else if (size === 0 && at > 0) {
          break; // cut by the buffer: load again from here
        } else {
          // Cut off for good, or no record: go on at the next that is one.
          let next = at + 8;
          while (next < bytes.length && this.#decoder.sizeAt(next, bytes.length) <= 0) next += 8;
          const to = cursor.position + Math.min(next, bytes.length) - at;
          // The torn tail of a process that died while it wrote is no damage: its response was not sent.
          if (piece.last && !this.#live && to >= piece.end) cursor.position = to;
          else damage(to);
          at = next;
        }
      }
    }
    return true;
  }

  /** The bytes from `position` on, as many as fit. */
  #load(piece: Piece, position: number, end: number): Buffer {
    const length = Math.min(this.#buffer.length, end - position);
    if (piece.memory) {
      const copied = piece.memory.copy(
        this.#buffer,
        0,
        position - piece.start,
        position - piece.start + length,
      );
      return this.#buffer.subarray(0, copied);
    }
    const opened = this.#openFile(piece.file);
    if (!opened?.header) return this.#buffer.subarray(0, 0);
    let read = 0;
    while (read < length) {
      const at = opened.headerBytes + position - piece.start + read;
      const got = readSync(opened.fd, this.#buffer, read, length - read, at);
      if (got === 0) break;
      read += got;
    }
    return this.#buffer.subarray(0, read);
  }

  #openFile(file: string): OpenSegment | undefined {
    if (this.#open?.file === file) return this.#open;
    this.close();
    try {
      const fd = openSync(file, 'r');
      const header = readHeader(fd);
      this.#open = { file, fd, header: header?.header, headerBytes: header?.headerBytes ?? 0 };
    } catch {
      // Dropped between the listing and now.
    }
    return this.#open;
  }

  /** The piece that holds `position`, or the first behind it. */
  #pieceAt(position: number): Piece | undefined {
    const found = this.#memoryAt(position) ?? this.#choose(position);
    if (found || this.#segments === undefined) return found;
    this.#segments = undefined;
    return this.#choose(position);
  }

  /** The piece in memory that holds `position`, found by halves: there may be one for each of many records. */
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
    return position < end ? { start, ordinal, end, last: false, memory: bytes } : undefined;
  }

  #choose(position: number): Piece | undefined {
    const starts: Piece[] = [
      ...this.#list().map(({ start, ordinal, path }) => ({
        start,
        ordinal,
        end: 0,
        last: false,
        file: path,
      })),
      ...this.#memory.map(({ start, ordinal, bytes }) => ({
        start,
        ordinal,
        end: 0,
        last: false,
        memory: bytes,
      })),
    ].sort((a, b) => a.start - b.start);
    for (const [index, piece] of starts.entries()) {
      piece.last = index === starts.length - 1;
      if (piece.memory) piece.end = piece.start + piece.memory.length;
      else piece.end = starts[index + 1]?.start ?? this.#live?.end ?? this.#endOfFile(piece);
      if (piece.end > position) return piece;
    }
    return undefined;
  }

  /** Where the last segment of a dead journal ends, as far as its file tells. */
  #endOfFile(piece: Piece): number {
    const opened = this.#openFile(piece.file!);
    return opened ? piece.start + Math.max(0, (fstatSync(opened.fd).size - opened.headerBytes) & ~7) : 0;
  }

  #list(): Segment[] {
    this.#segments ??= listSegments(this.directory);
    return this.#segments;
  }

  #believesGap(): boolean {
    if (!this.#live) return true;
    const now = monotonicClock.now();
    this.#gapSince ??= now;
    return now - this.#gapSince >= this.#gapPatience;
  }
}
