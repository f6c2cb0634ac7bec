/**
 * What the app's thread and the writer's thread tell each other without messages, in shared memory. A double on
 * a multiple of 8 bytes is read and written whole on every platform that Node supports, and the checksum of the
 * records guards the rest.
 */
const END = 0;
const ORDINAL = 1;
const COMMITTED = 2;
const CLOSING = 3;

export class SharedState {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory = new SharedArrayBuffer(64)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  /** The journal's end: the position behind its last record. */
  get end(): number {
    return this.#values[END]!;
  }

  /** How many records the journal ever held. */
  get ordinal(): number {
    return this.#values[ORDINAL]!;
  }

  /** `end` goes first: who sees it may find `ordinal` too small for a moment, never too large. */
  advance(end: number, ordinal: number): void {
    this.#values[END] = end;
    this.#values[ORDINAL] = ordinal;
  }

  /** The position up to which every storage has committed. */
  get committed(): number {
    return this.#values[COMMITTED]!;
  }

  set committed(position: number) {
    this.#values[COMMITTED] = position;
  }

  /** Set before the app closes; the writer reads it before it looks at `end` for the last time. */
  get closing(): boolean {
    return this.#values[CLOSING] === 1;
  }

  set closing(value: boolean) {
    this.#values[CLOSING] = value ? 1 : 0;
  }
}
