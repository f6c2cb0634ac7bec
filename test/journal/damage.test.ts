import { closeSync, openSync, readFileSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HEAD_BYTES } from '../../src/journal/codec.ts';
import { listSegments } from '../../src/journal/directory.ts';
import { JournalReader } from '../../src/journal/reader.ts';
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

const HEADER = { site: 'shop – ä', serverName: 'x'.repeat(255) };
const RECORDS = 120;

/** A journal of several segments, or of one. */
function filledJournal(segmentBytes: number) {
  const { journal } = openJournal(temporaryDirectory(), { segmentBytes, header: HEADER });
  for (const url of names(0, RECORDS)) journal.append(fieldsOf(url));
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

/** Where the last record begins, in bytes of its file. */
function lastRecord(file: string): number {
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
  ['in one segment', 2 ** 20],
  ['in several segments', 2048],
])('flipped bits %s cost the records they hit, and each one is counted', (_, segmentBytes) => {
  const places = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(places, (flips) => {
      const { journal, files } = filledJournal(segmentBytes);
      const tail = files.length - 1;
      const tailHead = lastRecord(files[tail]!);
      const hit = new Set<string>();
      for (const [where, at] of flips) {
        const file = where % files.length;
        const bytes = statSync(files[file]!).size - SEGMENT_HEAD_BYTES;
        const bit = SEGMENT_HEAD_BYTES * 8 + (at % (bytes * 8));
        // Whether the last record was ever complete is written in its head alone: several flips may hide it.
        if (file === tail && bit >>> 3 >= tailHead && bit >>> 3 < tailHead + HEAD_BYTES) continue;
        flip(files[file]!, bit);
        // Twice is never.
        if (!hit.delete(`${file} ${bit}`)) hit.add(`${file} ${bit}`);
      }
      const live = readAll(liveReader(journal));
      journal.close({ discard: false });
      const dead = readDead(journal.path);
      for (const read of [live, dead]) {
        expect(isSubsequence(read.urls, names(0, RECORDS))).toBe(true);
        expect(read.urls.length + read.lost).toBe(RECORDS);
        expect(read.lost).toBeLessThanOrEqual(hit.size);
        expect(read.damaged > 0).toBe(hit.size > 0);
        expect(read.gone).toBe(0);
      }
      expect(dead.urls).toEqual(live.urls);
    }),
    { numRuns: 60 },
  );
});

test('a flipped bit anywhere in the last record costs that one, and is counted', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.close({ discard: false });
  const begin = lastRecord(files[0]!);
  for (let bit = begin * 8; bit < statSync(files[0]!).size * 8; bit++) {
    flip(files[0]!, bit);
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, RECORDS - 1), lost: 1 });
    flip(files[0]!, bit);
  }
});

test('a torn record is no record, wherever it is cut', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.append(fieldsOf(`/${'é'.repeat(200)}`));
  journal.close({ discard: false });
  const begin = lastRecord(files[0]!);
  for (let size = statSync(files[0]!).size - 8; size >= begin; size--) {
    truncateSync(files[0]!, size);
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, RECORDS), lost: 0, damaged: 0 });
  }
});

test('damage larger than the buffer that reading uses', () => {
  const { journal } = openJournal(temporaryDirectory());
  const LONG = 3_000;
  const urls = Array.from({ length: LONG }, (_, i) => `/${i}/${'x'.repeat(900)}`);
  for (const url of urls) journal.append(fieldsOf(url));
  const [segment] = listSegments(journal.path);
  const fd = openSync(segment!.path, 'r+');
  writeSync(fd, Buffer.alloc(1_500_000), 0, 1_500_000, 100_000);
  closeSync(fd);
  const live = readAll(liveReader(journal));
  journal.close({ discard: false });
  for (const read of [live, readDead(journal.path)]) {
    expect(read.urls.length + read.lost).toBe(LONG);
    expect(read.urls.at(-1)).toBe(urls.at(-1));
    expect(read.lost).toBeGreaterThan(1_400);
    expect(read.lost).toBeLessThan(1_550);
  }
});

test('every bit of a segment’s head may flip: records and names stay, and the damage is told', () => {
  const { journal, files } = filledJournal(2 ** 20);
  journal.close({ discard: false });
  for (let bit = 0; bit < SEGMENT_HEAD_BYTES * 8; bit += 211) {
    flip(files[0]!, bit);
    const reader = new JournalReader(journal.path);
    expect(reader.header()).toEqual(HEADER);
    expect(readAll(reader)).toMatchObject({
      urls: names(0, RECORDS),
      lost: 0,
      damaged: SEGMENT_HEAD_BYTES / 2,
    });
    reader.close();
    flip(files[0]!, bit);
  }
});

test('a head of which nothing is left is repaired from another segment', () => {
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
    urls: names(0, RECORDS),
    lost: 0,
    damaged: (files.length - 1) * SEGMENT_HEAD_BYTES,
  });
  reader.close();
});
