import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listJournals, listSegments } from '../journal/directory.ts';
import type { Position } from '../journal/position.ts';
import { SEGMENT_HEAD_BYTES } from '../journal/segment.ts';
import { ifPresent, removing } from '../platform/files.ts';
import { invalid } from '../query/invalid.ts';
import type { UsageRecord } from '../record.ts';
import type { Person } from '../storage/contract.ts';
import { isOf } from '../storage/person.ts';
import { batchFileName, readBatchFile } from '../writer/thread/in-flight.ts';

/** Files of journals that contain a text. */
export interface JournalTraces {
  /** Journals with records that the storage does not have yet. */
  pending: string[];
  /** Journals whose records are stored. Their files are deleted when the app stops or their segment is full. */
  stored: string[];
}

/** Maximum number of storages of an app whose saved batches are found. */
const MAX_STORAGES = 16;
const IDENTITY = /^[0-9a-f]{16}$/;

/**
 * Throws unless the directory `journal.dir` exists, because a misspelled path would look like one without journals.
 * @param dir Directory; `undefined` if none was passed.
 */
export function checkJournals(dir: string | undefined): void {
  if (dir === undefined || ifPresent(dir, () => statSync(dir).isDirectory())) return;
  throw invalid('journal', dir, 'the directory of the journals, as in the app');
}

/** Returns the directories of journals in the directory `journal.dir`, one for each identity. */
export function identityDirectories(dir: string): string[] {
  const names = ifPresent(dir, () => readdirSync(dir)) ?? [];
  return names.filter((name) => IDENTITY.test(name)).map((name) => join(dir, name));
}

/**
 * Finds a text in the journals of all apps.
 * @param positionOf Returns the position up to which the storage has stored a journal.
 */
export async function journalTraces(
  dir: string,
  text: string,
  positionOf: (journal: string) => Promise<Position | undefined>,
): Promise<JournalTraces> {
  const traces: JournalTraces = { pending: [], stored: [] };
  const searched = encodings(text);
  for (const directory of identityDirectories(dir)) {
    for (const journal of listJournals(directory)) {
      const path = join(directory, journal);
      // The position is read first: a record that is stored meanwhile counts as pending.
      const { position } = (await positionOf(journal)) ?? { position: 0 };
      let last = Number.NEGATIVE_INFINITY;
      for (const segment of listSegments(path)) {
        const bytes = ifPresent(segment.path, () => readFileSync(segment.path));
        const at = bytes === undefined ? -1 : lastIndexOf(bytes, searched);
        if (at >= 0) last = Math.max(last, segment.start + at - SEGMENT_HEAD_BYTES);
      }
      const isPending = last >= position;
      if (isPending) traces.pending.push(path);
      else if (last >= 0 || batchFiles(path).some((file) => contains(file, searched)))
        traces.stored.push(path);
    }
  }
  return traces;
}

/**
 * Deletes the saved batches of a storage that contain a text and are already stored. Returns their number.
 * @param positionOf Returns the position up to which the storage has stored a journal.
 */
export async function removeStoredBatches(
  dir: string,
  text: string,
  label: string,
  positionOf: (journal: string) => Promise<Position | undefined>,
): Promise<number> {
  const names = new Set(
    Array.from({ length: MAX_STORAGES }, (_, number) => `${batchFileName(number, label)}.batch`),
  );
  const searched = encodings(text);
  let removed = 0;
  for (const directory of identityDirectories(dir)) {
    for (const journal of listJournals(directory)) {
      for (const file of batchFiles(join(directory, journal))) {
        if (!names.has(basename(file)) || !contains(file, searched)) continue;
        const saved = readBatchFile(file);
        const { position } = (await positionOf(journal)) ?? { position: 0 };
        // A batch that is not stored yet must be repeated unchanged.
        if (!saved || saved.batch.to.position > position) continue;
        removing(file, () => rmSync(file));
        removed += 1;
      }
    }
  }
  return removed;
}

/** Deletes the records of a person from the files of rejected records. Returns the number of deleted records. */
export function removeRejected(dir: string, person: Person, isDryRun: boolean): number {
  let removed = 0;
  for (const directory of identityDirectories(dir)) {
    const file = join(directory, 'rejected.ndjson');
    for (;;) {
      const text = ifPresent(file, () => readFileSync(file, 'utf8'));
      if (text === undefined) break;
      const lines = text.split('\n');
      const kept = lines.filter((line) => !isRejected(line, person));
      if (kept.length === lines.length) break;
      if (isDryRun) {
        removed += lines.length - kept.length;
        break;
      }
      writeFileSync(`${file}.new`, kept.join('\n'), { mode: 0o600 });
      // A record that an app appended meanwhile must not be lost.
      if (statSync(file).size !== Buffer.byteLength(text)) continue;
      renameSync(`${file}.new`, file);
      removed += lines.length - kept.length;
      break;
    }
  }
  return removed;
}

function isRejected(line: string, person: Person): boolean {
  if (line === '') return false;
  let record: UsageRecord;
  try {
    ({ record } = JSON.parse(line) as { record: UsageRecord });
  } catch {
    // A full disk may have left an incomplete line.
    return line.includes(JSON.stringify(person.value).slice(1, -1));
  }
  return isOf(person, {
    visitor: record.visitor,
    username: record.username,
    remote_addr: record.remoteAddr,
    forwarded_for: record.forwardedFor,
  });
}

function batchFiles(journal: string): string[] {
  const names = ifPresent(journal, () => readdirSync(journal)) ?? [];
  return names.filter((name) => name.endsWith('.batch')).map((name) => join(journal, name));
}

/** Returns a text in the encodings of journals (UTF-8) and of saved batches (Latin-1 or UTF-16). */
function encodings(text: string): Buffer[] {
  const all = (['utf8', 'latin1', 'utf16le'] as const).map((encoding) => Buffer.from(text, encoding));
  // Latin-1 cannot represent every text.
  return all.filter((bytes, index) => index !== 1 || bytes.toString('latin1') === text);
}

function contains(file: string, searched: readonly Buffer[]): boolean {
  const bytes = ifPresent(file, () => readFileSync(file));
  return bytes !== undefined && lastIndexOf(bytes, searched) >= 0;
}

function lastIndexOf(bytes: Buffer, searched: readonly Buffer[]): number {
  return Math.max(...searched.map((text) => bytes.lastIndexOf(text)));
}
