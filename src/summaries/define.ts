import { show, TrackUsageError } from '../errors.ts';
import type { TextColumn } from '../record.ts';

/**
 * A rule that gives a record its key. Each storage that has it among its hooks keeps, for every hour, day and
 * month, the hits, bytes, errors and time of each key.
 */
export interface Summary {
  /** Lower case with dashes; the name in queries, the CLI and the database. */
  readonly name: string;
  /** How the documentation and messages call it, such as `sumUrls`. */
  readonly title: string;
  /** The column of the record whose value is the key. */
  readonly column: TextColumn;
}

/** Several summaries under one name. */
export interface SummaryGroup {
  readonly name: string;
  readonly title: string;
  readonly members: readonly Summary[];
}

/** What `hooks` of a storage accepts: a summary, a group, or the name of either. */
export type SummaryLike = Summary | SummaryGroup | string;

/** Turns names and groups into summaries, in order, each once. */
export function resolveSummaries(
  hooks: readonly SummaryLike[],
  known: ReadonlyMap<string, Summary | SummaryGroup>,
): Summary[] {
  const resolved = new Map<string, Summary>();
  for (const hook of hooks) {
    const found = typeof hook === 'string' ? known.get(hook) : hook;
    if (!found || typeof found !== 'object' || !('members' in found || 'column' in found)) {
      throw new TrackUsageError('SUMMARY_UNKNOWN', {
        value: show(hook),
        known: [...known.keys()].join(', '),
      });
    }
    const members = 'members' in found ? found.members : [found];
    for (const summary of members) resolved.set(summary.name, summary);
  }
  return [...resolved.values()];
}
