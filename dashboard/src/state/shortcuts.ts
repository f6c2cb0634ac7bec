import type { Bots, RangeName } from '../api/types.ts';
import { neighborOf, todayIn } from './ranges.ts';
import { BOTS_LABELS, firstPages, RANGE_LABELS, type View, withRange } from './view.ts';

/** Key of each range. */
export const RANGE_KEYS = {
  '1h': 'h',
  '24h': 'u',
  today: 'd',
  yesterday: 'e',
  '7d': 'w',
  '30d': 't',
  '90d': 'q',
  month: 'm',
  'last-month': 'j',
  year: 'y',
  '12mo': 'l',
  all: 'a',
} as const satisfies Record<RangeName, string>;

/** Other keys, and what they do. */
export const KEYS = {
  p: 'Previous range',
  n: 'Next range',
  c: 'Compare, or do not compare',
  b: 'All requests, people or bots',
  v: 'Pause or resume live updates',
  x: 'Clear filters',
  '/': 'Search the first list',
  '?': 'Keyboard shortcuts',
} as const;

/** Returns the view after a key, or `undefined` for a key without an effect on the view. */
export function viewAfter(key: string, view: View, timeZone: string, now?: number): View | undefined {
  const [range] = Object.entries(RANGE_KEYS).find(([, letter]) => letter === key) ?? [];
  if (range !== undefined && range in RANGE_LABELS) return withRange(view, range as RangeName);
  if (key === 'p' || key === 'n') {
    const next = neighborOf(view.range, key === 'p' ? -1 : 1, todayIn(timeZone, now));
    return next === null ? undefined : withRange(view, next);
  }
  if (key === 'c') return { ...view, compare: view.compare === false };
  if (key === 'x' && view.filters.length > 0) return { ...firstPages(view), filters: [] };
  if (key !== 'b') return undefined;
  const all = Object.keys(BOTS_LABELS) as Bots[];
  return { ...firstPages(view), bots: all[(all.indexOf(view.bots) + 1) % all.length]! };
}
