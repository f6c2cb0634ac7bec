/**
 * Summary that every storage keeps in addition to its hooks. A record's key lists the summaries to which it
 * was added, so each record has exactly one key. The sum of all keys is the exact total, and the sum of the
 * keys that list a summary is the part that this summary counts. It is committed together with the sums, so
 * it is correct even if processes with different hooks share the storage.
 */
export const COVERAGE = { name: 'coverage', title: 'coverage' };

const SEPARATOR = ',';

/** Returns the key of records that are added to these summaries; `null` for none. */
export function coverageKey(summaries: readonly { name: string }[]): string | null {
  const names = summaries.map(({ name }) => name);
  return names.length === 0 ? null : names.sort().join(SEPARATOR);
}

/** Returns the names of the summaries in a key. */
export function coveredBy(key: string | null): string[] {
  return key === null ? [] : key.split(SEPARATOR);
}

/**
 * Key of the requests whose own key did not fit into the budget of its bucket. An own key is never empty: an empty
 * text is stored as `null`.
 */
export const OTHERS = '';

/**
 * Summary that counts the records that were deleted with a person. They remain in the sums, so buckets with such
 * records can no longer be compared with the records. All keys are `null`.
 */
export const ERASED = { name: 'erased', title: 'erased' };

/** Names that no other summary may have. */
export const RESERVED: readonly string[] = [COVERAGE.name, ERASED.name];
