/** Set of integers in a range, as bits. */
export class IdSet {
  readonly #first: number;
  readonly #last: number;
  readonly #bits: Uint8Array;

  /** Creates an empty set. @param first Smallest integer. @param last Largest integer. Others are ignored. */
  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
    this.#bits = new Uint8Array(Math.max(0, Math.ceil((last - first + 1) / 8)));
  }

  add(id: number): void {
    if (id < this.#first || id > this.#last) return;
    const at = id - this.#first;
    // Beyond 2^31, bitwise operators do not work on `at`.
    this.#bits[Math.floor(at / 8)]! |= 1 << (at % 8);
  }

  has(id: number): boolean {
    if (id < this.#first || id > this.#last) return false;
    const at = id - this.#first;
    return (this.#bits[Math.floor(at / 8)]! & (1 << (at % 8))) !== 0;
  }
}
