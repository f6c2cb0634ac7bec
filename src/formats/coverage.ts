import type { Gap } from '../query/query-types.ts';
import { known } from '../summaries/standard.ts';
import { quantity } from './numbers.ts';

/** Describes a gap in a sentence. */
export function gapText({ summary, from, to, hits }: Gap): string {
  const missing = quantity(hits, 'hit');
  const begin = from.slice(0, 16).replace('T', ' ');
  const end = `${to.slice(0, 13).replace('T', ' ')}:59`;
  const title = known(summary)?.title ?? summary;
  return `${title} does not include ${missing} between ${begin} and ${end}, when it was not among the hooks of every app.`;
}
