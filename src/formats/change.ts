import { integer, percent, points } from './numbers.ts';

/** Change of a number from its previous value. */
export interface Change {
  direction: 'up' | 'down' | 'same';
  /**
   * Size of the change without its sign: `12.5%`, `×14` (from ten times the previous value), `new`, `0%`, and for rates
   * `1.2 points`.
   */
  text: string;
  /** True if the change is smaller than 1 %, or than 1 percentage point of a rate. */
  isMinor: boolean;
}

/** No change. */
export const SAME: Change = { direction: 'same', text: '0%', isMinor: true };
/** Relative change, or difference of rates, below which a change is minor. */
const MINOR = 0.01;

export function changeOf(now: number, before: number): Change {
  if (now === before) return SAME;
  const direction = now > before ? 'up' : 'down';
  if (before === 0) return { direction, text: 'new', isMinor: false };
  const ratio = now / before;
  if (ratio >= 10) return { direction, text: `×${integer(ratio)}`, isMinor: false };
  const share = Math.abs(now - before) / before;
  return { direction, text: percent(share), isMinor: share < MINOR };
}

/** Returns the change of a rate, such as the error rate, in percentage points: a ratio of ratios would mislead. */
export function changeOfRate(now: number, before: number): Change {
  if (now === before) return { ...SAME, text: points(0) };
  const difference = Math.abs(now - before);
  return { direction: now > before ? 'up' : 'down', text: points(difference), isMinor: difference < MINOR };
}
