import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { HEAD_BYTES, MAX_RECORD_BYTES, RecordDecoder, RecordEncoder } from '../../src/journal/codec.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const fields: fc.Arbitrary<CapturedFields> = fc.record({
  date: fc.double({ noNaN: true }),
  contentLength: fc.nat(),
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
  extra: text,
});

function decodeAll(bytes: Buffer): CapturedFields[] {
  const decoder = new RecordDecoder();
  decoder.use(bytes);
  const all: CapturedFields[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = decoder.sizeAt(at, bytes.length);
    if (size <= 0) break;
    all.push({ ...decoder.read(at, size) });
    at += size;
  }
  return all;
}

/** What is stored of a text: no NUL, no lone surrogate. */
const fitted = (value: string) => value.toWellFormed().replaceAll('\0', '\ufffd');

describe('a record as bytes', () => {
  test('comes back as it was, fitted to be stored', () => {
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
                typeof value === 'string' ? fitted(value) : value,
              ]),
            ),
          ),
        );
      }),
    );
  });

  test('is known as torn or damaged, wherever it is cut or a bit is flipped', () => {
    fc.assert(
      fc.property(fields, fc.nat(), fc.nat({ max: 7 }), (record, where, bit) => {
        const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
        const size = encoder.encode(0, record, 0);
        const decoder = new RecordDecoder();
        decoder.use(encoder.bytes);
        expect(decoder.sizeAt(0, size)).toBe(size);
        expect(decoder.sizeAt(0, where % size)).toBe(0);
        const byte = where % size;
        encoder.bytes[byte] = encoder.bytes[byte]! ^ (1 << bit);
        expect(decoder.sizeAt(0, size)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('the longest texts fitted', () => {
    const encoder = new RecordEncoder(2 * MAX_RECORD_BYTES);
    const long = '\u4e00'.repeat(6000);
    const record = Object.fromEntries(
      Object.entries(fc.sample(fields, 1)[0]!).map(([k, v]) => [k, typeof v === 'string' ? long : v]),
    ) as unknown as CapturedFields;
    const size = encoder.encode(8, record, 0);
    expect(size).toBeGreaterThan(HEAD_BYTES + 13 * 6000 * 3 - 8);
    expect(size).toBeLessThan(MAX_RECORD_BYTES);
  });
});
