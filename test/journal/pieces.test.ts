import { expect, test } from 'vitest';
import { type MemoryPiece, MemoryPieces, releasePieces } from '../../src/journal/pieces.ts';

/** Pieces of the given sizes, one after the other. Each has as many records as its index plus one. */
function piecesOf(sizes: readonly number[], from = 0): MemoryPiece[] {
  let start = from;
  return sizes.map((size, i) => {
    const piece = { start, ordinal: i, records: i + 1, bytes: Buffer.alloc(size, i) };
    start += size;
    return piece;
  });
}

function held(sizes: readonly number[], limit = 100) {
  const pieces = new MemoryPieces(limit);
  for (const piece of piecesOf(sizes)) pieces.add(piece);
  return pieces;
}

test('there is room up to the limit, and again for what is released', () => {
  const pieces = held([40, 50]);
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

test('only whole pieces before a position are released', () => {
  const pieces = piecesOf([8, 16, 8]);
  expect(releasePieces(pieces, 7)).toBe(0);
  expect(pieces).toHaveLength(3);
  expect(releasePieces(pieces, 24)).toBe(24);
  expect(pieces.map(({ start }) => start)).toEqual([24]);
  expect(releasePieces(pieces, 31)).toBe(0);
  expect(releasePieces(pieces, 32)).toBe(8);
  expect(pieces).toEqual([]);
});

test('a batch has consecutive pieces until it has the size asked for', () => {
  expect(held([]).batch(10)).toBe(undefined);
  const pieces = held([8, 16, 8]);
  for (const [most, end] of [
    [1, 8],
    [8, 8],
    [9, 24],
    [24, 24],
    [25, 32],
    [1_000, 32],
  ] as const) {
    const bytes = Buffer.concat(piecesOf([8, 16, 8]).map((piece) => piece.bytes)).subarray(0, end);
    expect(pieces.batch(most)).toEqual({ start: 0, end, bytes });
  }
  pieces.release(8);
  expect(pieces.batch(1_000)).toMatchObject({ start: 8, end: 32 });
});

test('a batch ends at a gap, where other pieces were written to a file in between', () => {
  const pieces = held([8]);
  for (const piece of piecesOf([8], 16)) pieces.add(piece);
  expect(pieces.batch(1_000)).toMatchObject({ start: 0, end: 8 });
  pieces.release(8);
  expect(pieces.batch(1_000)).toMatchObject({ start: 16, end: 24 });
});
