/**
 * State in memory that the app's thread and the writer's thread share. A double at a multiple of 8 bytes is
 * read and written atomically on every platform that Node supports. A reader that sees the new end before the
 * new records is protected by their checksums.
 */
const END = 0;
const ORDINAL = 1;
const COMMITTED = 2;
const BEAT = 3;
const ROTATIONS = 4;
const LIMITED = 5;

export class SharedState {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory = new SharedArrayBuffer(64)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  /** End of the journal: the position after its last record. */
  get end(): number {
    return this.#values[END]!;
  }

  /** Total number of records, including those already deleted. */
  get ordinal(): number {
    return this.#values[ORDINAL]!;
  }

  /**
   * Updates `end` before `ordinal`. So a concurrent reader may see an `ordinal` that is briefly too small,
   * never one too large.
   */
  advance(end: number, ordinal: number): void {
    this.#values[END] = end;
    this.#values[ORDINAL] = ordinal;
  }

  /** Position up to which every storage has committed. */
  get committed(): number {
    return this.#values[COMMITTED]!;
  }

  set committed(position: number) {
    this.#values[COMMITTED] = position;
  }

  /** Time of the journal's last beat, by `processTime`. 0 if it has no heartbeat, because it has no file. */
  get beat(): number {
    return this.#values[BEAT]!;
  }

  set beat(time: number) {
    this.#values[BEAT] = time;
  }

  /** Number of completed segments. */
  get rotations(): number {
    return this.#values[ROTATIONS]!;
  }

  set rotations(count: number) {
    this.#values[ROTATIONS] = count;
  }

  /**
   * Number of completed segments when the writer's thread last enforced the limit; -1 before it has started.
   */
  get limited(): number {
    return this.#values[LIMITED]! - 1;
  }

  set limited(count: number) {
    this.#values[LIMITED] = count + 1;
  }
}
