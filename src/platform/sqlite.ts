import type { DatabaseSync } from 'node:sqlite';

type Sqlite = typeof import('node:sqlite');

let loaded: Sqlite | undefined;

/** `node:sqlite`, without the ExperimentalWarning that older lines print; other warnings pass. */
export function sqlite(): Sqlite {
  if (loaded) return loaded;
  const emitWarning = process.emitWarning;
  process.emitWarning = () => {};
  try {
    // Needs no address of this file, which a bundle may not have.
    loaded = process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
  return loaded;
}

/** Closes a database that may be closed already. (`isOpen` came with Node 22.15.) */
export function closeDatabase(database: DatabaseSync): void {
  try {
    database.close();
  } catch {
    // It was closed.
  }
}

/** Does what may fail without harm. */
export function tryTo(database: DatabaseSync, sql: string): void {
  try {
    database.exec(sql);
  } catch {
    // The database is as it was.
  }
}

/** Takes back a transaction that SQLite may have taken back itself. (`isTransaction` came with Node 22.16.) */
export function rollBack(database: DatabaseSync): void {
  try {
    database.exec('ROLLBACK');
  } catch {
    // There was none left.
  }
}
