import { statSync } from 'node:fs';

/** Returns which file is at a path: its device and inode; `undefined` where there is none. Throws other errors. */
export function fileAt(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** Where a write-ahead log is, beside its database. */
const walOf = (path: string) => `${path}-wal`;

/**
 * The files that a connection has open, as long as they are the ones at its path. SQLite goes on with files that were
 * removed or replaced: whatever it commits to them is gone when they are closed.
 */
export class Place {
  readonly #path: string;
  readonly #file: string | undefined;
  /** Made by the first connection that reads or writes, and there as long as one is open. */
  #wal: string | undefined;

  /** Remembers the files of a connection that was just opened. */
  constructor(path: string) {
    this.#path = path;
    this.#file = fileAt(path);
    this.#wal = fileAt(walOf(path));
  }

  /** Returns whether the database, or its write-ahead log, was removed or replaced. */
  isReplaced(): boolean {
    if (fileAt(this.#path) !== this.#file) return true;
    const wal = fileAt(walOf(this.#path));
    this.#wal ??= wal;
    return wal !== this.#wal;
  }

  /** Returns whether the write-ahead log was removed from beside its database, and nobody has begun another one. */
  isWithoutWal(): boolean {
    try {
      return fileAt(this.#path) === this.#file && fileAt(walOf(this.#path)) === undefined;
    } catch {
      // Not known: then it is left alone.
      return false;
    }
  }
}
