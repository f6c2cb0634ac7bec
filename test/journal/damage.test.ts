import { closeSync, openSync, readFileSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HEAD_BYTES, MAX_RECORD_BYTES, RecordDecoder, RecordEncoder } from '../../src/journal/codec.ts';
import { Damage } from '../../src/journal/damage.ts';
import { listSegments } from '../../src/journal/directory.ts';
import { JournalReader } from '../../src/journal/reader.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/journal/segment.ts';
import {
  fieldsOf,
  liveReader,
  openJournal,
  readAll,
  readOrphan,
  temporaryDirectory,
  urlRange,
} from './support.ts';

const HEADER = { site: 'shop – ä', serverName: 'x'.repeat(255) };
const RECORDS = 120;

/** A journal of several segments, or of one. */
function filledJournal(segmentBytes: number) {
  const { journal } = openJournal(temporaryDirectory(), { segmentBytes, header: HEADER });
  for (const url of urlRange(0, RECORDS)) journal.append(fieldsOf(url));
  const segments = listSegments(journal.path);
  return { journal, segments, files: segments.map(({ path }) => path) };
}

function flip(file: string, bit: number): void {
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, bit >>> 3);
  byte[0] = byte[0]! ^ (1 << (bit & 7));
  writeSync(fd, byte, 0, 1, bit >>> 3);
  closeSync(fd);
}

/** Returns the offset of the last record in its file. */
function lastRecordStart(file: string): number {
  const bytes = readFileSync(file);
  let at = SEGMENT_HEAD_BYTES;
  for (let next = at; next < bytes.length; next += bytes.readUInt32LE(next)) at = next;
  return at;
}

const isSubsequence = (part: string[], whole: string[]) => {
  let at = 0;
  return part.every((url) => {
    at = whole.indexOf(url, at) + 1;
    return at > 0;
  });
};

test.each([
  ['one segment', 2 ** 20],
  ['several segments', 2048],
])(
  '%s: flipped bits lose only the records they are in, and each lost record is counted',
  (_, segmentBytes) => {
    const bitPositions = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(bitPositions, (positions) => {
        const { journal, files } = filledJournal(segmentBytes);
        const tail = files.length - 1;
        const tailHead = lastRecordStart(files[tail]!);
        const flipped = new Set<string>();
        for (const [fileIndex, at] of positions) {
          const file = fileIndex % files.length;
          const bytes = statSync(files[file]!).size - SEGMENT_HEAD_BYTES;
          const bit = SEGMENT_HEAD_BYTES * 8 + (at % (bytes * 8));
          // Only its head shows that the last record is complete, so several flips there may hide it.
          if (file === tail && bit >>> 3 >= tailHead && bit >>> 3 < tailHead + HEAD_BYTES) continue;
          flip(files[file]!, bit);
          // A bit that is flipped twice is unchanged.
          if (!flipped.delete(`${file} ${bit}`)) flipped.add(`${file} ${bit}`);
        }
        const live = readAll(liveReader(journal));
        journal.close({ discard: false });
        const dead = readOrphan(journal.path);
        for (const read of [live, dead]) {
          expect(isSubsequence(read.urls, urlRange(0, RECORDS))).toBe(true);
          expect(read.urls.length + read.lost).toBe(RECORDS);
          expect(read.lost).toBeLessThanOrEqual(flipped.size);
          expect(read.damaged > 0).toBe(flipped.size > 0);
          expect(read.gone).toBe(0);
        }
        expect(dead.urls).toEqual(live.urls);
      }),
      { numRuns: 60 },
    );
  },
);

test('a flipped bit anywhere in the last record loses only that record, and it is counted', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.close({ discard: false });
  const start = lastRecordStart(files[0]!);
  for (let bit = start * 8; bit < statSync(files[0]!).size * 8; bit++) {
    flip(files[0]!, bit);
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, RECORDS - 1), lost: 1 });
    flip(files[0]!, bit);
  }
});

test('ignores an incomplete last record, wherever it is truncated', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.append(fieldsOf(`/${'é'.repeat(200)}`));
  journal.close({ discard: false });
  const start = lastRecordStart(files[0]!);
  for (let size = statSync(files[0]!).size - 8; size >= start; size--) {
    truncateSync(files[0]!, size);
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, RECORDS), lost: 0, damaged: 0 });
  }
});

test('skips damage that is larger than the read buffer', () => {
  const { journal } = openJournal(temporaryDirectory());
  const COUNT = 3_000;
  const urls = Array.from({ length: COUNT }, (_, i) => `/${i}/${'x'.repeat(900)}`);
  for (const url of urls) journal.append(fieldsOf(url));
  const [segment] = listSegments(journal.path);
  const fd = openSync(segment!.path, 'r+');
  writeSync(fd, Buffer.alloc(1_500_000), 0, 1_500_000, 100_000);
  closeSync(fd);
  const live = readAll(liveReader(journal));
  journal.close({ discard: false });
  for (const read of [live, readOrphan(journal.path)]) {
    expect(read.urls.length + read.lost).toBe(COUNT);
    expect(read.urls.at(-1)).toBe(urls.at(-1));
    expect(read.lost).toBeGreaterThan(1_400);
    expect(read.lost).toBeLessThan(1_550);
  }
});

test('a flipped bit anywhere in a segment’s head loses no records or header, and the damage is reported', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.close({ discard: false });
  for (let bit = 0; bit < SEGMENT_HEAD_BYTES * 8; bit += 211) {
    flip(files[0]!, bit);
    const reader = new JournalReader(journal.path);
    expect(reader.header()).toEqual(HEADER);
    expect(readAll(reader)).toMatchObject({
      urls: urlRange(0, RECORDS),
      lost: 0,
      damaged: SEGMENT_HEAD_BYTES / 2,
    });
    reader.close();
    flip(files[0]!, bit);
  }
});

test('recovers an erased head from another segment', () => {
  const { journal, files } = filledJournal(2048);
  journal.close({ discard: false });
  expect(files.length).toBeGreaterThan(2);
  for (const file of files.slice(0, -1)) {
    const fd = openSync(file, 'r+');
    writeSync(fd, Buffer.alloc(SEGMENT_HEAD_BYTES), 0, SEGMENT_HEAD_BYTES, 0);
    closeSync(fd);
  }
  const reader = new JournalReader(journal.path);
  expect(reader.header()).toEqual(HEADER);
  expect(readAll(reader)).toMatchObject({
    urls: urlRange(0, RECORDS),
    lost: 0,
    damaged: (files.length - 1) * SEGMENT_HEAD_BYTES,
  });
  reader.close();
});

test('a damaged record counts only as many before it as fit', () => {
  const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
  const size = encoder.encode(0, fieldsOf('/'), 5);
  const decoder = new RecordDecoder();
  decoder.use(encoder.bytes.subarray(0, size));
  /** Returns the number of records recognized if its head is at a position after the damage began. */
  const countAt = (position: number, end: number | undefined = 10_000) => {
    const damage = new Damage({ position: 0, ordinal: 0 }, end);
    damage.look(decoder, 0, position, size);
    return damage.records;
  };
  expect(countAt(5 * HEAD_BYTES)).toBe(6);
  expect(countAt(5 * HEAD_BYTES - 8)).toBe(0);
  // A record that is longer than its file was never complete.
  expect(countAt(5 * HEAD_BYTES, 5 * HEAD_BYTES + size)).toBe(6);
  expect(countAt(5 * HEAD_BYTES, 5 * HEAD_BYTES + size - 8)).toBe(0);
  const other = new Damage({ position: 0, ordinal: 0 }, undefined);
  other.look(decoder, 0, 5 * HEAD_BYTES, size);
  expect(other.records).toBe(0);
});
