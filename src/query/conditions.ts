import type { TextColumn } from '../record.ts';
import type { Condition } from '../storage/contract.ts';
import { known, STANDARD_SUMMARIES, sumBots } from '../summaries/standard.ts';
import { asStored } from '../text/text.ts';
import { invalid } from './invalid.ts';
import { BOTS, type Bots, type Filter } from './query-types.ts';

/** Checks the option `bots`. */
export function checkBots(bots: unknown): Bots {
  if (BOTS.includes(bots as Bots)) return bots as Bots;
  throw invalid('bots', bots, BOTS.map((value) => `"${value}"`).join(', '));
}

/** Returns the condition that the option `bots` adds. A bot always has a name. */
export function botsCondition(bots: Bots): Condition[] {
  if (bots === 'include') return [];
  return [{ column: 'botName', value: null, ...(bots === 'only' && { not: true }) }];
}

/** Returns whether the option `bots` leaves out a key of the summary `bots`, in which people have none. */
export function isLeftOut(summary: string, key: string | null, bots: Bots): boolean {
  return summary === sumBots.name && bots !== 'include' && (key === null) === (bots === 'only');
}

/** Returns the record column that contains a summary's keys. */
export function columnFor(summary: string, option: 'filter' | 'summary' | 'bots'): TextColumn {
  const column = columnOf(summary);
  if (column !== undefined) return column;
  const names = STANDARD_SUMMARIES.map((standard) => standard.name).join(', ');
  const where = { filter: '', summary: ' (required by filters and by bots)', bots: '' }[option];
  throw invalid(option, summary, `a summary whose keys are stored in the records${where}: ${names}`);
}

export function columnOf(name: string): TextColumn | undefined {
  const found = known(name);
  return found && 'column' in found ? found.column : undefined;
}

/** Returns the conditions of a filter. */
export function conditionsOf(filter: Filter = {}): Condition[] {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) {
    throw invalid('filter', filter, 'an object that maps summary names to keys');
  }
  return Object.entries(filter).map(([name, value]): Condition => {
    if (!isKey(value)) throw invalid(`filter.${name}`, value, 'a key, or null');
    return { column: columnFor(name, 'filter'), value: storedKey(value) };
  });
}

/** Returns whether a value is a key, or `null` for the requests without one. */
export function isKey(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** Returns a key as storages hold it. */
export function storedKey(key: string | null): string | null {
  return key === null ? null : asStored(key);
}
