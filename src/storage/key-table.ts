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
  places: Int32Array;
  hits: Float64Array;
  transfer: Float64Array;
  errors: Float64Array;
  duration: Float64Array;
  /** Sum over all keys. */
  total: Measures;
}

type Sums = Pick<Piece, keyof Measures>;

/** Keys of a summary that were read so far. Each is held once, no matter how many pieces contain it. */
export class KeyTable {
  readonly #texts: (ids: readonly number[]) => Promise<Map<number, string>>;
  readonly #placeOf = new Map<KeyId, number>();
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
    const places = Int32Array.from(rowOf.keys(), (id) => this.#placeOf.get(id) ?? this.#add(id));
    const piece = { ...emptySums(rowOf.size), places, total: noMeasures() };
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
    return this.#keys[this.#placeOf.get(id) ?? -1] ?? undefined;
  }

  #add(id: KeyId): number {
    const place = this.#keys.length;
    this.#placeOf.set(id, place);
    if (typeof id !== 'number') {
      this.#keys.push(id);
      return place;
    }
    this.#keys.push(id === 0 ? null : undefined);
    if (id !== 0) this.#unknown.push(id);
    this.#lastId = Math.max(this.#lastId, id);
    return place;
  }

  #learn(texts: ReadonlyMap<number, string>): void {
    for (const [id, text] of texts) this.#keys[this.#placeOf.get(id)!] = text;
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
        if (missing !== undefined) throw new Error(`the text of the key ${missing} is missing`);
        this.#unknown = this.#unknown.slice(ids.length);
      });
    return this.#lookingUp;
  }

  /** Returns the total of all pieces. */
  total(pieces: readonly Piece[]): Total {
    const sums = this.#together(pieces);
    const found = this.#found(sums, undefined);
    const keys = found.reduce((count, place) => (this.#keys[place] === null ? count : count + 1), 0);
    return { ...totalOf(sums, found), keys };
  }

  /** Returns the requested page of keys, over all pieces. */
  async page(
    pieces: readonly Piece[],
    { order, search, limit, offset }: Pick<KeysRequest, 'order' | 'search' | 'limit' | 'offset'>,
  ): Promise<Keys> {
    await this.#lookUp();
    const sums = this.#together(pieces);
    const { hits } = sums;
    const rank = order === 'average' ? sums.duration.map((sum, place) => sum / hits[place]!) : sums[order];
    const found = this.#found(sums, search === undefined ? undefined : foldCase(search));
    const row = (place: number): KeyRow => ({
      key: this.#keys[place]!,
      hits: hits[place]!,
      transfer: sums.transfer[place]!,
      errors: sums.errors[place]!,
      duration: sums.duration[place]!,
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
    for (let place = 0; place < hits.length; place++) {
      if (hits[place] !== 0 && (part === undefined || this.#has(place, part))) found.push(place);
    }
    return found;
  }

  #has(place: number, part: string): boolean {
    const key = this.#keys[place]!;
    if (key === null) return false;
    this.#folded[place] ??= foldCase(key);
    return this.#folded[place].includes(part);
  }

  #together(pieces: readonly Piece[]): Sums {
    const sums = emptySums(this.size);
    for (const piece of pieces) {
      const { places } = piece;
      for (const name of MEASURES) {
        const [to, from] = [sums[name], piece[name]];
        for (let i = 0; i < places.length; i++) to[places[i]!]! += from[i]!;
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
function totalOf(sums: Sums, places: readonly number[]): Measures {
  const total = noMeasures();
  for (const name of MEASURES) {
    const of = sums[name];
    for (const place of places) total[name] += of[place]!;
  }
  return total;
}

/** Number of rows above which a full sort is faster than insertion. */
const MOST_INSERTED = 1_000;

/** Returns the first `count` positions, in order. */
function firstOf(places: number[], count: number, compare: (a: number, b: number) => number): number[] {
  if (count > MOST_INSERTED || count >= places.length) return places.sort(compare).slice(0, count);
  const first: number[] = [];
  for (const place of places) {
    if (first.length === count && compare(place, first[count - 1]!) >= 0) continue;
    let [low, high] = [0, first.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(place, first[middle]!) < 0) high = middle;
      else low = middle + 1;
    }
    if (first.length === count) first.pop();
    first.splice(low, 0, place);
  }
  return first;
}
