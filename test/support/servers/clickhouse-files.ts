import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

/** Length of a compressed block's checksum, and of the header behind it: method, compressed and original size. */
const CHECKSUM = 16;
const HEADER = 9;
const [NONE, LZ4, ZSTD] = [0x02, 0x82, 0x90];

/** Returns whether a file of these folders contains a text, also within compressed data and in the name of a file. */
export function filesContain(folders: readonly string[], text: string): boolean {
  return folders.some((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) => {
      const path = join(folder, name);
      if (basename(path).includes(text)) return true;
      if (!statSync(path).isFile()) return false;
      const bytes = readFileSync(path);
      return bytes.includes(text) || blocksOf(bytes).some((block) => block.includes(text));
    }),
  );
}

/** Returns the decompressed blocks of a file of columns or of the primary key. Blocks of numbers only are omitted. */
function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = CHECKSUM; at + HEADER <= bytes.length; ) {
    const method = bytes[at]!;
    const size = bytes.readUInt32LE(at + 1);
    const original = bytes.readUInt32LE(at + 5);
    if (size < HEADER || at + size > bytes.length) break;
    const data = bytes.subarray(at + HEADER, at + size);
    if (method === NONE) blocks.push(data);
    else if (method === LZ4) blocks.push(lz4(data, original));
    else if (method === ZSTD) blocks.push(zstdDecompressSync(data));
    at += size + CHECKSUM;
  }
  return blocks;
}

function lz4(data: Buffer, size: number): Buffer {
  const out = Buffer.alloc(size);
  let at = 0;
  let end = 0;
  const length = (first: number): number => {
    let found = first;
    if (first < 15) return found;
    for (let more = 255; more === 255; found += more) more = data[at++]!;
    return found;
  };
  while (at < data.length) {
    const token = data[at++]!;
    const literals = length(token >> 4);
    end += data.copy(out, end, at, at + literals);
    at += literals;
    if (at >= data.length) break;
    const distance = data.readUInt16LE(at);
    at += 2;
    for (let left = length(token & 15) + 4; left > 0; left--, end++) out[end] = out[end - distance]!;
  }
  return out;
}
