/** Set of IDs from a range, one bit each. */
export class IdSet {
  readonly first: number;
  readonly last: number;
  readonly #bits: Uint8Array;

  constructor(first: number, last: number) {
    this.first = first;
    this.last = last;
    this.#bits = new Uint8Array(Math.max(0, Math.ceil((last - first + 1) / 8)));
  }

  /** Adds IDs, except null and those beyond the range. */
  addAll(ids: readonly unknown[]): void {
    for (const each of ids) {
      if (each === null) continue;
      const at = Number(each) - this.first;
      // Beyond 2^31, bitwise operators do not work on `at`.
      if (at >= 0 && at <= this.last - this.first) this.#bits[Math.floor(at / 8)]! |= 1 << (at % 8);
    }
  }

  has(id: number): boolean {
    const at = id - this.first;
    return at >= 0 && (this.#bits[Math.floor(at / 8)]! & (1 << (at % 8))) !== 0;
  }
}
