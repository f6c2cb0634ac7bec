import { HEAD_BYTES, ORDINAL_MASK, type RecordDecoder } from './codec.ts';
import type { Cursor } from './position.ts';

/**
 * A stretch of a segment that holds no intact record. Where an intact record, another segment or the living process
 * follows, their ordinals tell how many records it took. At the tail of a dead process's journal nothing follows: there
 * this class counts the heads of damaged records. A record that is longer than its file was never complete, and is no
 * damage: its response was not sent.
 */
export class Damage {
  readonly from: Cursor;
  /** Damaged records that were recognized; 0 unless the damage may reach the tail. */
  records = 0;
  readonly #end: number | undefined;
  /** Where the last recognized record ends, and the next head is expected. */
  #next: number;

  /** @param end Where the journal ends, for damage that may reach its tail. */
  constructor({ position, ordinal }: Cursor, end: number | undefined) {
    this.from = { position, ordinal };
    this.#end = end;
    this.#next = position;
  }

  /** Looks for a head at `offset` of the decoder's bytes, which is at `position` of the journal. */
  look(decoder: RecordDecoder, offset: number, position: number, length: number): void {
    if (this.#end === undefined || offset + HEAD_BYTES > length) return;
    const size = decoder.saidSizeAt(offset);
    const isComplete = size > 0 && position + size <= this.#end;
    const before = (decoder.ordinalAt(offset) - this.from.ordinal) & ORDINAL_MASK;
    const mayHold = before * HEAD_BYTES <= position - this.from.position;
    if (isComplete && before >= this.records && mayHold) {
      this.records = before + 1;
      this.#next = position + size;
    } else if (position === this.#next) {
      // One of the two numbers in this head may be damaged; a size that its texts allow is taken to be right.
      const least = decoder.leastSizeAt(offset);
      const isPossible = size > 0 && size <= 3 * least;
      const end = position + ((least + 7) & ~7);
      const isWhole = end === this.#end && decoder.isAscii(offset + HEAD_BYTES, offset + least);
      const isExpected = before === this.records && (isWhole || (end <= this.#end && !isPossible));
      if (!isComplete && !isExpected) return;
      this.records += 1;
      this.#next = isComplete ? position + size : end;
    }
  }
}
