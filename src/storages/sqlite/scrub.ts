import type { DatabaseSync } from 'node:sqlite';

/** Time that a statement waits for other connections in ms. A query may read for up to 30 s. */
const BUSY_TIMEOUT = 60_000;

/**
 * Rewrites the file and truncates the write-ahead log. Zeroing deleted rows (`secure_delete`) is not enough: when a
 * page is split, copies of the rows that moved stay in the unused part of the old page.
 */
export function scrub(database: DatabaseSync, timeout: number = BUSY_TIMEOUT): void {
  const before = Object.values(database.prepare('PRAGMA busy_timeout').get()!)[0];
  database.exec(`PRAGMA busy_timeout = ${timeout}`);
  try {
    // A file of an older release gets this mode when it is rewritten.
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM');
    const { busy } = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
    if (busy !== 0)
      throw new Error('the write-ahead log cannot be truncated while another connection uses it');
  } finally {
    database.exec(`PRAGMA busy_timeout = ${before}`);
  }
}
