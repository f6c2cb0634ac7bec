import { compareKeys } from '../compare-keys.ts';
import type { KeyRow, Keys, KeysRequest, Measures, Total } from '../contract.ts';
import { MEASURES, noMeasures } from '../measures.ts';
import type { IdRow } from './questions.ts';

/** Keys with their sums over some buckets, as a table of numbers. */
export interface Piece {
  /** The places of the keys in their table. */
  places: Int32Array;
  hits: Float64Array;
  transfer: Float64Array;
  errors: Float64Array;
  duration: Float64Array;
  /** All hits together. */
  total: number;
}

type Sums = Pick<Piece, 'hits' | 'transfer' | 'errors' | 'duration'>;

/** The keys of a summary that were read so far, each held once, whatever pieces it has a part in. */
export class KeyTable {
  readonly #texts: (ids: readonly number[]) => Promise<Map<number, string>>;
  readonly #placeOf = new Map<number, number>();
  readonly #keys: (string | null)[] = [];
  readonly #lower: string[] = [];
  /** One piece after the other, so that no key gets two places. */
  #adding: Promise<unknown> = Promise.resolve();

  /** @param texts Looks up keys by their ids. */
  constructor(texts: (ids: readonly number[]) => Promise<Map<number, string>>) {
    this.#texts = texts;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** Rows as a piece; what is not known of their keys is looked up. */
  piece(rows: readonly IdRow[]): Promise<Piece> {
    const adding = this.#adding.catch(() => {}).then(() => this.#add(rows));
    this.#adding = adding;
    return adding;
  }

  async #add(rows: readonly IdRow[]): Promise<Piece> {
    const unknown = rows.filter(({ id }) => !this.#placeOf.has(id)).map(({ id }) => id);
    const texts = unknown.length === 0 ? undefined : await this.#texts(unknown.filter((id) => id !== 0));
    for (const id of unknown) {
      this.#placeOf.set(id, this.#keys.length);
      this.#keys.push(id === 0 ? null : (texts?.get(id) ?? null));
    }
    const { length } = rows;
    const piece = { ...emptySums(length), places: new Int32Array(length), total: 0 };
    for (let i = 0; i < length; i++) {
      const row = rows[i]!;
      piece.places[i] = this.#placeOf.get(row.id)!;
      for (const name of MEASURES) piece[name][i] = row[name];
      piece.total += row.hits;
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
    const found = this.#found(sums, search?.toLowerCase());
    const row = (place: number): KeyRow => ({
      key: this.#keys[place]!,
      hits: hits[place]!,
      transfer: sums.transfer[place]!,
      errors: sums.errors[place]!,
      duration: sums.duration[place]!,
    });
    // Only what may be on the page is put in order by its texts.
    const last = limit === 0 ? -Infinity : lowest(rank, found, offset + limit);
    const rows = found
      .filter((place) => rank[place]! >= last)
      .sort(
        (a, b) => rank[b]! - rank[a]! || hits[b]! - hits[a]! || compareKeys(this.#keys[a]!, this.#keys[b]!),
      )
      .slice(offset, limit === 0 ? undefined : offset + limit)
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
    this.#lower[place] ??= key.toLowerCase();
    return this.#lower[place].includes(part);
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

/** The rank that so many of these keys reach. */
function lowest(rank: Float64Array, places: readonly number[], count: number): number {
  if (places.length <= count) return -Infinity;
  return Float64Array.from(places, (place) => rank[place]!).sort()[places.length - count]!;
}
