import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listJournals, listSegments } from '../journal/directory.ts';
import { ADOPTION_TIMEOUT_MS, lastBeat, readEnd } from '../journal/heartbeat.ts';
import type { Position } from '../journal/position.ts';
import { SEGMENT_HEAD_BYTES } from '../journal/segment.ts';
import { ifPresent } from '../platform/files.ts';
import { identityDirectories } from './journal-traces.ts';

/** Journal of an app. */
export interface JournalInfo {
  /** Directory of the journal. */
  path: string;
  /**
   * `running`: its owner is alive. `closed`: the app closed it. `dead`: its owner stopped without closing it. The
   * remaining records of closed and dead journals are stored by the next app with the same site and storages.
   */
  state: 'running' | 'closed' | 'dead';
  /** Number of bytes of records in its files. */
  bytes: number;
  /** Number of bytes of records that the storage does not have yet. */
  pendingBytes: number;
  /** Time since its owner was last seen alive, in ms. `null` if unknown. */
  age: number | null;
}

/** File of records that a storage rejected. */
export interface RejectFile {
  /** Path of the file. */
  path: string;
  /** Number of rejected records. */
  records: number;
}

/**
 * Describes the journals in the directory `journal.dir` of apps.
 * @param positionOf Returns the position up to which the storage has stored a journal.
 */
export async function journalsIn(
  dir: string,
  positionOf: (journal: string) => Promise<Position | undefined>,
  now: number,
): Promise<JournalInfo[]> {
  const found: JournalInfo[] = [];
  for (const directory of identityDirectories(dir)) {
    for (const journal of listJournals(directory)) {
      const path = join(directory, journal);
      const { position } = (await positionOf(journal)) ?? { position: 0 };
      const heartbeat = lastBeat(path);
      let [bytes, end] = [0, readEnd(path, heartbeat).position];
      for (const segment of listSegments(path)) {
        const size = ifPresent(segment.path, () => statSync(segment.path).size) ?? 0;
        const records = Math.max(0, size - SEGMENT_HEAD_BYTES);
        bytes += records;
        // A segment that is mapped into memory is longer than its records.
        if (heartbeat === undefined) end = Math.max(end, segment.start + records);
      }
      const age = heartbeat === undefined ? null : Math.max(0, now - heartbeat.time);
      const isAlive = heartbeat?.beat !== undefined && age !== null && age < ADOPTION_TIMEOUT_MS;
      const state = isAlive ? 'running' : heartbeat && heartbeat.beat === undefined ? 'closed' : 'dead';
      found.push({ path, state, bytes, pendingBytes: Math.max(0, end - position), age });
    }
  }
  return found;
}

/** Returns the files of rejected records in the directory `journal.dir` of apps. */
export function rejectFilesIn(dir: string): RejectFile[] {
  return identityDirectories(dir).flatMap((directory) => {
    const path = join(directory, 'rejected.ndjson');
    const text = ifPresent(path, () => readFileSync(path, 'utf8'));
    const records = text?.split('\n').filter((line) => line !== '').length ?? 0;
    return records === 0 ? [] : [{ path, records }];
  });
}
