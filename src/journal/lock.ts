import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { closeDatabase, sqlite } from '../sqlite.ts';

const FILE = 'lock.db';

/**
 * The right to a journal's directory, held as an exclusive transaction on a small SQLite file: the kernel lets
 * it go when the process dies, however it dies, and a rival is told at once. Never open that file through `fs`
 * in the holding process: closing it would drop the lock (POSIX locks belong to a process and a file).
 */
export class DirectoryLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** The lock, or `undefined` where another process or thread holds it. Throws where it cannot be written. */
  static take(directory: string): DirectoryLock | undefined {
    const database = new (sqlite().DatabaseSync)(join(directory, FILE));
    try {
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      return new DirectoryLock(database);
    } catch (error) {
      database.close();
      // 5: SQLITE_BUSY
      if ((error as { errcode?: number }).errcode === 5) return undefined;
      throw error;
    }
  }

  static existsIn(directory: string): boolean {
    return existsSync(join(directory, FILE));
  }

  release(): void {
    closeDatabase(this.#database);
  }
}
