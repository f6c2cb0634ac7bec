import * as crypto from 'node:crypto';
import type { RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../cache.ts';

/** Ids of texts that are kept in memory, at least. */
const CACHED = 32_768;
/** Texts longer than this are not kept in memory: hostile ones are, and they seldom come twice. In UTF-16 units. */
const CACHED_LENGTH = 256;
/** Others may add the same texts at the same moment; more often than this something is wrong. */
const TRIES = 5;

/** A text that has to be looked up. Under its hash two texts never meet, whoever chose them. */
export interface Text {
  text: string;
  /** 16 bytes: the first half of its SHA-256. */
  hash: Buffer;
}

/**
 * Finds the ids of texts, and adds those that are not there, in a transaction of its own: texts that nothing refers
 * to are harmless. It may leave out what somebody else has added meanwhile. The texts come in the order of their
 * hashes: who adds in one order never waits for somebody who waits for him.
 */
export type LookUp = (texts: readonly Text[]) => Promise<{ hash: string; id: number }[]>;

/** The dictionary of a database, in which every text stands once, as far as its ids are remembered. */
export class Texts {
  readonly #lookUp: LookUp;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: LookUp) {
    this.#lookUp = lookUp;
  }

  /** The ids of a batch's texts, by their ids in the batch; 0 for null. */
  async idsOf({ strings }: RecordBatch): Promise<Float64Array> {
    const ids = new Float64Array(strings.length);
    const missing = new Map<string, Text & { local: number }>();
    for (let local = 1; local < strings.length; local++) {
      const text = strings[local]!;
      const id = this.#ids.get(text);
      if (id !== undefined) {
        ids[local] = id;
        continue;
      }
      const hash = hashOf(text);
      missing.set(hash.toString('hex'), { text, hash, local });
    }
    for (let tries = 0; missing.size > 0; tries++) {
      if (tries === TRIES) throw new Error(`${missing.size} texts were neither found nor added`);
      const wanted = [...missing.values()].sort((a, b) => Buffer.compare(a.hash, b.hash));
      for (const { hash, id } of await this.#lookUp(wanted)) {
        const { text, local } = missing.get(hash)!;
        ids[local] = id;
        if (text.length <= CACHED_LENGTH) this.#ids.set(text, id);
        missing.delete(hash);
      }
    }
    return ids;
  }

  /** After a failure: the database may be another one, or an older copy. */
  forget(): void {
    this.#ids.clear();
  }
}

export function hashOf(text: string): Buffer {
  return crypto.hash('sha256', text, 'buffer').subarray(0, 16);
}
