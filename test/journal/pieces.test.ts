import { expect, test } from 'vitest';
import { type MemoryPiece, MemoryPieces, releasePieces } from '../../src/journal/pieces.ts';

/** Returns consecutive pieces of the given sizes. The number of records in each is its index plus one. */
function piecesOf(sizes: readonly number[], from = 0): MemoryPiece[] {
  let start = from;
  return sizes.map((size, i) => {
    const piece = { start, ordinal: i, records: i + 1, bytes: Buffer.alloc(size, i) };
    start += size;
    return piece;
  });
}

function createPieces(sizes: readonly number[], limit = 100) {
  const pieces = new MemoryPieces(limit);
  for (const piece of piecesOf(sizes)) pieces.add(piece);
  return pieces;
}

test('has room up to the limit, and again after a release', () => {
  const pieces = createPieces([40, 50]);
  expect(pieces.bytes).toBe(90);
  expect(pieces.records).toBe(3);
  expect([10, 11].map((bytes) => pieces.hasRoom(bytes))).toEqual([true, false]);
  pieces.release(39);
  expect(pieces).toMatchObject({ bytes: 90, records: 3, all: { length: 2 } });
  pieces.release(40);
  expect(pieces).toMatchObject({ bytes: 50, records: 2, all: { length: 1 } });
  expect([50, 51].map((bytes) => pieces.hasRoom(bytes))).toEqual([true, false]);
  pieces.release(Number.POSITIVE_INFINITY);
  expect(pieces).toMatchObject({ bytes: 0, records: 0, all: [] });
  expect([100, 101].map((bytes) => pieces.hasRoom(bytes))).toEqual([true, false]);
});

test('releases only whole pieces before a position', () => {
  const pieces = piecesOf([8, 16, 8]);
  expect(releasePieces(pieces, 7)).toBe(0);
  expect(pieces).toHaveLength(3);
  expect(releasePieces(pieces, 24)).toBe(24);
  expect(pieces.map(({ start }) => start)).toEqual([24]);
  expect(releasePieces(pieces, 31)).toBe(0);
  expect(releasePieces(pieces, 32)).toBe(8);
  expect(pieces).toEqual([]);
});

test('a batch consists of consecutive pieces until it has the requested size', () => {
  expect(createPieces([]).batch(10)).toBe(undefined);
  const pieces = createPieces([8, 16, 8]);
  for (const [limit, end] of [
    [1, 8],
    [8, 8],
    [9, 24],
    [24, 24],
    [25, 32],
    [1_000, 32],
  ] as const) {
    const bytes = Buffer.concat(piecesOf([8, 16, 8]).map((piece) => piece.bytes)).subarray(0, end);
    expect(pieces.batch(limit)).toEqual({ start: 0, end, bytes });
  }
  pieces.release(8);
  expect(pieces.batch(1_000)).toMatchObject({ start: 8, end: 32 });
});

test('a batch ends at a gap, which pieces that were written to a file leave', () => {
  const pieces = createPieces([8]);
  for (const piece of piecesOf([8], 16)) pieces.add(piece);
  expect(pieces.batch(1_000)).toMatchObject({ start: 0, end: 8 });
  pieces.release(8);
  expect(pieces.batch(1_000)).toMatchObject({ start: 16, end: 24 });
});
