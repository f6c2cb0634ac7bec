import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { isAbsence } from '../platform/files.ts';
import { afterUndo, closeDatabase, rollBack, sqlite } from '../platform/sqlite.ts';

const FILE = 'lock.db';
const SQLITE_BUSY = 5;

/**
 * Ownership of a journal's directory, as an exclusive transaction on a small SQLite file. The kernel releases
 * it when the process dies, however it dies. A competing process is refused immediately.
 *
 * On POSIX systems, the process loses the lock when it closes any other descriptor of the file, for example
 * because the app copies its data directory. So the holder renews the lock, and the heartbeat protects the
 * journal until then.
 */
export class DirectoryLock {
  readonly #file: string;
  readonly #inode: number;
  readonly #database: DatabaseSync;

  private constructor(file: string, database: DatabaseSync) {
    this.#file = file;
    this.#inode = statSync(file).ino;
    this.#database = database;
  }

  /**
   * Returns the lock, or `undefined` if another process or thread holds it, or is deleting the directory. Throws if it
   * cannot be written.
   */
  static take(directory: string): DirectoryLock | undefined {
    const file = join(directory, FILE);
    const database = new (sqlite().DatabaseSync)(file);
    try {
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      return new DirectoryLock(file, database);
    } catch (error) {
      const failure = afterUndo(error, () => closeDatabase(database));
      if ((failure as { errcode?: number }).errcode === SQLITE_BUSY || isAbsence(failure)) return undefined;
      throw failure;
    }
  }

  /**
   * Renews the lock, in case it was dropped. Returns false if another process holds it now, or if its file was
   * deleted or replaced.
   */
  renew(): boolean {
    if (statSync(this.#file, { throwIfNoEntry: false })?.ino !== this.#inode) return false;
    rollBack(this.#database);
    try {
      this.#database.exec('BEGIN EXCLUSIVE');
      return true;
    } catch (error) {
      if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
      throw error;
    }
  }

  release(): void {
    closeDatabase(this.#database);
  }
}
