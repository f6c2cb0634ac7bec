import type { Gap } from '../api/types.ts';
import { showRange } from './dates.ts';
import { full } from './numbers.ts';

/** Describes the requests that a summary omits from the displayed numbers. */
export function gapText(label: string, { from, to, hits }: Gap): string {
  return `${label} not kept all the time: ${full(hits)} ${hits === 1 ? 'hit is' : 'hits are'} missing, ${showRange({ from, to })}.`;
}
