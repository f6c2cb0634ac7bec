import { full } from './numbers.ts';

export type Meaning = 'good' | 'bad' | 'neutral';

export interface Difference {
  text: string;
  meaning: Meaning;
  direction: 'up' | 'down' | 'same';
}

/**
 * Returns the difference from the previous value, or `null` if it is meaningless.
 * @param better Direction that is an improvement; `null` for neither.
 */
export function difference(
  value: number | null,
  before: number | null | undefined,
  better: 'up' | 'down' | null,
): Difference | null {
  if (value === null || before === null || before === undefined) return null;
  if (value === before) return value === 0 ? null : { text: '0%', meaning: 'neutral', direction: 'same' };
  const direction = value > before ? 'up' : 'down';
  const meaning = better === null ? 'neutral' : better === direction ? 'good' : 'bad';
  if (before === 0) return { text: 'new', meaning, direction };
  const ratio = (Math.abs(value - before) / before) * 100;
  const rounded = ratio < 10 ? Math.round(ratio * 10) / 10 : Math.round(ratio);
  if (rounded === 0) return { text: '0%', meaning: 'neutral', direction: 'same' };
  return { text: rounded > 999 ? '>999%' : `${full(rounded)}%`, meaning, direction };
}
