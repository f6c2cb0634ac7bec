import { hash } from 'node:crypto';
import type { RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../cache.ts';
import type { TextColumn } from '../../record.ts';
import type { Deltas } from '../../summaries/fold.ts';

/** Ids of texts that are kept in memory, at least. */
const CACHED = 32_768;
/** Texts longer than this are not kept in memory: hostile ones are, and they seldom come twice. In UTF-16 units. */
const CACHED_LENGTH = 256;
/** Others may add the same texts at the same moment; more often than this something is wrong. */
const TRIES = 5;

/** The columns of a record whose text stands in the dictionary; what the agent's text says stands beside the agent. */
const COLUMNS = [
  'serverName',
  'method',
  'url',
  'route',
  'protocol',
  'remoteAddr',
  'forwardedFor',
  'agent',
  'language',
  'referrer',
  'username',
  'visitor',
  'country',
  'blueprint',
] as const satisfies readonly TextColumn[];

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
  async idsOf({ strings, text, length }: RecordBatch, deltas: Deltas): Promise<Float64Array> {
    const ids = new Float64Array(strings.length);
    const missing = new Map<string, Text & { local: number }>();
    const see = (local: number) => {
      if (local === 0 || ids[local] !== 0) return;
      const found = strings[local]!;
      const id = this.#ids.get(found) ?? -1;
      ids[local] = id;
      if (id !== -1) return;
      const digest = hashOf(found);
      missing.set(digest.toString('hex'), { text: found, hash: digest, local });
    };
    for (const column of COLUMNS) {
      const locals = text[column];
      for (let i = 0; i < length; i++) see(locals[i]!);
    }
    for (const { key } of deltas) key.forEach(see);
    for (let tries = 0; missing.size > 0; tries++) {
      if (tries === TRIES) throw new Error(`${missing.size} texts were neither found nor added`);
      const wanted = [...missing.values()].sort((a, b) => Buffer.compare(a.hash, b.hash));
      for (const { hash: digest, id } of await this.#lookUp(wanted)) {
        const { text: found, local } = missing.get(digest)!;
        ids[local] = id;
        if (found.length <= CACHED_LENGTH) this.#ids.set(found, id);
        missing.delete(digest);
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
  return hash('sha256', text, 'buffer').subarray(0, 16);
}
