import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import type { TrackUsageError } from '../../src/errors.ts';
import { Journal, type JournalOptions } from '../../src/journal/journal.ts';
import type { MemoryPiece } from '../../src/journal/pieces.ts';
import type { Position } from '../../src/journal/position.ts';
import { JournalReader } from '../../src/journal/reader.ts';

/** Creates a directory that is removed after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function fieldsOf(url: string): CapturedFields {
  return {
    date: Date.UTC(2026, 10, 24),
    contentLength: 5,
    received: 0,
    class: 1,
    duration: 100,
    status: 200,
    credentials: false,
    method: 'GET',
    url,
    route: '',
    protocol: 'HTTP/1.1',
    remoteAddr: '127.0.0.1',
    forwardedFor: '',
    agent: 'test',
    acceptLanguage: '',
    referrer: '',
    username: '',
    visitor: '',
    blueprint: '',
    extra: '',
  };
}

export function openJournal(directory: string, options: Partial<JournalOptions> = {}) {
  const problems: TrackUsageError[] = [];
  const journal = new Journal({
    directory,
    mode: 'append',
    maxBytes: 2 ** 30,
    // Tests that do not wait for the journal expect its records in the file, however slow the machine is.
    maxBlockedMs: Number.POSITIVE_INFINITY,
    header: { site: 'default', serverName: 'test' },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  onTestFinished(() => journal.close({ discard: false }));
  return { journal, problems };
}

/** Reads a journal from a position to its end. */
export function readAll(reader: JournalReader, from: Position = { position: 0, ordinal: 0 }) {
  const urls: string[] = [];
  const report = { damaged: 0, lost: 0, gone: 0 };
  const end = reader.read(
    from,
    Number.POSITIVE_INFINITY,
    ({ url }) => {
      urls.push(url);
      return true;
    },
    {
      damaged: (bytes) => {
        report.damaged += bytes;
      },
      lost: (records) => {
        report.lost += records;
      },
      gone: () => {
        report.gone += 1;
      },
    },
  );
  return { urls, end, ...report };
}

/** Creates a reader of a journal that is being written, which does not wait for damaged records to be completed. */
export function liveReader(journal: Journal, pieces: readonly MemoryPiece[] = []) {
  return new JournalReader(journal.path, journal.shared, pieces, 0);
}

/** Reads the journal of a process that exited or was killed. */
export function readOrphan(directory: string) {
  return readAll(new JournalReader(directory));
}

export const urlRange = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `/${from + i}`);
