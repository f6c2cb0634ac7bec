/** Summary that is kept for queries, and cannot be queried itself. */
export interface ReservedSummary {
  /** Name in the database. */
  readonly name: string;
  /** Same as `name`. */
  readonly title: string;
}

/**
 * Summary that every storage keeps in addition to its hooks. A record's key lists the summaries to which it
 * was added, so each record has exactly one key. The sum of all keys is the exact total, and the sum of the
 * keys that list a summary is the part that this summary counts. It is committed together with the sums, so
 * it is correct even if processes with different hooks share the storage.
 *
 * The keys of bots end with `|bot`, for example `remotes,urls|bot`. So the totals of bots and of people are as
 * fast to read as those of all requests.
 */
export const COVERAGE: ReservedSummary = { name: 'coverage', title: 'coverage' };

const SEPARATOR = ',';
/** End of the keys of bots. The name of a summary contains neither separator. */
const BOT = '|bot';

/** Returns the key of records that are added to these summaries; `null` for people's records in none. */
export function coverageKey(summaries: readonly { name: string }[], isBot: boolean): string | null {
  const names = summaries.map(({ name }) => name);
  const key = names.sort().join(SEPARATOR);
  if (isBot) return `${key}${BOT}`;
  return key === '' ? null : key;
}

/** Returns the names of the summaries in a key. */
export function coveredBy(key: string | null): string[] {
  const names = key !== null && isOfBots(key) ? key.slice(0, -BOT.length) : (key ?? '');
  return names === '' ? [] : names.split(SEPARATOR);
}

/** Returns whether a key is that of bots. */
export function isOfBots(key: string | null): boolean {
  return key?.endsWith(BOT) ?? false;
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
export const ERASED: ReservedSummary = { name: 'erased', title: 'erased' };

/**
 * Summary that counts the batches that changed sums of a month other than by records: rebuilds, and deletions of
 * people. Each such batch adds 1 hit to the key `null` of the month. Readers that cache sums then read them again.
 */
export const CHANGES = { name: 'changes', title: 'changes' };

/** Names of the summaries that count no keys of requests. No other summary may have them. */
export const RESERVED: readonly string[] = [COVERAGE.name, ERASED.name, CHANGES.name];
