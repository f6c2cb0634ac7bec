import type { Gap } from '../api/types.ts';
import { showRange } from './dates.ts';
import { full } from './numbers.ts';

/** Says what a summary leaves out of the numbers that are shown. */
export function gapText(label: string, { from, to, hits }: Gap): string {
  return `${label} not kept all the time: ${full(hits)} ${hits === 1 ? 'hit is' : 'hits are'} missing, ${showRange({ from, to })}.`;
}
