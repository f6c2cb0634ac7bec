import { type Change, changeOf, changeOfRate } from '../../../src/formats/change.ts';

export type Meaning = 'good' | 'bad' | 'neutral';

export interface Difference extends Change {
  meaning: Meaning;
}

/** Kind of a measure, for its changes. */
export interface Comparable {
  /** Direction that is an improvement; `null` for neither. */
  better: 'up' | 'down' | null;
  /** True for a share of something, from 0 to 1, whose change is in percentage points. */
  isRate?: boolean;
}

/** Returns the difference from the previous value, or `null` if it is meaningless. */
export function difference(
  value: number | null,
  before: number | null | undefined,
  { better, isRate = false }: Comparable,
): Difference | null {
  if (value === null || before === null || before === undefined) return null;
  if (value === 0 && before === 0) return null;
  const change = (isRate ? changeOfRate : changeOf)(value, before);
  const isNeutral = better === null || change.isMinor;
  return { ...change, meaning: isNeutral ? 'neutral' : better === change.direction ? 'good' : 'bad' };
}
