import type { Gap } from '../query/query-types.ts';
import { known } from '../summaries/standard.ts';
import { whole } from './numbers.ts';

/** Describes a gap in a sentence. */
export function gapText({ summary, from, to, hits }: Gap): string {
  const requests = `${whole(hits)} ${hits === 1 ? 'request' : 'requests'}`;
  const begin = from.slice(0, 16).replace('T', ' ');
  const end = `${to.slice(0, 13).replace('T', ' ')}:59`;
  const title = known(summary)?.title ?? summary;
  return `${title} does not count ${requests} between ${begin} and ${end}: it was not among the hooks of every app then.`;
}
