import * as crypto from 'node:crypto';
import type { RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { type LookUp, lookUpAll, type NamedRow } from './row-ids.ts';

/** Minimum number of text IDs cached in memory. */
const CACHED = 32_768;
/** Maximum length of a cached text, in UTF-16 units. Longer texts are often hostile and seldom repeat. */
const CACHED_LENGTH = 256;

/** Text to look up. Its name is the hash as hexadecimal digits. */
export interface Text extends NamedRow {
  text: string;
  /** First 16 bytes of the SHA-256 of the text: collision-resistant, even for texts chosen by an attacker. */
  hash: Buffer;
}

/** Cache of the text dictionary of a database. The dictionary holds every text once. */
export class Texts {
  readonly #lookUp: LookUp<Text>;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: LookUp<Text>) {
    this.#lookUp = lookUp;
  }

  /** Returns the IDs of a batch's texts, by their IDs in the batch; 0 for null. */
  async idsOf({ strings }: RecordBatch): Promise<Float64Array> {
    const ids = new Float64Array(strings.length);
    const missing: (Text & { local: number })[] = [];
    for (let local = 1; local < strings.length; local++) {
      const text = strings[local]!;
      const id = this.#ids.get(text);
      if (id !== undefined) {
        ids[local] = id;
        continue;
      }
      const hash = hashOf(text);
      missing.push({ name: hash.toString('hex'), text, hash, local });
    }
    const added = await lookUpAll(missing, this.#lookUp);
    for (const { name, text, local } of missing) {
      const id = added.get(name)!;
      ids[local] = id;
      if (text.length <= CACHED_LENGTH) this.#ids.set(text, id);
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
