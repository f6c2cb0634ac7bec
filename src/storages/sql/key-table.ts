import { compareKeys } from '../compare-keys.ts';
import type { KeyRow, Keys, KeysRequest, Measures, Total } from '../contract.ts';
import { addMeasures, MEASURES, noMeasures } from '../measures.ts';
import type { IdRow } from './questions.ts';

/** Keys with their sums over some buckets, as a table of numbers. */
export interface Piece {
  /** The places of the keys in their table. */
  places: Int32Array;
  hits: Float64Array;
  transfer: Float64Array;
  errors: Float64Array;
  duration: Float64Array;
  /** All keys together. */
  total: Measures;
}

type Sums = Pick<Piece, keyof Measures>;

/** The keys of a summary that were read so far, each held once, whatever pieces it has a part in. */
export class KeyTable {
  readonly #texts: (ids: readonly number[]) => Promise<Map<number, string>>;
  readonly #fold: (text: string) => string;
  readonly #placeOf = new Map<number, number>();
  readonly #keys: (string | null)[] = [];
  /** Of each key that was searched, the text that is searched. */
  readonly #folded: string[] = [];
  #lastId = 0;
  /** One piece after the other, so that no key gets two places. */
  #adding: Promise<unknown> = Promise.resolve();

  /**
   * @param texts Looks up keys by their ids.
   * @param fold A text as the engine would search it.
   */
  constructor(
    texts: (ids: readonly number[]) => Promise<Map<number, string>>,
    fold: (text: string) => string,
  ) {
    this.#texts = texts;
    this.#fold = fold;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** Whether the ids still mean the same texts: the database may be another one, or an older copy. */
  async isCurrent(): Promise<boolean> {
    const [id, place] = [this.#lastId, this.#placeOf.get(this.#lastId)];
    return place === undefined || (await this.#texts([id])).get(id) === this.#keys[place];
  }

  /** Rows as a piece; what is not known of their keys is looked up. */
  piece(rows: readonly IdRow[]): Promise<Piece> {
    const adding = this.#adding.catch(() => {}).then(() => this.#add(rows));
    this.#adding = adding;
    return adding;
  }

  async #add(rows: readonly IdRow[]): Promise<Piece> {
    const unknown = new Set<number>();
    for (const { id } of rows) if (!this.#placeOf.has(id)) unknown.add(id);
    const texts = unknown.size === 0 ? undefined : await this.#texts([...unknown].filter((id) => id !== 0));
    for (const id of unknown) {
      const text = id === 0 ? null : texts?.get(id);
      if (text === undefined) throw new Error(`the text of the key ${id} is missing`);
      this.#placeOf.set(id, this.#keys.length);
      this.#keys.push(text);
      this.#lastId = Math.max(this.#lastId, id);
    }
    const { length } = rows;
    const piece = { ...emptySums(length), places: new Int32Array(length), total: noMeasures() };
    for (let i = 0; i < length; i++) {
      const row = rows[i]!;
      piece.places[i] = this.#placeOf.get(row.id)!;
      for (const name of MEASURES) piece[name][i] = row[name];
      addMeasures(piece.total, row);
    }
    return piece;
  }

  /** What all pieces have together. */
  total(pieces: readonly Piece[]): Total {
    const sums = this.#together(pieces);
    const found = this.#found(sums, undefined);
    const keys = found.reduce((count, place) => (this.#keys[place] === null ? count : count + 1), 0);
    return { ...totalOf(sums, found), keys };
  }

  /** The page of keys that is asked for, over all pieces. */
  page(
    pieces: readonly Piece[],
    { order, search, limit, offset }: Pick<KeysRequest, 'order' | 'search' | 'limit' | 'offset'>,
  ): Keys {
    const sums = this.#together(pieces);
    const { hits } = sums;
    const rank = order === 'average' ? sums.duration.map((sum, place) => sum / hits[place]!) : sums[order];
    const found = this.#found(sums, search === undefined ? undefined : this.#fold(search));
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

  /** The places of all keys, or of those with that in them. */
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
    this.#folded[place] ??= this.#fold(key);
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

/** All of these places together. */
function totalOf(sums: Sums, places: readonly number[]): Measures {
  const total = noMeasures();
  for (const name of MEASURES) {
    const of = sums[name];
    for (const place of places) total[name] += of[place]!;
  }
  return total;
}

/** Beyond so many it is faster to put all in order. */
const MOST_INSERTED = 1_000;

/** The first so many, in order. */
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
