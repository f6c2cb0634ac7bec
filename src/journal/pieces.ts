import type { SegmentStart } from './segment-file.ts';

/** Records of the journal that are only in memory. */
export interface MemoryPiece extends SegmentStart {
  records: number;
  bytes: Buffer;
}

/** Pieces of a journal that are not in a file yet, in bounded memory, oldest first. */
export class MemoryPieces {
  readonly #limit: number;
  #pieces: MemoryPiece[] = [];
  #bytes = 0;

  /** @param limit Maximum size in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get all(): readonly MemoryPiece[] {
    return this.#pieces;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#pieces.reduce((sum, { records }) => sum + records, 0);
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limit;
  }

  add(piece: MemoryPiece): void {
    this.#pieces.push(piece);
    this.#bytes += piece.bytes.length;
  }

  /** Drops the pieces before a position, because a file or every storage has them. */
  release(position: number): void {
    this.#bytes -= releasePieces(this.#pieces, position);
  }

  /** Returns the oldest consecutive pieces, about `maxBytes` bytes in total, or `undefined` if there are none. */
  batch(maxBytes: number): { start: number; end: number; bytes: Buffer } | undefined {
    const [first] = this.#pieces;
    if (!first) return undefined;
    const { start } = first;
    const parts: Buffer[] = [];
    let end = start;
    for (const piece of this.#pieces) {
      if (piece.start !== end || end - start >= maxBytes) break;
      parts.push(piece.bytes);
      end = endOf(piece);
    }
    return { start, end, bytes: Buffer.concat(parts) };
  }
}

/** Removes the pieces that end at or before a position. Returns their size in bytes. */
export function releasePieces(pieces: MemoryPiece[], position: number): number {
  let count = 0;
  let bytes = 0;
  for (const piece of pieces) {
    if (endOf(piece) > position) break;
    count += 1;
    bytes += piece.bytes.length;
  }
  if (count > 0) pieces.splice(0, count);
  return bytes;
}

function endOf({ start, bytes }: MemoryPiece): number {
  return start + bytes.length;
}
