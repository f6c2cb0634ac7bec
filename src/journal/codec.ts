import type { CapturedFields } from '../capture/record-sink.ts';

/**
 * Binary format of a record. All numbers are little-endian: the journal never leaves its machine, and the only
 * big-endian platform of Node, s390x, is refused. Each record starts at a multiple of 8 bytes, so that typed
 * arrays can read and write it.
 *
 *   0  u32  size of the whole record, a multiple of 8
 *   4  u32  checksum of the rest
 *   8  f64  date
 *  16  f64  contentLength
 *  24  f64  duration
 *  32  u16  status
 *  34  u16  bits 0-2: bytes of padding at the end;  bits 3-5: class; bit 6: received is known;
 *              bit 7: received is in extra; bit 8: credentials; bits 9-15: bits 16-22 of the ordinal
 *  36  u16  × 13: length of each text, in UTF-16 units; 0 is null
 *  62  u16  bits 0-15 of the ordinal
 *  64       the texts, concatenated, UTF-8
 *
 * The ordinal is the number of records before this one in the journal. After damage, a reader calculates from it how
 * many records were lost.
 */
export const HEAD_BYTES = 64;
/** Bits of an ordinal that a record stores. A segment has fewer records than this range. */
export const ORDINAL_MASK = 2 ** 23 - 1;
/** Maximum size of a record, in bytes: the sum of the text limits at three bytes per unit, plus the head. */
export const MAX_RECORD_BYTES = 256 * 1024;

/** Bit: the number of body bytes of the request is known. A release that did not store it left the bit 0. */
const KNOWN = 64;
/** Bit: that number is the first value in extra. Most requests have no body. */
const IN_EXTRA = 128;

/** Adds the number of received bytes to the JSON of an `Extra`, which may be `''`. */
function withReceived(extra: string, received: number): string {
  return `{"received":${received}${extra === '' ? '}' : `,${extra.slice(1)}`}`;
}

/** Moves the number of received bytes from the JSON of an `Extra` to its field. */
function readReceived(fields: CapturedFields): void {
  const [all, received] = /^\{"received":(\d+),?/.exec(fields.extra) ?? [];
  if (all === undefined) return;
  fields.received = Number(received);
  const rest = fields.extra.slice(all.length);
  fields.extra = rest === '}' ? '' : `{${rest}`;
}

/** Encodes records into one reusable buffer. */
export class RecordEncoder {
  readonly bytes: Buffer;
  readonly #u32: Uint32Array;
  readonly #u16: Uint16Array;
  readonly #f64: Float64Array;

  constructor(capacity: number) {
    const memory = new ArrayBuffer(capacity);
    this.bytes = Buffer.from(memory);
    this.#u32 = new Uint32Array(memory);
    this.#u16 = new Uint16Array(memory);
    this.#f64 = new Float64Array(memory);
  }

  /** Returns whether a record of any size fits after `offset`. */
  hasRoom(offset: number): boolean {
    return offset + MAX_RECORD_BYTES <= this.bytes.length;
  }

  /** Writes the record at `offset` (a multiple of 8) and returns its size. */
  encode(offset: number, fields: CapturedFields, ordinal: number): number {
    const u16 = this.#u16;
    const f64 = offset >>> 3;
    this.#f64[f64 + 1] = fields.date;
    this.#f64[f64 + 2] = fields.contentLength;
    this.#f64[f64 + 3] = fields.duration;
    const l = (offset >>> 1) + 16;
    u16[l] = fields.status;
    u16[l + 2] = fields.method.length;
    u16[l + 3] = fields.url.length;
    u16[l + 4] = fields.route.length;
    u16[l + 5] = fields.protocol.length;
    u16[l + 6] = fields.remoteAddr.length;
    u16[l + 7] = fields.forwardedFor.length;
    u16[l + 8] = fields.agent.length;
    u16[l + 9] = fields.acceptLanguage.length;
    u16[l + 10] = fields.referrer.length;
    u16[l + 11] = fields.username.length;
    u16[l + 12] = fields.visitor.length;
    u16[l + 13] = fields.blueprint.length;
    const isInExtra = fields.received > 0;
    const extra = isInExtra ? withReceived(fields.extra, fields.received) : fields.extra;
    u16[l + 14] = extra.length;
    u16[l + 15] = ordinal & 0xffff;
    // One long string and one native call are cheaper than thirteen short ones.
    const text =
      fields.method +
      fields.url +
      fields.route +
      fields.protocol +
      fields.remoteAddr +
      fields.forwardedFor +
      fields.agent +
      fields.acceptLanguage +
      fields.referrer +
      fields.username +
      fields.visitor +
      fields.blueprint +
      extra;
    // A lone surrogate becomes U+FFFD here, which keeps the number of units.
    const end = offset + HEAD_BYTES + this.bytes.write(text, offset + HEAD_BYTES);
    const size = ((end + 7) & ~7) - offset;
    const padding = offset + size - end;
    for (let i = 0; i < padding; i++) this.bytes[end + i] = 0;
    u16[l + 1] =
      padding |
      (fields.class << 3) |
      (fields.received >= 0 ? KNOWN : 0) |
      (isInExtra ? IN_EXTRA : 0) |
      (fields.credentials ? 256 : 0) |
      (((ordinal >>> 16) & 127) << 9);
    const u32 = offset >>> 2;
    this.#u32[u32] = size;
    this.#u32[u32 + 1] = checksum(this.#u32, u32 + 2, (offset + size) >>> 2);
    return size;
  }
}

/**
 * Computes FNV-1a over 32-bit words. For a given word, each step is a bijection of the state, so a difference
 * in any one word is always detected. Takes a tenth of the time of a system call.
 */
export function checksum(words: Uint32Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  return hash >>> 0;
}

/** Decodes records from a chunk of the journal that starts with a record. */
export class RecordDecoder {
  /** The last record read. A single object, overwritten by the next record. */
  readonly fields: CapturedFields = {
    date: 0,
    contentLength: 0,
    received: 0,
    class: 0,
    duration: 0,
    status: 0,
    credentials: false,
    method: '',
    url: '',
    route: '',
    protocol: '',
    remoteAddr: '',
    forwardedFor: '',
    agent: '',
    acceptLanguage: '',
    referrer: '',
    username: '',
    visitor: '',
    blueprint: '',
    extra: '',
  };
  #bytes: Buffer = Buffer.alloc(0);
  #u32: Uint32Array = new Uint32Array(0);
  #u16: Uint16Array = new Uint16Array(0);
  #f64: Float64Array = new Float64Array(0);

  /** Sets the chunk to read from. Its memory must be aligned to 8 bytes. */
  use(bytes: Buffer): void {
    this.#bytes = bytes;
    const words = bytes.byteLength >>> 3;
    this.#u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, words * 2);
    this.#u16 = new Uint16Array(bytes.buffer, bytes.byteOffset, words * 4);
    this.#f64 = new Float64Array(bytes.buffer, bytes.byteOffset, words);
  }

  /**
   * Returns the size of the record at `offset`, in a chunk that ends at `end`. Returns 0 if the record is
   * truncated, and -1 if the bytes are not a record.
   */
  sizeAt(offset: number, end: number): number {
    if (offset + 8 > end) return 0;
    const size = this.declaredSizeAt(offset);
    if (size === 0) return -1;
    if (offset + size > end) return 0;
    const sum = checksum(this.#u32, (offset >>> 2) + 2, (offset + size) >>> 2);
    return sum === this.#u32[(offset >>> 2) + 1] ? size : -1;
  }

  /** Returns the stored bits of the ordinal in the head at `offset`, which must be within the chunk. */
  ordinalAt(offset: number): number {
    const l = (offset >>> 1) + 16;
    return ((this.#u16[l + 1]! >>> 9) << 16) | this.#u16[l + 15]!;
  }

  /**
   * Returns the size stored in the head at `offset`, although the record may be damaged. Returns 0 for an
   * impossible size.
   */
  declaredSizeAt(offset: number): number {
    const size = this.#u32[offset >>> 2]!;
    return size < HEAD_BYTES || size > MAX_RECORD_BYTES || (size & 7) !== 0 ? 0 : size;
  }

  /** Returns the minimum size of the record at `offset`, from the lengths of its texts. */
  minSizeAt(offset: number): number {
    const l = (offset >>> 1) + 16;
    let units = 0;
    for (let i = 2; i < 15; i++) units += this.#u16[l + i]!;
    return HEAD_BYTES + units;
  }

  isAscii(from: number, to: number): boolean {
    return this.#bytes.subarray(from, to).every((byte) => byte < 128);
  }

  /** Reads the record of `size` bytes at `offset` into `fields`. */
  read(offset: number, size: number): CapturedFields {
    const { fields } = this;
    const u16 = this.#u16;
    const f64 = offset >>> 3;
    fields.date = this.#f64[f64 + 1]!;
    fields.contentLength = this.#f64[f64 + 2]!;
    fields.duration = this.#f64[f64 + 3]!;
    const l = (offset >>> 1) + 16;
    fields.status = u16[l]!;
    const bits = u16[l + 1]!;
    fields.credentials = (bits & 256) !== 0;
    fields.class = (bits >>> 3) & 7;
    fields.received = (bits & KNOWN) === 0 ? -1 : 0;
    const start = offset + HEAD_BYTES;
    const end = offset + size - (bits & 7);
    let units = 0;
    for (let i = 2; i < 15; i++) units += u16[l + i]!;
    // If there are as many bytes as units, all are ASCII, which is decoded several times faster.
    let text =
      units === end - start
        ? this.#bytes.toString('latin1', start, end)
        : this.#bytes.toString('utf8', start, end);
    // Some databases cannot store NUL.
    if (text.includes('\0')) text = text.replaceAll('\0', '\ufffd');
    // End of each text.
    const method = u16[l + 2]!;
    const url = method + u16[l + 3]!;
    const route = url + u16[l + 4]!;
    const protocol = route + u16[l + 5]!;
    const remoteAddr = protocol + u16[l + 6]!;
    const forwardedFor = remoteAddr + u16[l + 7]!;
    const agent = forwardedFor + u16[l + 8]!;
    const acceptLanguage = agent + u16[l + 9]!;
    const referrer = acceptLanguage + u16[l + 10]!;
    const username = referrer + u16[l + 11]!;
    const visitor = username + u16[l + 12]!;
    const blueprint = visitor + u16[l + 13]!;
    const extra = blueprint + u16[l + 14]!;
    fields.method = text.substring(0, method);
    fields.url = text.substring(method, url);
    fields.route = text.substring(url, route);
    fields.protocol = text.substring(route, protocol);
    fields.remoteAddr = text.substring(protocol, remoteAddr);
    fields.forwardedFor = text.substring(remoteAddr, forwardedFor);
    fields.agent = text.substring(forwardedFor, agent);
    fields.acceptLanguage = text.substring(agent, acceptLanguage);
    fields.referrer = text.substring(acceptLanguage, referrer);
    fields.username = text.substring(referrer, username);
    fields.visitor = text.substring(username, visitor);
    fields.blueprint = text.substring(visitor, blueprint);
    fields.extra = text.substring(blueprint, extra);
    if ((bits & IN_EXTRA) !== 0) readReceived(fields);
    return fields;
  }
}
