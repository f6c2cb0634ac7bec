import * as crypto from 'node:crypto';
import type { RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../platform/cache.ts';

/** Minimum number of text IDs cached in memory. */
const CACHED = 32_768;
/** Maximum length of a cached text, in UTF-16 units. Longer texts are often hostile and seldom repeat. */
const CACHED_LENGTH = 256;
/**
 * Maximum number of attempts. Others may add the same texts concurrently; more failures than this indicate an
 * error.
 */
const MAX_ATTEMPTS = 5;

/** Text to look up. The hash is collision-resistant, even for texts chosen by an attacker. */
export interface Text {
  text: string;
  /** First 16 bytes of the SHA-256 of the text. */
  hash: Buffer;
}

/**
 * Finds the IDs of texts and adds the missing ones, in a separate transaction. Texts that nothing refers to
 * are harmless. The result may omit texts that another writer added concurrently. The texts are sorted by
 * hash, so that writers cannot deadlock.
 */
export type LookUp = (texts: readonly Text[]) => Promise<{ hash: string; id: number }[]>;

/** Cache of the text dictionary of a database. The dictionary holds every text once. */
export class Texts {
  readonly #lookUp: LookUp;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: LookUp) {
    this.#lookUp = lookUp;
  }

  /** Returns the IDs of a batch's texts, by their IDs in the batch; 0 for null. */
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
    for (let attempts = 0; missing.size > 0; attempts++) {
      if (attempts === MAX_ATTEMPTS) throw new Error(`${missing.size} texts were neither found nor added`);
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

  /** Clears the cache, after a failure: the database may have been replaced or restored. */
  forget(): void {
    this.#ids.clear();
  }
}

export function hashOf(text: string): Buffer {
  return crypto.hash('sha256', text, 'buffer').subarray(0, 16);
}
