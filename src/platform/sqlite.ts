import type { DatabaseSync } from 'node:sqlite';
import { reasonOf } from '../errors.ts';

type Sqlite = typeof import('node:sqlite');

let loaded: Sqlite | undefined;

/**
 * Returns `node:sqlite`, without the ExperimentalWarning of older Node versions. Other warnings are
 * unaffected.
 */
export function sqlite(): Sqlite {
  if (loaded) return loaded;
  const emitWarning = process.emitWarning;
  process.emitWarning = () => {};
  try {
    // Needs no URL of this file, which a bundle may not have.
    loaded = process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
  return loaded;
}

/** Closes a database, unless it is already closed. (`isOpen` was added in Node 22.15.) */
export function closeDatabase(database: DatabaseSync): void {
  try {
    database.close();
  } catch (error) {
    if (!isClosed(error)) throw error;
  }
}

/** Databases with a transaction that could not be rolled back. */
const unsettled = new WeakSet<DatabaseSync>();

/**
 * Rolls back a transaction, unless SQLite has done so or the database is closed. If that fails, the
 * transaction may still be open: `settle` tries again. (`isTransaction` was added in Node 22.16.)
 */
export function rollBack(database: DatabaseSync): void {
  try {
    database.exec('ROLLBACK');
  } catch (error) {
    if (!isClosed(error) && !/no transaction is active/.test(reasonOf(error))) {
      unsettled.add(database);
      throw error;
    }
  }
  unsettled.delete(database);
}

/**
 * Rolls back a transaction that `rollBack` could not. Call before anything is read: within that transaction, rows that
 * were never committed look as if they were.
 */
export function settle(database: DatabaseSync): void {
  if (unsettled.has(database)) rollBack(database);
}

/** Returns the error to throw after `undo` has cleaned up: the one given, and with it the one of `undo`. */
export function afterUndo(error: unknown, undo: () => void): unknown {
  try {
    undo();
    return error;
  } catch (second) {
    return new AggregateError(
      [error, second],
      `${reasonOf(error)}; then cleaning up failed: ${reasonOf(second)}`,
      { cause: error },
    );
  }
}

function isClosed(error: unknown): boolean {
  return (error as { code?: string }).code === 'ERR_INVALID_STATE';
}
