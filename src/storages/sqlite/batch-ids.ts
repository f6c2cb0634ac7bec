import type { RecordBatch } from '../../batch.ts';

/** Looks up the database IDs of texts. */
interface TextIds {
  /** Returns the ID of a text, which is added if necessary. */
  add(text: string): number;
  /** Returns the ID of a text, or `undefined` if it is not stored. */
  find(text: string): number | undefined;
  /** Returns whether the text of an ID was added by the current transaction. */
  isNew(id: number): boolean;
}

/** Database IDs of a batch's texts, each looked up once. */
export class BatchIds {
  readonly strings: readonly (string | null)[];
  readonly #ids: Float64Array;
  readonly #lookUp: TextIds;

  constructor(records: RecordBatch, lookUp: TextIds) {
    this.strings = records.strings;
    this.#ids = new Float64Array(records.strings.length);
    this.#lookUp = lookUp;
  }

  /** Returns the database ID of a text; 0 for null. */
  of(local: number): number {
    if (local === 0) return 0;
    let id = this.#ids[local]!;
    if (id === 0) {
      id = this.#lookUp.add(this.strings[local]!);
      this.#ids[local] = id;
    }
    return id;
  }

  orNull(local: number): number | null {
    return local === 0 ? null : this.of(local);
  }

  all(locals: Int32Array): Float64Array {
    return Float64Array.from(locals, (local) => this.of(local));
  }

  /** Returns the database ID of a text, or `undefined` if the text is not stored. */
  find(local: number): number | undefined {
    if (local === 0) return 0;
    const id = this.#ids[local]! || this.#lookUp.find(this.strings[local]!);
    if (id !== undefined) this.#ids[local] = id;
    return id;
  }

  /** Returns whether a text was not stored before this batch. Then no bucket has it as a key. */
  isNew(id: number): boolean {
    return this.#lookUp.isNew(id);
  }

  /** Returns the database ID of a text that the batch may not contain. */
  idOf(text: string): number {
    return this.#lookUp.add(text);
  }
}
