import { fileIdentity } from '../../storage/file-identity.ts';

/** Returns the path of a database's write-ahead log. */
const walOf = (path: string) => `${path}-wal`;

/**
 * Detects whether the files that a connection has open are still the ones at its path. SQLite keeps using
 * files that were removed or replaced. Anything committed to them is lost when they are closed.
 */
export class DatabaseFile {
  readonly #path: string;
  readonly #file: string | undefined;
  /**
   * Identity of the write-ahead log. The log is created by the first connection that reads or writes, and
   * exists while one is open.
   */
  #wal: string | undefined;

  /** Records the files of a connection that was just opened. */
  constructor(path: string) {
    this.#path = path;
    this.#file = fileIdentity(path);
    this.#wal = fileIdentity(walOf(path));
  }

  /** Returns whether the database or its write-ahead log was removed or replaced. */
  isReplaced(): boolean {
    const file = fileIdentity(this.#path);
    // A file that was missing when its identity was recorded was removed while it was being opened.
    if (file === undefined || file !== this.#file) return true;
    const wal = fileIdentity(walOf(this.#path));
    this.#wal ??= wal;
    return wal !== this.#wal;
  }

  /** Returns whether the write-ahead log was removed, and no new one was created. */
  isWithoutWal(): boolean {
    return fileIdentity(this.#path) === this.#file && fileIdentity(walOf(this.#path)) === undefined;
  }
}
