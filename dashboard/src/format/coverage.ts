import type { Gap } from '../api/types.ts';
import { showRange } from './dates.ts';
import { integer } from './numbers.ts';

/** Describes the hits that a summary does not include. */
export function gapText(label: string, { from, to, hits }: Gap): string {
  return `${label} do not include ${integer(hits)} ${hits === 1 ? 'hit' : 'hits'} (${showRange({ from, to })}), when the summary was not among the hooks of every app.`;
}
