/**
 * What the app's thread and the writer's thread tell each other without messages, in shared memory. A double on
 * a multiple of 8 bytes is read and written whole on every platform that Node supports, and the checksum of the
 * records guards the rest.
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

  /** When the journal's heart beat last, by `processTime`; 0 where it has no heartbeat, because it has no file. */
  get beat(): number {
    return this.#values[BEAT]!;
  }

  set beat(time: number) {
    this.#values[BEAT] = time;
  }

  /** Number of segments that were completed. */
  get rotations(): number {
    return this.#values[ROTATIONS]!;
  }

  set rotations(count: number) {
    this.#values[ROTATIONS] = count;
  }

  /** Number of completed segments at which the writer's thread enforced the limit last; -1 before it has started. */
  get limited(): number {
    return this.#values[LIMITED]! - 1;
  }

  set limited(count: number) {
    this.#values[LIMITED] = count + 1;
  }
}
