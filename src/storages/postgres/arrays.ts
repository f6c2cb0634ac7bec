/**
 * Encodes arrays in PostgreSQL's binary format, as statement parameters. With `pg` this is as fast as COPY,
 * uses a third of the CPU time here, and works within any statement.
 */

const INT4 = { oid: 23, size: 4 };
const INT8 = { oid: 20, size: 8 };
const TIMESTAMPTZ = { oid: 1184, size: 8 };
const UUID = { oid: 2950, size: 16 };
const TEXT = 25;
const NULL = -1;
const HEADER = 20;
/** PostgreSQL's epoch, 2000-01-01, in ms since 1970. */
const EPOCH = 946_684_800_000;

export function int4s(values: ArrayLike<number>, length = values.length): Buffer {
  const array = fixed(INT4, length);
  for (let i = 0; i < length; i++) array.writeInt32BE(values[i]!, HEADER + i * 8 + 4);
  return array;
}

export function int8s(values: ArrayLike<number>, length = values.length): Buffer {
  const array = fixed(INT8, length);
  for (let i = 0; i < length; i++) putInt8(array, values[i]!, HEADER + i * 12 + 4);
  return array;
}

/** Encodes timestamps, given in ms since 1970. */
export function timestamps(values: ArrayLike<number>, length = values.length): Buffer {
  const array = fixed(TIMESTAMPTZ, length);
  for (let i = 0; i < length; i++) putTimestamp(array, values[i]!, HEADER + i * 12 + 4);
  return array;
}

/** Encodes UUIDs, each of 16 bytes. */
export function uuids(values: readonly Buffer[]): Buffer {
  const array = fixed(UUID, values.length);
  for (const [i, value] of values.entries()) value.copy(array, HEADER + i * 20 + 4);
  return array;
}

/**
 * Encodes the IDs of a column's texts, with `0` as null.
 * @param locals Text IDs within the batch.
 */
export function idsOf(locals: Int32Array, ids: Float64Array, length: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER + length * 12);
  putHeader(array, INT8.oid, length);
  let at = HEADER;
  for (let i = 0; i < length; i++) {
    const id = ids[locals[i]!]!;
    at = array.writeInt32BE(id === 0 ? NULL : INT8.size, at);
    if (id === 0) continue;
    putInt8(array, id, at);
    at += INT8.size;
  }
  return array.subarray(0, at);
}

/** Encodes integers, with negative ones as null. */
export function int8sOrNull(values: ArrayLike<number>, length: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER + length * 12);
  putHeader(array, INT8.oid, length);
  let at = HEADER;
  for (let i = 0; i < length; i++) {
    const value = values[i]!;
    at = array.writeInt32BE(value < 0 ? NULL : INT8.size, at);
    if (value < 0) continue;
    putInt8(array, value, at);
    at += INT8.size;
  }
  return array.subarray(0, at);
}

export function texts(values: readonly (string | null)[]): Buffer {
  let size = HEADER;
  for (const value of values) size += 4 + (value === null ? 0 : Buffer.byteLength(value));
  const array = Buffer.allocUnsafe(size);
  putHeader(array, TEXT, values.length);
  let at = HEADER;
  for (const value of values) {
    const length = value === null ? NULL : array.write(value, at + 4);
    array.writeInt32BE(length, at);
    at += 4 + Math.max(0, length);
  }
  return array;
}

/** Allocates an array of fixed-size elements, without writing them. */
function fixed({ oid, size }: { oid: number; size: number }, length: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER + length * (4 + size));
  putHeader(array, oid, length);
  for (let i = 0; i < length; i++) array.writeInt32BE(size, HEADER + i * (4 + size));
  return array;
}

function putHeader(array: Buffer, oid: number, length: number): void {
  // Number of dimensions, null flag, element type, and the single dimension: length and first index.
  array.writeInt32BE(1, 0);
  array.writeInt32BE(1, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
}

/** Writes an int8. Sums may exceed 2^53; both halves are exact for any value of a double. */
function putInt8(array: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 2 ** 32);
  array.writeInt32BE(high, at);
  array.writeUInt32BE(value - high * 2 ** 32, at + 4);
}

function putTimestamp(array: Buffer, ms: number, at: number): void {
  const since = Math.floor(ms) - EPOCH;
  // Microseconds exceed 2^53 in the year 2285.
  if (Number.isSafeInteger(since * 1000)) putInt8(array, since * 1000, at);
  else array.writeBigInt64BE(BigInt(since) * 1000n, at);
}
