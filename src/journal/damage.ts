import { HEAD_BYTES, ORDINAL_MASK, type RecordDecoder } from './codec.ts';
import type { Position } from './position.ts';

/**
 * A part of a segment without intact records. If an intact record, another segment or the live process
 * follows, the number of lost records follows from the ordinals. At the end of a dead process's journal, this
 * class counts the heads of damaged records instead. A record longer than its file was never complete. It does
 * not count as damage, because its response was not sent.
 */
export class Damage {
  readonly from: Position;
  /** Number of damaged records recognized. 0 unless the damage may reach the end of the journal. */
  records = 0;
  readonly #end: number | undefined;
  /** End of the last recognized record, where the next head is expected. */
  #next: number;

  /** @param end End of the journal, for damage that may reach it. */
  constructor({ position, ordinal }: Position, end: number | undefined) {
    this.from = { position, ordinal };
    this.#end = end;
    this.#next = position;
  }

  /** Looks for a head at `offset` of the decoder's bytes, which is at `position` of the journal. */
  look(decoder: RecordDecoder, offset: number, position: number, length: number): void {
    if (this.#end === undefined || offset + HEAD_BYTES > length) return;
    const size = decoder.declaredSizeAt(offset);
    const isComplete = size > 0 && position + size <= this.#end;
    const before = (decoder.ordinalAt(offset) - this.from.ordinal) & ORDINAL_MASK;
    const isInRange = before * HEAD_BYTES <= position - this.from.position;
    if (isComplete && before >= this.records && isInRange) {
      this.records = before + 1;
      this.#next = position + size;
    } else if (position === this.#next) {
      // Either size in this head may be damaged. A size that its texts allow is assumed to be correct.
      const minSize = decoder.minSizeAt(offset);
      const isPossible = size > 0 && size <= 3 * minSize;
      const end = position + ((minSize + 7) & ~7);
      const isWhole = end === this.#end && decoder.isAscii(offset + HEAD_BYTES, offset + minSize);
      const isExpected = before === this.records && (isWhole || (end <= this.#end && !isPossible));
      if (!isComplete && !isExpected) return;
      this.records += 1;
      this.#next = isComplete ? position + size : end;
    }
  }
}
