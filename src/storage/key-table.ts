import { compareKeys } from './compare-keys.ts';
import type { KeyRow, Keys, KeysRequest, Measures, Total } from './contract.ts';
import { foldCase } from './fold-case.ts';
import { MEASURES, noMeasures } from './measures.ts';

/** Identifies a key: the ID of its text (0 for null), or the key itself if the engine has no IDs. */
type KeyId = number | string | null;

/** A table by columns: keys, each once or several times, and their sums. */
export type KeyColumns = { id: readonly KeyId[] } & Record<keyof Measures, readonly number[]>;

/** Keys with their sums over some buckets, as numeric columns. */
export interface Piece {
  /** Positions of the keys in the `KeyTable`. */
  indexes: Int32Array;
  hits: Float64Array;
  transfer: Float64Array;
  errors: Float64Array;
  duration: Float64Array;
  /** Sum over all keys. */
  total: Measures;
}

type Sums = Pick<Piece, keyof Measures>;

/** The text of a key no longer exists. */
export class MissingText extends Error {}

/** Keys of a summary that were read so far. Each is held once, no matter how many pieces contain it. */
export class KeyTable {
  readonly #texts: (ids: readonly number[]) => Promise<Map<number, string>>;
  readonly #indexOf = new Map<KeyId, number>();
  /** `undefined` until the text is looked up. */
  readonly #keys: (string | null | undefined)[] = [];
  /** Normalized text of each key that has been searched. */
  readonly #folded: string[] = [];
  #lastId = 0;
  #unknown: number[] = [];
  #lookingUp: Promise<unknown> = Promise.resolve();

  /**
   * Creates an empty table.
   * @param texts Looks up keys by their IDs.
   */
  constructor(texts: (ids: readonly number[]) => Promise<Map<number, string>>) {
    this.#texts = texts;
  }

  get size(): number {
    return this.#keys.length;
  }

  /**
   * Returns whether the IDs still refer to the same texts. They may not, if the database was replaced or
   * restored.
   */
  async isCurrent(): Promise<boolean> {
    const id = this.#lastId;
    const known = this.#textOf(id);
    return known === undefined || (await this.#texts([id])).get(id) === known;
  }

  /** Converts keys to a piece. Looks up the text of the last new key, for `isCurrent`. */
  async piece({ id: ids, ...sums }: KeyColumns): Promise<Piece> {
    const { length } = ids;
    const rowOf = new Map<KeyId, number>();
    const rows = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      const row = rowOf.get(ids[i]!) ?? rowOf.size;
      if (row === rowOf.size) rowOf.set(ids[i]!, row);
      rows[i] = row;
    }
    const indexes = Int32Array.from(rowOf.keys(), (id) => this.#indexOf.get(id) ?? this.#add(id));
    const piece = { ...emptySums(rowOf.size), indexes, total: noMeasures() };
    for (const name of MEASURES) {
      const [from, to] = [sums[name], piece[name]];
      for (let i = 0; i < length; i++) {
        to[rows[i]!]! += from[i]!;
        piece.total[name] += from[i]!;
      }
    }
    const last = this.#lastId;
    if (last > 0 && this.#textOf(last) === undefined) this.#learn(await this.#texts([last]));
    return piece;
  }

  /** Returns the text of an ID, or `undefined` if it was not looked up or does not exist. */
  #textOf(id: number): string | undefined {
    return this.#keys[this.#indexOf.get(id) ?? -1] ?? undefined;
  }

  #add(id: KeyId): number {
    const index = this.#keys.length;
    this.#indexOf.set(id, index);
    if (typeof id !== 'number') {
      this.#keys.push(id);
      return index;
    }
    this.#keys.push(id === 0 ? null : undefined);
    if (id !== 0) this.#unknown.push(id);
    this.#lastId = Math.max(this.#lastId, id);
    return index;
  }

  #learn(texts: ReadonlyMap<number, string>): void {
    for (const [id, text] of texts) this.#keys[this.#indexOf.get(id)!] = text;
  }

  /** Looks up all unknown texts. Concurrent callers wait for each other. */
  #lookUp(): Promise<unknown> {
    this.#lookingUp = this.#lookingUp
      .catch(() => {})
      .then(async () => {
        // More IDs may be added during the lookup.
        const ids = [...this.#unknown];
        if (ids.length === 0) return;
        this.#learn(await this.#texts(ids));
        const missing = ids.find((id) => this.#textOf(id) === undefined);
        if (missing !== undefined) throw new MissingText(`the text of the key ${missing} is missing`);
        this.#unknown = this.#unknown.slice(ids.length);
      });
    return this.#lookingUp;
  }

  /** Returns the total of all pieces. */
  total(pieces: readonly Piece[]): Total {
    const sums = this.#sumUp(pieces);
    const found = this.#found(sums, undefined);
    const keys = found.reduce((count, index) => (this.#keys[index] === null ? count : count + 1), 0);
    return { ...totalOf(sums, found), keys };
  }

  /** Returns the requested page of keys, over all pieces. */
  async page(
    pieces: readonly Piece[],
    { order, search, limit, offset }: Pick<KeysRequest, 'order' | 'search' | 'limit' | 'offset'>,
  ): Promise<Keys> {
    await this.#lookUp();
    const sums = this.#sumUp(pieces);
    const { hits } = sums;
    const rank = order === 'average' ? sums.duration.map((sum, index) => sum / hits[index]!) : sums[order];
    const found = this.#found(sums, search === undefined ? undefined : foldCase(search));
    const row = (index: number): KeyRow => ({
      key: this.#keys[index]!,
      hits: hits[index]!,
      transfer: sums.transfer[index]!,
      errors: sums.errors[index]!,
      duration: sums.duration[index]!,
    });
    const compare = (a: number, b: number) =>
      rank[b]! - rank[a]! || hits[b]! - hits[a]! || compareKeys(this.#keys[a]!, this.#keys[b]!);
    const rows = firstOf(found, limit === 0 ? found.length : offset + limit, compare)
      .slice(offset)
      .map(row);
    return { rows, count: found.length, total: totalOf(sums, found) };
  }

  /** Returns the positions of all keys, or of those that contain the searched part. */
  #found({ hits }: Sums, part: string | undefined): number[] {
    const found: number[] = [];
    for (let index = 0; index < hits.length; index++) {
      if (hits[index] !== 0 && (part === undefined || this.#has(index, part))) found.push(index);
    }
    return found;
  }

  #has(index: number, part: string): boolean {
    const key = this.#keys[index]!;
    if (key === null) return false;
    this.#folded[index] ??= foldCase(key);
    return this.#folded[index].includes(part);
  }

  #sumUp(pieces: readonly Piece[]): Sums {
    const sums = emptySums(this.size);
    for (const piece of pieces) {
      const { indexes } = piece;
      for (const name of MEASURES) {
        const [to, from] = [sums[name], piece[name]];
        for (let i = 0; i < indexes.length; i++) to[indexes[i]!]! += from[i]!;
      }
    }
    return sums;
  }
}

function emptySums(length: number): Sums {
  const sums = () => new Float64Array(length);
  return { hits: sums(), transfer: sums(), errors: sums(), duration: sums() };
}

/** Returns the sum of the given positions. */
function totalOf(sums: Sums, indexes: readonly number[]): Measures {
  const total = noMeasures();
  for (const name of MEASURES) {
    const of = sums[name];
    for (const index of indexes) total[name] += of[index]!;
  }
  return total;
}

/** Number of rows above which a full sort is faster than insertion. */
const MAX_INSERTED = 1_000;

/** Returns the first `count` positions, in order. */
function firstOf(indexes: number[], count: number, compare: (a: number, b: number) => number): number[] {
  if (count > MAX_INSERTED || count >= indexes.length) return indexes.sort(compare).slice(0, count);
  const first: number[] = [];
  for (const index of indexes) {
    if (first.length === count && compare(index, first[count - 1]!) >= 0) continue;
    let [low, high] = [0, first.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(index, first[middle]!) < 0) high = middle;
      else low = middle + 1;
    }
    if (first.length === count) first.pop();
    first.splice(low, 0, index);
  }
  return first;
}
