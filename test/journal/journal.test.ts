import {
  appendFileSync,
  closeSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { enforceLimit, listJournals, listSegments } from '../../src/journal/directory.ts';
import { beat } from '../../src/journal/heartbeat.ts';
import type { MemoryPiece } from '../../src/journal/pieces.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/journal/segment.ts';
import {
  fieldsOf,
  liveReader,
  names,
  openJournal,
  readAll,
  readDead,
  temporaryDirectory,
} from './support.ts';

const unexpected = () => expect.unreachable();

/** Overwrites bytes of a file. */
function damage(file: string, at: number, bytes: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(bytes, 0xff), 0, bytes, at);
  closeSync(fd);
}

describe('the journal', () => {
  test('gives back what was appended, at once and from any position', () => {
    const { journal } = openJournal(temporaryDirectory());
    const reader = liveReader(journal);
    expect(reader.atEnd(0)).toBe(true);
    for (const url of names(0, 3)) journal.append(fieldsOf(url));
    const first = readAll(reader);
    expect(first).toEqual({
      urls: names(0, 3),
      cursor: { position: journal.shared.end, ordinal: 3 },
      damaged: 0,
      lost: 0,
      gone: 0,
    });
    for (const url of names(3, 5)) journal.append(fieldsOf(url));
    expect(readAll(reader, first.cursor).urls).toEqual(names(3, 5));
    expect(reader.header()).toEqual({ site: 'default', serverName: 'test' });
  });

  test('goes on in a new segment, and reading goes over the seam', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    const reader = liveReader(journal);
    for (const url of names(0, 500)) journal.append(fieldsOf(url));
    expect(listSegments(journal.path).length).toBeGreaterThan(10);
    expect(readAll(reader)).toMatchObject({ urls: names(0, 500), damaged: 0, lost: 0 });
    journal.close({ discard: false });
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, 500), damaged: 0, lost: 0 });
  });

  test('stops reading where the taker wants no more, and goes on there', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of names(0, 100)) journal.append(fieldsOf(url));
    const reader = liveReader(journal);
    const taken: string[] = [];
    let cursor = { position: 0, ordinal: 0 };
    while (!reader.atEnd(cursor.position)) {
      let room = 7;
      cursor = reader.read(
        cursor,
        Number.POSITIVE_INFINITY,
        ({ url }) => {
          if (room-- === 0) return false;
          taken.push(url);
          return true;
        },
        { damaged: unexpected, lost: unexpected, gone: unexpected },
      );
    }
    expect(taken).toEqual(names(0, 100));
  });

  test('of a process that died while it wrote, the torn record is no record', () => {
    const { journal } = openJournal(temporaryDirectory());
    for (const url of names(0, 3)) journal.append(fieldsOf(url));
    journal.close({ discard: false });
    const [segment] = listSegments(journal.path);
    truncateSync(segment!.path, statSync(segment!.path).size - 10);
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, 2), damaged: 0, lost: 0 });
  });

  test('damage in the middle costs the damaged records and no others', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of names(0, 100)) journal.append(fieldsOf(url));
    const [, second] = listSegments(journal.path);
    damage(second!.path, SEGMENT_HEAD_BYTES + 700, 20);
    const live = readAll(liveReader(journal));
    expect(live.urls).toHaveLength(99);
    expect(live.lost).toBe(1);
    expect(live.damaged).toBeGreaterThan(0);
    expect(live.cursor).toEqual({ position: journal.shared.end, ordinal: 100 });
    journal.close({ discard: false });
    expect(readDead(journal.path)).toMatchObject({ urls: live.urls, lost: 1 });
  });

  test('a segment that is cut short, or whose head is damaged, costs its own records', () => {
    const { journal } = openJournal(temporaryDirectory(), { segmentBytes: 4096 });
    for (const url of names(0, 200)) journal.append(fieldsOf(url));
    const segments = listSegments(journal.path);
    truncateSync(segments[1]!.path, SEGMENT_HEAD_BYTES + 1000);
    damage(segments[3]!.path, 0, SEGMENT_HEAD_BYTES + 8);
    const read = readAll(liveReader(journal));
    expect(read.cursor).toEqual({ position: journal.shared.end, ordinal: 200 });
    expect(read.urls.length + read.lost).toBe(200);
    expect(read.urls.slice(-10)).toEqual(names(190, 200));
    expect(read.lost).toBeLessThan(
      segments[2]!.ordinal - segments[1]!.ordinal + segments[4]!.ordinal - segments[3]!.ordinal,
    );
  });

  test('bytes behind the last record of a dead process are skipped', () => {
    const { journal } = openJournal(temporaryDirectory());
    for (const url of names(0, 3)) journal.append(fieldsOf(url));
    journal.close({ discard: false });
    appendFileSync(listSegments(journal.path)[0]!.path, Buffer.alloc(64, 7));
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, 3), damaged: 0, lost: 0 });
  });

  test('past the limit the oldest segments of all journals go, and readers count what they miss', () => {
    const directory = temporaryDirectory();
    const { journal, problems } = openJournal(directory, { segmentBytes: 4096, maxBytes: 16 * 4096 });
    const reader = liveReader(journal);
    for (const url of names(0, 2000)) journal.append(fieldsOf(url));
    const read = readAll(reader);
    expect(problems.map(({ code }) => code)).toContain('JOURNAL_FULL');
    expect(read.urls.length + read.lost).toBe(2000);
    expect(read.urls).toEqual(names(read.lost, 2000));
    const total = listSegments(journal.path).reduce((sum, { path }) => sum + statSync(path).size, 0);
    expect(total).toBeLessThan(18 * 4096);
    expect(enforceLimit(directory, 0).dropped).toBeGreaterThan(0);
    expect(listSegments(journal.path)).toHaveLength(1);
  });

  test('is for its owner only', () => {
    const directory = join(temporaryDirectory(), 'journals');
    const { journal } = openJournal(directory);
    journal.append(fieldsOf('/'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(journal.path).mode & 0o777).toBe(0o700);
    expect(statSync(listSegments(journal.path)[0]!.path).mode & 0o777).toBe(0o600);
  });

  test('is deleted when it is discarded', async () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    journal.append(fieldsOf('/'));
    await journal.close({ discard: true });
    expect(listJournals(directory)).toEqual([]);
    await journal.close({ discard: true });
  });

  test('is deleted when its owner cannot be constructed', () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    journal.undo();
    expect(listJournals(directory)).toEqual([]);
  });

  test.each(['group', 'power'] as const)('mode %s appends the same', async (mode) => {
    const { journal } = openJournal(temporaryDirectory(), { mode, segmentBytes: 4096 });
    let turns = 0;
    journal.afterTurn = () => {
      turns += 1;
    };
    for (const url of names(0, 100)) journal.append(fieldsOf(url));
    const reader = liveReader(journal);
    expect(readAll(reader).urls).toHaveLength(mode === 'group' ? 0 : 100);
    expect(journal.records).toBe(100);
    await new Promise((resolve) => setImmediate(resolve));
    expect(readAll(reader).urls).toEqual(names(0, 100));
    expect(turns).toBe(mode === 'group' ? 1 : 100);
  });
});

describe('while no file can be written', () => {
  function blocked(options: { memoryBytes?: number; inMemory?: boolean } = { memoryBytes: 4096 }) {
    const directory = join(temporaryDirectory(), 'file', 'journals');
    writeFileSync(join(directory, '../../file'), '');
    const opened = openJournal(directory, options);
    const pieces: MemoryPiece[] = [];
    opened.journal.onMemoryPiece = (piece) => pieces.push(piece);
    return { ...opened, directory, pieces };
  }

  test('records wait in bounded memory, reach the reader, and the others are counted', () => {
    const { journal, problems, pieces } = blocked();
    for (const url of names(0, 100)) journal.append(fieldsOf(url));
    expect(journal.state).toBe('memory');
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_UNWRITABLE']);
    // As many as fit, and no more.
    const size = pieces[0]!.bytes.length;
    expect(journal).toMatchObject({
      records: Math.floor(4096 / size),
      dropped: 100 - Math.floor(4096 / size),
    });
    expect(journal.memoryPieces().reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(
      4096,
    );
    const reader = liveReader(journal, pieces);
    expect(readAll(reader).urls).toEqual(names(0, journal.records));
    // What is stored makes room.
    journal.shared.committed = journal.shared.end;
    journal.append(fieldsOf('/more'));
    expect(journal.memoryPieces()).toHaveLength(1);
  });

  test.each([
    { inMemory: false, most: 16 * 2 ** 20 },
    { inMemory: true, most: 64 * 2 ** 20 },
  ])('memory is bounded by default: $most bytes (in memory only: $inMemory)', ({ inMemory, most }) => {
    const { journal } = blocked({ inMemory });
    const fields = fieldsOf(`/${'x'.repeat(60_000)}`);
    for (let i = 0; i < 2_000; i++) {
      journal.append(fields);
      if (inMemory) journal.appendPending();
    }
    const kept = journal.memoryPieces().reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(kept).toBeLessThanOrEqual(most);
    expect(kept).toBeGreaterThan(most - 61_000);
    expect(journal.records + journal.dropped).toBe(2_000);
  });

  test('a journal that is deleted under its process begins anew, and what was lost is counted', async () => {
    const directory = temporaryDirectory();
    const { journal } = openJournal(directory);
    const reader = liveReader(journal);
    for (const url of names(0, 20)) journal.append(fieldsOf(url));
    rmSync(directory, { recursive: true });
    expect(readAll(reader)).toMatchObject({ urls: [], gone: 1 });
    journal.reopen();
    await vi.waitFor(() => expect(journal.state).toBe('file'));
    for (const url of names(20, 30)) journal.append(fieldsOf(url));
    expect(readAll(reader)).toMatchObject({ urls: names(20, 30), lost: 20 });
    expect(beat(journal.path, journal.shared)).toBe('kept');
  });
});
