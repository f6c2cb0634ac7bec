import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import {
  HEAD_BYTES,
  MAX_RECORD_BYTES,
  ORDINAL_MASK,
  RecordDecoder,
  RecordEncoder,
} from '../../src/journal/codec.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const fields: fc.Arbitrary<CapturedFields> = fc.record({
  date: fc.double({ noNaN: true }),
  contentLength: fc.nat(),
  received: fc.oneof(fc.constantFrom(-1, 0, Number.MAX_SAFE_INTEGER), fc.nat()),
  class: fc.nat({ max: 7 }),
  duration: fc.nat(),
  status: fc.integer({ min: 100, max: 999 }),
  credentials: fc.boolean(),
  method: text,
  url: text,
  route: text,
  protocol: text,
  remoteAddr: text,
  forwardedFor: text,
  agent: text,
  acceptLanguage: text,
  referrer: text,
  username: text,
  visitor: text,
  blueprint: text,
  extra: fc.oneof(
    fc.constant(''),
    text.map((vars) => JSON.stringify({ vars, received: 1 })),
  ),
});

function decodeAll(bytes: Buffer): CapturedFields[] {
  const decoder = new RecordDecoder();
  decoder.use(bytes);
  const all: CapturedFields[] = [];
  for (let position = 0; position < bytes.length; ) {
    const size = decoder.sizeAt(position, bytes.length);
    if (size <= 0) break;
    all.push({ ...decoder.read(position, size) });
    position += size;
  }
  return all;
}

/** Returns a text as it is stored: without NUL and lone surrogates. */
const sanitize = (value: string) => value.toWellFormed().replaceAll('\0', '\ufffd');

describe('record codec', () => {
  test('decodes what was encoded, with sanitized text', () => {
    fc.assert(
      fc.property(fc.array(fields, { minLength: 1, maxLength: 5 }), (records) => {
        const encoder = new RecordEncoder(4 * MAX_RECORD_BYTES);
        let end = 0;
        for (const [i, record] of records.entries()) end += encoder.encode(end, record, i);
        expect(decodeAll(encoder.bytes.subarray(0, end))).toEqual(
          records.map((record) =>
            Object.fromEntries(
              Object.entries(record).map(([name, value]) => [
                name,
                typeof value === 'string' ? sanitize(value) : value,
              ]),
            ),
          ),
        );
      }),
    );
  });

  test('decodes a record of a release that stored neither the class nor the received bytes', () => {
    const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
    const [record] = fc.sample(fields, 1);
    const older = { ...record!, class: 0, received: -1, extra: '{"vars":{"a":1}}' };
    const size = encoder.encode(0, older, 0);
    // Those releases left the bits 3 to 7 unset, and read them in no other way.
    expect(encoder.bytes[34]! & 0b11111000).toBe(0);
    expect(decodeAll(encoder.bytes.subarray(0, size))).toMatchObject([
      { class: 0, received: -1, extra: older.extra },
    ]);
  });

  test('detects truncation at any byte and a flipped bit anywhere', () => {
    fc.assert(
      fc.property(fields, fc.nat(), fc.nat({ max: 7 }), (record, offset, bit) => {
        const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
        const size = encoder.encode(0, record, 0);
        const decoder = new RecordDecoder();
        decoder.use(encoder.bytes);
        expect(decoder.sizeAt(0, size)).toBe(size);
        expect(decoder.sizeAt(0, offset % size)).toBe(0);
        const byte = offset % size;
        encoder.bytes[byte] = encoder.bytes[byte]! ^ (1 << bit);
        expect(decoder.sizeAt(0, size)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('truncates long texts to the maximum record size', () => {
    const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
    const long = '\u4e00'.repeat(6000);
    const record = Object.fromEntries(
      Object.entries(fc.sample(fields, 1)[0]!).map(([k, v]) => [k, typeof v === 'string' ? long : v]),
    ) as unknown as CapturedFields;
    const size = encoder.encode(8, record, 0);
    expect(size).toBeGreaterThan(HEAD_BYTES + 13 * 6000 * 3 - 8);
    expect(size).toBeLessThan(MAX_RECORD_BYTES);
  });

  test('has the bits of an ordinal that a record stores', () => {
    const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
    const decoder = new RecordDecoder();
    decoder.use(encoder.bytes);
    const [record] = fc.sample(fields, 1);
    for (const ordinal of [0, 1, 0xffff, 0x10000, 0x123456, ORDINAL_MASK, ORDINAL_MASK + 7]) {
      for (const credentials of [true, false]) {
        const size = encoder.encode(0, { ...record!, credentials }, ordinal);
        expect(decoder.ordinalAt(0)).toBe(ordinal & ORDINAL_MASK);
        expect(decoder.read(0, size).credentials).toBe(credentials);
      }
    }
  });

  test('finds room in the buffer as long as the largest one fits', () => {
    const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
    const offsets = [0, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 8];
    expect(offsets.map((offset) => encoder.hasRoom(offset))).toEqual([true, true, false]);
  });
});
