import type { Cursor } from '../../journal/position.ts';

/** Maximum number of positions that are kept individually; older ones are summed. */
const MOST = 1_000;

/** Records of a journal that a storage did not get. */
export interface Missed {
  /** Gone before it could take them. */
  lost: number;
  /** Refused by its engine. */
  rejected: number;
}

/**
 * What a storage did not get of one journal, by position: when the storage turns out to be an older copy of itself, what
 * follows is read again, and counted again.
 */
export class Shortfall {
  /** Totals since the journal began. */
  readonly #totals: (Missed & { position: number })[] = [];

  /** Adds what was missed of the records up to `position`. */
  add({ position }: Pick<Cursor, 'position'>, { lost, rejected }: Missed): void {
    if (lost === 0 && rejected === 0) return;
    const total = this.#at(Number.POSITIVE_INFINITY);
    this.#totals.push({ position, lost: total.lost + lost, rejected: total.rejected + rejected });
    if (this.#totals.length > MOST) this.#totals.shift();
  }

  /** Returns how many records were missed after one place and up to another. */
  between(from: Cursor, to: Cursor): number {
    const [first, last] = [this.#at(from.position), this.#at(to.position)];
    return last.lost + last.rejected - first.lost - first.rejected;
  }

  /** Forgets what was missed after a place, and returns it. */
  setBack({ position }: Cursor): Missed {
    const before = this.#at(Number.POSITIVE_INFINITY);
    while ((this.#totals.at(-1)?.position ?? 0) > position) this.#totals.pop();
    const left = this.#at(position);
    return { lost: before.lost - left.lost, rejected: before.rejected - left.rejected };
  }

  #at(position: number): Missed {
    return this.#totals.findLast((total) => total.position <= position) ?? { lost: 0, rejected: 0 };
  }
}
