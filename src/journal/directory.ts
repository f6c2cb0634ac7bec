import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TrackUsageError } from '../errors.ts';

/** File system types (statfs) on which neither locks nor appends can be relied on. */
const NETWORK_FILE_SYSTEMS: Record<number, string> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  16914839: '9P',
  1397113167: 'AFS',
  12805120: 'Ceph',
};

const SEGMENT = /^(\d{16})-(\d{13})\.log$/;
const JOURNAL = /^[0-9a-f]{32}$/;

/** A file of a journal. */
export interface Segment {
  path: string;
  /** The position of its first record. */
  start: number;
  /** How many records stood before it. */
  ordinal: number;
}

/** Where the journals of one identity (site and storages) live, unless the user says otherwise. */
export function journalsDirectory(dir: string | undefined, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  return resolve(dir ?? '.track-usage', hash);
}

/** Makes the directory, for the owner's eyes only, and refuses network file systems. */
export function prepareDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const kind = NETWORK_FILE_SYSTEMS[statfsSync(directory).type >>> 0];
  if (kind) throw new TrackUsageError('JOURNAL_NETWORK', { value: directory, kind });
}

export function segmentName(start: number, ordinal: number): string {
  return `${String(start).padStart(16, '0')}-${String(ordinal).padStart(13, '0')}.log`;
}

/** The ids of the journals in a directory; none where there is no directory. */
export function listJournals(directory: string): string[] {
  return entries(directory).filter((name) => JOURNAL.test(name));
}

/** The segments of a journal, oldest first. */
export function listSegments(directory: string): Segment[] {
  const segments: Segment[] = [];
  for (const name of entries(directory)) {
    const match = SEGMENT.exec(name);
    if (match)
      segments.push({ path: join(directory, name), start: Number(match[1]), ordinal: Number(match[2]) });
  }
  return segments.sort((a, b) => a.start - b.start);
}

/**
 * Drops the oldest segments of all journals in the directory until they hold at most `maxBytes`; the segment
 * that a journal is at stays. Whoever still had to read a dropped one sees the gap, and counts it.
 */
export function enforceLimit(directory: string, maxBytes: number): number {
  const closed: { path: string; bytes: number; age: number }[] = [];
  let total = 0;
  for (const id of listJournals(directory)) {
    const segments = listSegments(join(directory, id));
    segments.forEach((segment, index) => {
      const file = statSync(segment.path, { throwIfNoEntry: false });
      if (!file) return;
      total += file.size;
      if (index < segments.length - 1)
        closed.push({ path: segment.path, bytes: file.size, age: file.mtimeMs });
    });
  }
  let dropped = 0;
  for (const segment of closed.sort((a, b) => a.age - b.age)) {
    if (total <= maxBytes) break;
    // Another process may just have dropped or stored it.
    rmSync(segment.path, { force: true });
    total -= segment.bytes;
    dropped += 1;
  }
  return dropped;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
