import { RowTooLarge } from './packets.ts';

/** Error numbers of the servers. */
export const DUPLICATE = 1062;
export const TABLE_EXISTS = 1050;
export const TABLE_DENIED = 1142;
export const UNKNOWN_DATABASE = 1049;
/** Error numbers of a missing table or database. */
const MISSING = new Set([1146, UNKNOWN_DATABASE]);
/** Error numbers of a deadlock and a lock timeout. */
const CONFLICTS = new Set([1213, 1205]);
/**
 * Error numbers of refused values whose SQLSTATE does not say so: an invalid character, and a check
 * constraint.
 */
const REFUSALS = new Set([1366, 3819]);
/** Classes of SQLSTATE for a refused value: data exceptions and constraint violations. */
const REFUSING = new Set(['22', '23']);

export function numberOf(error: unknown): number | undefined {
  return (error as { errno?: number }).errno;
}

/** Returns whether an immediate retry may succeed. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(numberOf(error) ?? 0);
}

/** Returns whether the schema is missing. */
export function isMissing(error: unknown): boolean {
  return MISSING.has(numberOf(error) ?? 0);
}

/** Implements `StorageWriter.refuses`. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof RowTooLarge) return true;
  const { sqlState } = error as { sqlState?: unknown };
  if (typeof sqlState !== 'string') return false;
  return REFUSALS.has(numberOf(error) ?? 0) || REFUSING.has(sqlState.slice(0, 2));
}
