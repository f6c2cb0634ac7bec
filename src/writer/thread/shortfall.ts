import type { Position } from '../../journal/position.ts';

/** Maximum number of positions that are kept individually; older ones are summed. */
const MAX_POSITIONS = 1_000;

/** Numbers of records of a journal that a storage did not get. */
export interface MissedRecords {
  /** Number of records lost before they could be stored. */
  lost: number;
  /** Number of records that its engine refused. */
  rejected: number;
}

/**
 * Records of one journal that a storage did not get, by position. If the storage is restored from an older
 * copy, the following records are read and counted again.
 */
export class Shortfall {
  /** Totals since the journal began. */
  readonly #totals: (MissedRecords & { position: number })[] = [];

  /** Adds the records missed up to `position`. */
  add({ position }: Pick<Position, 'position'>, { lost, rejected }: MissedRecords): void {
    if (lost === 0 && rejected === 0) return;
    const total = this.#at(Number.POSITIVE_INFINITY);
    this.#totals.push({ position, lost: total.lost + lost, rejected: total.rejected + rejected });
    if (this.#totals.length > MAX_POSITIONS) this.#totals.shift();
  }

  /** Returns the number of records missed between two positions. */
  between(from: Position, to: Position): number {
    const [first, last] = [this.#at(from.position), this.#at(to.position)];
    return last.lost + last.rejected - first.lost - first.rejected;
  }

  /** Removes and returns the records missed after a position. */
  rollBack({ position }: Position): MissedRecords {
    const before = this.#at(Number.POSITIVE_INFINITY);
    while ((this.#totals.at(-1)?.position ?? 0) > position) this.#totals.pop();
    const left = this.#at(position);
    return { lost: before.lost - left.lost, rejected: before.rejected - left.rejected };
  }

  #at(position: number): MissedRecords {
    return this.#totals.findLast((total) => total.position <= position) ?? { lost: 0, rejected: 0 };
  }
}
