import { readSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/**
 * "TUJ2" in ASCII. Change it whenever the format of segments or records changes. A segment of another format is
 * read like one with a damaged head, so its records must be stored before the upgrade.
 */
const MAGIC = 0x324a5554;
/**
 * Size of a header copy, in bytes. The head holds two copies, so that damage to one is repaired from the
 * other.
 */
const COPY_BYTES = 2048;
/** Size of the head, in bytes. Fixed, so that the records are found even if the head is damaged. */
export const SEGMENT_HEAD_BYTES = 2 * COPY_BYTES;

/** Values that all records of a segment share; the same in all segments of a journal. */
export interface SegmentHeader {
  site: string;
  serverName: string;
}

/**
 * Reads the head of an open segment. Returns the header from the first intact copy, and the number of damaged
 * bytes. A file that ends within its head has no records, and none of its bytes count as damaged.
 */
export function readHead(fd: number): { header: SegmentHeader | undefined; damaged: number } {
  const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES);
  if (readFully(fd, bytes, bytes.length, 0) < bytes.length) return { header: undefined, damaged: 0 };
  const copies = [bytes.subarray(0, COPY_BYTES), bytes.subarray(COPY_BYTES)].map(decodeHeader);
  const damaged = copies.filter((copy) => copy === undefined).length * COPY_BYTES;
  return { header: copies[0] ?? copies[1], damaged };
}

/**
 * Reads `length` bytes at `position` of the file, or as many as there are. Loops, because a single read may
 * return less.
 */
export function readFully(fd: number, into: Buffer, length: number, position: number): number {
  let read = 0;
  while (read < length) {
    const got = readSync(fd, into, read, length - read, position + read);
    if (got === 0) break;
    read += got;
  }
  return read;
}

/** Encodes the head of a segment. */
export function encodeHead(header: SegmentHeader): Buffer {
  const copy = encodeHeader(header);
  return Buffer.concat([copy, copy]);
}

/**
 * Encodes the magic number, the checksum of the rest, the lengths of both texts, the texts in UTF-8, and
 * zeros. Both texts have at most 255 UTF-16 units (see `readSettings`), so they fit.
 */
function encodeHeader({ site, serverName }: SegmentHeader): Buffer {
  const texts = [Buffer.from(site), Buffer.from(serverName)] as const;
  const bytes = Buffer.alloc(COPY_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(texts[0].length, 8);
  bytes.writeUInt16LE(texts[1].length, 10);
  texts[0].copy(bytes, 12);
  texts[1].copy(bytes, 12 + texts[0].length);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== crc32(bytes.subarray(8))) return undefined;
  const middle = 12 + bytes.readUInt16LE(8);
  return {
    site: bytes.toString('utf8', 12, middle),
    serverName: bytes.toString('utf8', middle, middle + bytes.readUInt16LE(10)),
  };
}
