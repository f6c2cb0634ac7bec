import { hash } from 'node:crypto';
import type { RecordBatch } from '../../batch.ts';
import { isCounted } from '../../storage/key-budget.ts';

/** Number of characters of a hash in an `_id`: 132 bits. */
const HASH_LENGTH = 22;

/** Returns the hash of some texts, for an `_id`. */
export function hashOf(...parts: readonly (string | null)[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, HASH_LENGTH);
}

/** Returns the `_id` of a sum, or of the number of keys in its bucket. */
export function idOf(bucket: number, hashed: string): string {
  return `${bucket / 1000}-${hashed}`;
}

/** Keys of a batch, by their IDs in its `strings`. */
export class Keys {
  readonly #site: string;
  readonly #strings: readonly (string | null)[];
  readonly #hashes: (string | undefined)[] = [];

  constructor(site: string, { strings }: Pick<RecordBatch, 'strings'>) {
    this.#site = site;
    this.#strings = strings;
  }

  hash(local: number): string {
    let found = this.#hashes[local];
    if (found === undefined) {
      found = hashOf(this.#site, this.#strings[local]!);
      this.#hashes[local] = found;
    }
    return found;
  }

  /** Returns the key's fields. `none` sorts `null` after all texts; MongoDB would sort it first. */
  fields(local: number): { key: string } | { key: null; none: true } {
    const key = this.#strings[local]!;
    return key === null ? { key, none: true } : { key };
  }

  /** Returns whether a key counts toward the budget of its bucket. */
  isCounted(local: number): boolean {
    return isCounted(this.#strings[local]!);
  }
}
