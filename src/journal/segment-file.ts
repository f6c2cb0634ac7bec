import { close, closeSync, fdatasync, open, openSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName } from './directory.ts';
import { call } from './disk.ts';
import { encodeHead, SEGMENT_HEAD_BYTES, type SegmentHeader } from './segment.ts';

/** Start of a segment: see `Segment`. */
export interface SegmentStart {
  start: number;
  ordinal: number;
}

/** A segment being written. Writes are positioned, so that they can be repeated. */
export class SegmentFile {
  /** Position of its first record. */
  readonly start: number;
  hasHead = false;
  readonly #head: Buffer;
  #fd: number | undefined;

  private constructor(fd: number, start: number, head: Buffer) {
    this.#fd = fd;
    this.start = start;
    this.#head = head;
  }

  /**
   * Creates a segment synchronously.
   * @param isLate True if the app's thread has already been blocked for too long. The head is then left to
   * `writeHead`.
   */
  static create(
    directory: string,
    { start, ordinal }: SegmentStart,
    header: SegmentHeader,
    isLate: () => boolean,
  ): SegmentFile {
    // A segment of that name can only be left from a failed first append, so it has no records.
    const fd = openSync(join(directory, segmentName(start, ordinal)), 'w', 0o600);
    const file = new SegmentFile(fd, start, encodeHead(header));
    try {
      if (isLate()) return file;
      file.#write(file.#head, file.#head.length, 0);
      file.hasHead = true;
      return file;
    } catch (error) {
      file.closeNow();
      throw error;
    }
  }

  /** Creates a segment, without its head. */
  static async open(
    directory: string,
    { start, ordinal }: SegmentStart,
    header: SegmentHeader,
  ): Promise<SegmentFile> {
    const path = join(directory, segmentName(start, ordinal));
    const fd = await call<number>((done) => open(path, 'w', 0o600, done));
    return new SegmentFile(fd, start, encodeHead(header));
  }

  /** Synchronously writes the first `length` bytes at a position of the journal. */
  append(bytes: Buffer, length: number, position: number): void {
    this.#write(bytes, length, this.#offsetOf(position));
  }

  /**
   * Writes the head. If it already exists, the write changes nothing but still shows whether the disk accepts
   * writes.
   */
  async writeHead(): Promise<void> {
    await this.#writeLater(this.#head, 0);
    this.hasHead = true;
  }

  /** Writes at a position of the journal, off the app's thread. */
  write(bytes: Buffer, position: number): Promise<void> {
    return this.#writeLater(bytes, this.#offsetOf(position));
  }

  /** Synchronizes the file with its disk. */
  async sync(): Promise<void> {
    const fd = this.#fd;
    if (fd !== undefined) await call<void>((done) => fdatasync(fd, done));
  }

  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await call<void>((done) => close(fd, done));
  }

  closeNow(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }

  #offsetOf(position: number): number {
    return SEGMENT_HEAD_BYTES + position - this.start;
  }

  #write(bytes: Buffer, length: number, offset: number): void {
    const fd = this.#fd!;
    for (let at = 0; at < length; ) at += writeSync(fd, bytes, at, length - at, offset + at);
  }

  async #writeLater(bytes: Buffer, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const fd = this.#fd;
      if (fd === undefined) throw new Error('the segment is closed');
      at += await call<number>((done) => write(fd, bytes, at, bytes.length - at, offset + at, done));
    }
  }
}
