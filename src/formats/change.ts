import { integer, percent } from './numbers.ts';

/** Change of a number from its previous value. */
export interface Change {
  direction: 'up' | 'down' | 'same';
  /** Size of the change without its sign: `12.5%`, `×14` (from ten times the previous value), `new`, `0%`. */
  text: string;
}

/** No change. */
export const SAME: Change = { direction: 'same', text: '0%' };

export function changeOf(now: number, before: number): Change {
  if (now === before) return SAME;
  const direction = now > before ? 'up' : 'down';
  if (before === 0) return { direction, text: 'new' };
  const ratio = now / before;
  if (ratio >= 10) return { direction, text: `×${integer(ratio)}` };
  return { direction, text: percent(Math.abs(now - before) / before) };
}
