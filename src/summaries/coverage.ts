import type { Summary } from './define.ts';

/**
 * The summary that every storage keeps beside its hooks. The key of a record names the summaries that the record was
 * added to, so each record has exactly one: all keys together are the exact totals, and those keys that name a summary
 * are the part of the totals that the summary counts. It is committed with the sums it describes, so it stays right
 * whatever process stored a record, when, and with which hooks.
 */
export const COVERAGE: Summary = { name: 'coverage', title: 'coverage' };

const SEPARATOR = ',';

/** Returns the key of the records that are added to these summaries; `null` for none. */
export function coverageKey(summaries: readonly Summary[]): string | null {
  const names = summaries.map(({ name }) => name);
  return names.length === 0 ? null : names.sort().join(SEPARATOR);
}

/** Returns the names of the summaries that a key stands for. */
export function coveredBy(key: string | null): string[] {
  return key === null ? [] : key.split(SEPARATOR);
}
