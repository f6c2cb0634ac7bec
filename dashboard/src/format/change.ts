import { type Change, changeOf } from '../../../src/formats/change.ts';

export type Meaning = 'good' | 'bad' | 'neutral';

export interface Difference extends Change {
  meaning: Meaning;
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
  if (value === 0 && before === 0) return null;
  const change = changeOf(value, before);
  const isNeutral = better === null || change.direction === 'same';
  return { ...change, meaning: isNeutral ? 'neutral' : better === change.direction ? 'good' : 'bad' };
}
