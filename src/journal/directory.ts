import { createHash } from 'node:crypto';
import { mkdirSync, readdir, readdirSync, rm, statfsSync, statSync, unlink, unlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TrackUsageError } from '../errors.ts';
import { ifPresent, isAbsence, isFileProblem, removing } from '../platform/files.ts';
import { call } from './disk.ts';
import { checkDirectory } from './owner.ts';

/** File system types (statfs) without reliable locks or appends. */
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
  /** Position of its first record. */
  start: number;
  /** Number of records before it. */
  ordinal: number;
}

/**
 * Returns the directory of all journals of an identity (site and storages). `dir` replaces the default
 * location.
 */
export function journalsDirectory(dir: string | undefined, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  return resolve(dir ?? '.track-usage', hash);
}

/** Creates the directory of journals, accessible only to its owner, and throws if `checkUsable` does. */
export function prepareDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  checkUsable(directory);
}

/** Throws if a directory is on a network file system, or another user may have created or written to it. */
export function checkUsable(directory: string): void {
  checkDirectory(directory);
  const kind = NETWORK_FILE_SYSTEMS[statfsSync(directory).type >>> 0];
  if (kind) throw new TrackUsageError('JOURNAL_NETWORK', { value: directory, kind });
}

export function segmentName(start: number, ordinal: number): string {
  return `${String(start).padStart(16, '0')}-${String(ordinal).padStart(13, '0')}.log`;
}

/** Returns the IDs of the journals in a directory; none if it does not exist. */
export function listJournals(directory: string): string[] {
  return entries(directory).filter((name) => JOURNAL.test(name));
}

/** Returns the segments of a journal, oldest first. */
export function listSegments(directory: string): Segment[] {
  const segments: Segment[] = [];
  for (const name of entries(directory)) {
    const match = SEGMENT.exec(name);
    if (match)
      segments.push({ path: join(directory, name), start: Number(match[1]), ordinal: Number(match[2]) });
  }
  return segments.sort((a, b) => a.start - b.start);
}

/** Deletes a segment; does nothing if it no longer exists. Throws `JOURNAL_UNDELETED`. */
export function removeSegment(path: string): void {
  removing(path, () => unlinkSync(path));
}

/**
 * Deletes a journal off the app's thread: first its records, then the other files. The stored positions must
 * not be deleted before the records.
 */
export async function removeJournal(directory: string): Promise<void> {
  const names = (await call<string[]>((done) => readdir(directory, done)).catch(throwUnlessAbsent)) ?? [];
  for (const name of names.filter((name) => SEGMENT.test(name))) {
    await call<void>((done) => unlink(join(directory, name), done)).catch(throwUnlessAbsent);
  }
  await call<void>((done) => rm(directory, { recursive: true, force: true }, done));
}

function throwUnlessAbsent(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

/**
 * Deletes the records of a journal and keeps its other files. Returns false if new records arrived meanwhile.
 */
export function emptyJournal(directory: string): boolean {
  for (const { path } of listSegments(directory)) removeSegment(path);
  return listSegments(directory).length === 0;
}

/**
 * Deletes the oldest segments of all journals in the directory until the total is at most `maxBytes`. The
 * newest segment of each journal is kept. A reader that still needed a deleted segment detects and counts the
 * gap.
 *
 * A journal that cannot be read is skipped and its error returned. The limit still applies to the others.
 * @param isLate Returns true if the caller's thread has been blocked for too long. The remaining work is then
 * left to the next call.
 */
export function enforceLimit(
  directory: string,
  maxBytes: number,
  isLate: () => boolean = () => false,
): { dropped: number; error: TrackUsageError | undefined } {
  const closed: { path: string; bytes: number; age: number }[] = [];
  let total = 0;
  let dropped = 0;
  let error: TrackUsageError | undefined;
  const attempt = (work: () => void) => {
    if (isLate()) return;
    try {
      work();
    } catch (thrown) {
      if (!isFileProblem(thrown)) throw thrown;
      error ??= thrown;
    }
  };
  const measure = (segment: Segment, isNewest: boolean) => {
    const file = ifPresent(segment.path, () => statSync(segment.path));
    if (!file) return;
    total += file.size;
    if (!isNewest) closed.push({ path: segment.path, bytes: file.size, age: file.mtimeMs });
  };
  attempt(() => {
    for (const id of listJournals(directory)) {
      attempt(() => {
        const segments = listSegments(join(directory, id));
        for (const segment of segments) attempt(() => measure(segment, segment === segments.at(-1)));
      });
    }
  });
  for (const segment of closed.sort((a, b) => a.age - b.age)) {
    if (total <= maxBytes) break;
    attempt(() => {
      removeSegment(segment.path);
      total -= segment.bytes;
      dropped += 1;
    });
  }
  return { dropped, error };
}

/** Returns the names in a directory; none if it does not exist. Throws `JOURNAL_UNREADABLE`. */
function entries(directory: string): string[] {
  return ifPresent(directory, () => readdirSync(directory)) ?? [];
}
