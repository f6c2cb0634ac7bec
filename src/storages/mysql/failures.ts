import { RowTooLarge } from './packets.ts';

/** Numbers of the servers' errors. */
export const DUPLICATE = 1062;
export const TABLE_EXISTS = 1050;
export const UNKNOWN_DATABASE = 1049;
/** A table, and a database, that are not there (any more). */
const MISSING = new Set([1146, UNKNOWN_DATABASE]);
/** A deadlock, and a lock that somebody held for long. */
const CONFLICTS = new Set([1213, 1205]);
/** Values that are refused under no SQLSTATE that says so: a character, and a check of the user's. */
const REFUSALS = new Set([1366, 3819]);
/** Classes of SQLSTATE that say that a value is refused: data exceptions, broken constraints. */
const REFUSING = new Set(['22', '23']);

export function numberOf(error: unknown): number | undefined {
  return (error as { errno?: number }).errno;
}

/** Whether the same may succeed at once when it is tried again. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(numberOf(error) ?? 0);
}

/** Whether what was set up is gone. */
export function isMissing(error: unknown): boolean {
  return MISSING.has(numberOf(error) ?? 0);
}

/** See `StorageWriter.refuses`. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof RowTooLarge) return true;
  const { sqlState } = error as { sqlState?: unknown };
  if (typeof sqlState !== 'string') return false;
  return REFUSALS.has(numberOf(error) ?? 0) || REFUSING.has(sqlState.slice(0, 2));
}
