import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName } from './directory.ts';

const MAGIC = 0x314a5554; // "TUJ1"

/** What all records of a segment have in common. */
export interface SegmentHeader {
  site: string;
  serverName: string;
}

/** Creates a segment and writes its header; returns the open file and the header's length. */
export function createSegment(
  directory: string,
  start: number,
  ordinal: number,
  header: SegmentHeader,
): { fd: number; headerBytes: number } {
  // A segment of that name can only be one whose first append failed: it holds no record.
  const fd = openSync(join(directory, segmentName(start, ordinal)), 'w', 0o600);
  try {
    const bytes = encodeHeader(header);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    return { fd, headerBytes: bytes.length };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The header of an open segment; `undefined` where it is cut off or damaged. */
export function readHeader(fd: number): { header: SegmentHeader; headerBytes: number } | undefined {
  const head = Buffer.alloc(8);
  if (readSync(fd, head, 0, 8, 0) < 8 || head.readUInt32LE(0) !== MAGIC) return undefined;
  const headerBytes = head.readUInt32LE(4);
  if (headerBytes > 65_536) return undefined;
  const bytes = Buffer.alloc(headerBytes - 8);
  if (readSync(fd, bytes, 0, bytes.length, 8) < bytes.length) return undefined;
  try {
    return { header: JSON.parse(bytes.toString()) as SegmentHeader, headerBytes };
  } catch {
    return undefined;
  }
}

/** Magic, length, JSON, and blanks up to a multiple of 8, so that records begin on one. */
function encodeHeader(header: SegmentHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc((8 + json.length + 7) & ~7, ' ');
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(bytes.length, 4);
  json.copy(bytes, 8);
  return bytes;
}
