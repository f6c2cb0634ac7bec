import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  enforceLimit,
  listJournals,
  listSegments,
  removeJournal,
  segmentName,
} from '../../src/journal/directory.ts';
import { Disk } from '../../src/journal/disk.ts';
import { beat, lastBeat } from '../../src/journal/heartbeat.ts';
import { Pace } from '../../src/journal/pace.ts';
import type { MemoryPiece } from '../../src/journal/pieces.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/journal/segment.ts';
import { SegmentFile } from '../../src/journal/segment-file.ts';
import {
  fieldsOf,
  liveReader,
  openJournal,
  readAll,
  readOrphan,
  temporaryDirectory,
  urlRange,
} from './support.ts';

const unexpected = () => expect.unreachable();

/** Overwrites bytes of a file. */
function overwrite(file: string, at: number, bytes: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(bytes, 0xff), 0, bytes, at);
  closeSync(fd);
}

describe('Journal', () => {
  test('reads appended records immediately and from any position', () => {
    const { journal } = openJournal(temporaryDirectory());
    const reader = liveReader(journal);
    expect(reader.atEnd(0)).toBe(true);
    for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
    const first = readAll(reader);
    expect(first).toEqual({
      urls: urlRange(0, 3),
      end: { position: journal.shared.end, ordinal: 3 },
      damaged: 0,
      lost: 0,
      gone: 0,
    });
    for (const url of urlRange(3, 5)) journal.append(fieldsOf(url));
    expect(readAll(reader, first.end).urls).toEqual(urlRange(3, 5));
    expect(reader.header()).toEqual({ site: 'default', serverName: 'test' });
  });

  test('continues in a new segment, and reads across segments', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    const reader = liveReader(journal);
    for (const url of urlRange(0, 500)) journal.append(fieldsOf(url));
    expect(listSegments(journal.path).length).toBeGreaterThan(10);
    expect(readAll(reader)).toMatchObject({ urls: urlRange(0, 500), damaged: 0, lost: 0 });
    journal.close({ discard: false });
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, 500), damaged: 0, lost: 0 });
  });

  test('stops reading when the callback returns false, and resumes from there', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of urlRange(0, 100)) journal.append(fieldsOf(url));
    const reader = liveReader(journal);
    const received: string[] = [];
    let position = { position: 0, ordinal: 0 };
    while (!reader.atEnd(position.position)) {
      let remaining = 7;
      position = reader.read(
        position,
        Number.POSITIVE_INFINITY,
        ({ url }) => {
          if (remaining-- === 0) return false;
          received.push(url);
          return true;
        },
        { damaged: unexpected, lost: unexpected, gone: unexpected },
      );
    }
    expect(received).toEqual(urlRange(0, 100));
  });

  test('ignores the incomplete last record of a process that died during a write', () => {
    const { journal } = openJournal(temporaryDirectory());
    for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
    journal.close({ discard: false });
    const [segment] = listSegments(journal.path);
    truncateSync(segment!.path, statSync(segment!.path).size - 10);
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, 2), damaged: 0, lost: 0 });
  });

  test('loses only the damaged records in the middle of a segment', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of urlRange(0, 100)) journal.append(fieldsOf(url));
    const [, second] = listSegments(journal.path);
    overwrite(second!.path, SEGMENT_HEAD_BYTES + 700, 20);
    const live = readAll(liveReader(journal));
    expect(live.urls).toHaveLength(99);
    expect(live.lost).toBe(1);
    expect(live.damaged).toBeGreaterThan(0);
    expect(live.end).toEqual({ position: journal.shared.end, ordinal: 100 });
    journal.close({ discard: false });
    expect(readOrphan(journal.path)).toMatchObject({ urls: live.urls, lost: 1 });
  });

  test('loses only the records of a segment that is truncated or whose head is damaged', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of urlRange(0, 200)) journal.append(fieldsOf(url));
    const segments = listSegments(journal.path);
    truncateSync(segments[1]!.path, SEGMENT_HEAD_BYTES + 1000);
    overwrite(segments[3]!.path, 0, SEGMENT_HEAD_BYTES + 8);
    const read = readAll(liveReader(journal));
    expect(read.end).toEqual({ position: journal.shared.end, ordinal: 200 });
    expect(read.urls.length + read.lost).toBe(200);
    expect(read.urls.slice(-10)).toEqual(urlRange(190, 200));
    expect(read.lost).toBeLessThan(
      segments[2]!.ordinal - segments[1]!.ordinal + segments[4]!.ordinal - segments[3]!.ordinal,
    );
  });

  test('skips bytes after the last record of a dead process', () => {
    const { journal } = openJournal(temporaryDirectory());
    for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
    journal.close({ discard: false });
    appendFileSync(listSegments(journal.path)[0]!.path, Buffer.alloc(64, 7));
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, 3), damaged: 0, lost: 0 });
  });

  test('deletes the oldest segments of all journals beyond the limit, and readers count the lost records', () => {
    const directory = temporaryDirectory();
    const { journal, problems } = openJournal(directory, { segmentBytes: 4096, maxBytes: 16 * 4096 });
    const reader = liveReader(journal);
    for (const url of urlRange(0, 2000)) journal.append(fieldsOf(url));
    const read = readAll(reader);
    expect(problems.map(({ code }) => code)).toContain('JOURNAL_FULL');
    expect(read.urls.length + read.lost).toBe(2000);
    expect(read.urls).toEqual(urlRange(read.lost, 2000));
    const total = listSegments(journal.path).reduce((sum, { path }) => sum + statSync(path).size, 0);
    expect(total).toBeLessThan(18 * 4096);
    expect(enforceLimit(directory, 0).dropped).toBeGreaterThan(0);
    expect(listSegments(journal.path)).toHaveLength(1);
  });

  test('is accessible only to its owner', () => {
    const directory = join(temporaryDirectory(), 'journals');
    const { journal } = openJournal(directory);
    journal.append(fieldsOf('/'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(journal.path).mode & 0o777).toBe(0o700);
    expect(statSync(listSegments(journal.path)[0]!.path).mode & 0o777).toBe(0o600);
  });

  test('deletes its files when it is closed with discard', async () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    journal.append(fieldsOf('/'));
    await journal.close({ discard: true });
    expect(listJournals(directory)).toEqual([]);
    await journal.close({ discard: true });
  });

  test('deletes its files when it is undone', () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    journal.undo();
    expect(listJournals(directory)).toEqual([]);
  });

  test.each(['group', 'power'] as const)('appends the same records in mode %s', async (mode) => {
    const { journal } = openJournal(temporaryDirectory(), { mode, segmentBytes: 4096 });
    let turns = 0;
    journal.afterTurn = () => {
      turns += 1;
    };
    for (const url of urlRange(0, 100)) journal.append(fieldsOf(url));
    const reader = liveReader(journal);
    expect(readAll(reader).urls).toHaveLength(mode === 'group' ? 0 : 100);
    expect(journal.records).toBe(100);
    await new Promise((resolve) => setImmediate(resolve));
    expect(readAll(reader).urls).toEqual(urlRange(0, 100));
    expect(turns).toBe(mode === 'group' ? 1 : 100);
  });
});

describe('a segment', () => {
  const long = fieldsOf(`/${'x'.repeat(60_000)}`);

  test.each([
    ['an eighth of the limit', 1_000_000, 3],
    ['at least 64 KiB', 1_000, 2],
  ])('has a default size of %s', (_, maxBytes, records) => {
    const { journal } = openJournal(temporaryDirectory(), { maxBytes });
    for (let i = 1; i < records; i++) journal.append(long);
    expect(journal.shared.rotations).toBe(0);
    journal.append(long);
    expect(journal.shared.rotations).toBe(1);
  });

  test('takes the records of a turn in parts if they are larger than the buffer', async () => {
    const { journal } = openJournal(temporaryDirectory(), { mode: 'group' });
    for (let i = 0; i < 30; i++) journal.append(long);
    const { ordinal } = journal.shared;
    expect(ordinal).toBeGreaterThan(10);
    expect(ordinal).toBeLessThan(30);
    expect(journal.records).toBe(30);
    await new Promise((resolve) => setImmediate(resolve));
    expect(readAll(liveReader(journal)).urls).toEqual(Array(30).fill(long.url));
  });

  /** Journals of a size limit that each completed segment exceeds. */
  function limited() {
    const { journal, problems } = openJournal(temporaryDirectory(), { segmentBytes: 1_024, maxBytes: 1 });
    /** Completes a segment. Returns the number of segments. */
    const rotate = () => {
      const { rotations } = journal.shared;
      while (journal.shared.rotations === rotations) journal.append(fieldsOf('/'));
      return listSegments(journal.path).length;
    };
    return { journal, rotate, codes: () => problems.map(({ code }) => code) };
  }

  test('is deleted at the limit while the thread of the writer does not run', () => {
    const { journal, rotate, codes } = limited();
    expect(Array.from({ length: 4 }, rotate)).toEqual([2, 2, 2, 2]);
    expect(journal.shared.limited).toBe(-1);
    expect(codes()).toEqual(Array(3).fill('JOURNAL_FULL'));
  });

  test('is left to the thread of the writer, which may lag by two', () => {
    const { journal, rotate, codes } = limited();
    journal.shared.limited = 0;
    expect(Array.from({ length: 6 }, rotate)).toEqual([2, 3, 2, 3, 4, 2]);
    expect(journal.shared.limited).toBe(6);
    expect(codes()).toEqual(Array(2).fill('JOURNAL_FULL'));
    journal.shared.limited = 7;
    expect(rotate()).toBe(3);
  });
});

test.each([
  [999, []],
  [1_000, ['JOURNAL_SLOW']],
])('a stall of %d ms is reported immediately: %j', async (ms, codes) => {
  const { journal, problems } = openJournal(temporaryDirectory());
  const end = vi.spyOn(Pace.prototype, 'end').mockReturnValueOnce(ms);
  journal.append(fieldsOf('/0'));
  end.mockRestore();
  expect(journal.state).toBe('memory');
  expect(problems.map(({ code }) => code)).toEqual(codes);
  await vi.waitFor(() => expect(journal.state).toBe('file'));
  journal.append(fieldsOf('/1'));
  expect(readAll(liveReader(journal)).urls).toEqual(urlRange(0, 2));
  expect(problems).toHaveLength(codes.length);
});

/** A journal whose second append fails. */
function failingJournal() {
  const { journal, problems } = openJournal(temporaryDirectory());
  const pieces: MemoryPiece[] = [];
  journal.onMemoryPiece = (piece) => pieces.push(piece);
  journal.append(fieldsOf('/0'));
  const append = vi.spyOn(SegmentFile.prototype, 'append').mockImplementationOnce(() => {
    throw new Error('EIO');
  });
  journal.append(fieldsOf('/1'));
  append.mockRestore();
  return { journal, problems, pieces };
}

test('a record whose append fails is kept in memory', () => {
  const { journal, problems, pieces } = failingJournal();
  expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_UNWRITABLE']);
  expect(journal.state).toBe('memory');
  journal.append(fieldsOf('/2'));
  expect(readAll(liveReader(journal, pieces))).toMatchObject({ urls: urlRange(0, 3), lost: 0 });
});

test('a process that exits creates a file for the records in memory', async () => {
  const { journal } = failingJournal();
  // The former file is closed in the background.
  await vi.waitFor(() => expect(Disk.of(journal.path).isBusy).toBe(false), { interval: 1 });
  journal.leave();
  expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 2));
  expect(lastBeat(journal.path)).toMatchObject({ name: 'closed' });
});

test('a process that exits writes the records in memory to the file', () => {
  const { journal } = openJournal(temporaryDirectory());
  const end = vi.spyOn(Pace.prototype, 'end').mockReturnValueOnce(1_000);
  for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
  end.mockRestore();
  expect(journal.memoryPieces()).toHaveLength(2);
  journal.leave();
  expect(journal.memoryPieces()).toEqual([]);
  expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 3));
});

describe('a journal in memory only', () => {
  test('has no files, and reports what it loses when it is closed', async () => {
    const directory = join(temporaryDirectory(), 'journals');
    const { journal, problems } = openJournal(directory, { inMemory: true, mode: 'power' });
    const pieces: MemoryPiece[] = [];
    journal.onMemoryPiece = (piece) => pieces.push(piece);
    for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
    expect([journal.state, journal.defersResponses, pieces.length]).toEqual(['none', false, 0]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(pieces).toMatchObject([{ records: 3 }]);
    journal.reopen();
    const began = performance.now();
    await journal.close({ discard: false });
    // It does not wait for a disk.
    expect(performance.now() - began).toBeLessThan(900);
    expect(problems.map(({ code }) => code)).toEqual(['RECORDS_LOST']);
    expect(journal).toMatchObject({ records: 0, dropped: 3 });
    expect(existsSync(directory)).toBe(false);
  });

  test('loses only what no storage has when it is closed', async () => {
    const { journal, problems } = openJournal(temporaryDirectory(), { inMemory: true });
    for (const url of urlRange(0, 3)) {
      journal.append(fieldsOf(url));
      journal.appendPending();
      if (url === '/1') journal.shared.committed = journal.shared.end;
    }
    await journal.close({ discard: false });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^records lost at close: 1; /),
    ]);
    expect(journal).toMatchObject({ records: 2, dropped: 1 });
  });

  test('loses nothing if the storages have all records', async () => {
    const { journal, problems } = openJournal(temporaryDirectory(), { inMemory: true });
    journal.append(fieldsOf('/'));
    journal.appendPending();
    journal.shared.committed = journal.shared.end;
    await journal.close({ discard: false });
    expect(problems).toEqual([]);
    expect(journal).toMatchObject({ records: 1, dropped: 0 });
  });
});

test('a journal is deleted with its records first, and keeps its other files if that fails', async () => {
  const directory = temporaryDirectory();
  const position = join(directory, 'storage.position');
  writeFileSync(position, '');
  // A directory is not a record, and is not deleted as one.
  const obstacle = join(directory, segmentName(8, 1));
  mkdirSync(obstacle);
  writeFileSync(join(directory, segmentName(0, 0)), '');
  await expect(removeJournal(directory)).rejects.toMatchObject({ syscall: 'unlink' });
  expect(existsSync(position)).toBe(true);
  expect(existsSync(join(directory, segmentName(0, 0)))).toBe(false);
  rmdirSync(obstacle);
  await removeJournal(directory);
  expect(existsSync(directory)).toBe(false);
  await removeJournal(directory);
});

describe('while no file is writable', () => {
  function openUnwritable(options: { memoryBytes?: number; inMemory?: boolean } = { memoryBytes: 4096 }) {
    const directory = join(temporaryDirectory(), 'file', 'journals');
    writeFileSync(join(directory, '../../file'), '');
    const opened = openJournal(directory, options);
    const pieces: MemoryPiece[] = [];
    opened.journal.onMemoryPiece = (piece) => pieces.push(piece);
    return { ...opened, directory, pieces };
  }

  test('keeps records in limited memory for the reader, and counts the dropped ones', () => {
    const { journal, problems, pieces } = openUnwritable();
    for (const url of urlRange(0, 100)) journal.append(fieldsOf(url));
    expect(journal.state).toBe('memory');
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_UNWRITABLE']);
    // As many as the limit allows.
    const size = pieces[0]!.bytes.length;
    expect(journal).toMatchObject({
      records: Math.floor(4096 / size),
      dropped: 100 - Math.floor(4096 / size),
    });
    expect(journal.memoryPieces().reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(
      4096,
    );
    const reader = liveReader(journal, pieces);
    expect(readAll(reader).urls).toEqual(urlRange(0, journal.records));
    // Stored records free memory.
    journal.shared.committed = journal.shared.end;
    journal.append(fieldsOf('/more'));
    expect(journal.memoryPieces()).toHaveLength(1);
  });

  test.each([
    { inMemory: false, limit: 16 * 2 ** 20 },
    { inMemory: true, limit: 64 * 2 ** 20 },
  ])('limits memory to $limit bytes by default (in memory only: $inMemory)', ({ inMemory, limit }) => {
    const { journal } = openUnwritable({ inMemory });
    const fields = fieldsOf(`/${'x'.repeat(60_000)}`);
    for (let i = 0; i < 2_000; i++) {
      journal.append(fields);
      if (inMemory) journal.appendPending();
    }
    const bytesInMemory = journal.memoryPieces().reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(bytesInMemory).toBeLessThanOrEqual(limit);
    expect(bytesInMemory).toBeGreaterThan(limit - 61_000);
    expect(journal.records + journal.dropped).toBe(2_000);
  });

  test('recreates a journal that was deleted, and counts the lost records', async () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    const reader = liveReader(journal);
    for (const url of urlRange(0, 20)) journal.append(fieldsOf(url));
    rmSync(directory, { recursive: true });
    expect(readAll(reader)).toMatchObject({ urls: [], gone: 1 });
    journal.reopen();
    await vi.waitFor(() => expect(journal.state).toBe('file'));
    for (const url of urlRange(20, 30)) journal.append(fieldsOf(url));
    expect(readAll(reader)).toMatchObject({ urls: urlRange(20, 30), lost: 20 });
    expect(beat(journal.path, journal.shared)).toBe('kept');
  });
});
