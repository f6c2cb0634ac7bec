import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { TrackUsageError } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { readFully } from '../../journal/segment.ts';
import { afterUndo, closeDatabase, rollBack, settle, sqlite } from '../../platform/sqlite.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { accessLogLines } from './format.ts';
import type { AccessLogOptions } from './index.ts';

/** `PRAGMA application_id` that marks a file as the positions of an access log: "TUal". */
const APPLICATION_ID = 0x5455616c;
/** Maximum time to wait for another process's batch. */
const BUSY_TIMEOUT_MS = 2_000;
/** Mode of the file and the position files, readable by the group. */
const MODE = 0o640;

/** A batch that is about to be appended. After a crash, the file's contents at `start` show how much was appended. */
interface Pending extends Position {
  journal: string;
  inode: string;
  /** Size of the file before the batch, in bytes. */
  start: number;
  lines: Uint8Array;
}

/**
 * Appends batches to the file, each exactly once. A small database beside it stores the positions and the
 * batch about to be appended. If a process dies after appending a part, the next one appends the rest. A
 * process holds the database's lock while it uses the file. Data written by other programs is never
 * truncated.
 */
export class AccessLogSink implements StorageWriter {
  readonly #options: AccessLogOptions;
  readonly #context: WriterContext;
  readonly #database: DatabaseSync;

  constructor(options: AccessLogOptions, context: WriterContext) {
    this.#options = options;
    this.#context = context;
    const path = `${options.path}.positions`;
    createAs(path, MODE);
    this.#database = new (sqlite().DatabaseSync)(path);
    try {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      this.#open(path);
    } catch (error) {
      throw afterUndo(error, () => closeDatabase(this.#database));
    }
  }

  async position(journal: string): Promise<Position | undefined> {
    return this.#transaction(() => {
      this.#settle();
      return this.#position(journal);
    });
  }

  async apply({ journal, from, to, records }: Batch): Promise<boolean> {
    const { format } = this.#options;
    const lines = Buffer.from(accessLogLines(records, format, this.#context.timeZone));
    const announced = this.#transaction(() => {
      this.#settle();
      if ((this.#position(journal)?.position ?? 0) !== from.position) return false;
      this.#withFile((_fd, inode, start) =>
        this.#database
          .prepare('INSERT INTO pending VALUES (1, ?, ?, ?, ?, ?, ?)')
          .run(journal, to.position, to.ordinal, inode, start, lines),
      );
      return true;
    });
    if (!announced) return false;
    return this.#transaction(() => {
      // Another process may have stored it first.
      this.#settle();
      return this.#position(journal)?.position === to.position;
    });
  }

  async forget(journal: string): Promise<void> {
    settle(this.#database);
    this.#database.prepare('DELETE FROM journals WHERE id = ?').run(journal);
  }

  /** Returns false: any text can be written, and a full disk is retried. */
  refuses(): boolean {
    return false;
  }

  async close(): Promise<void> {
    closeDatabase(this.#database);
  }

  #open(path: string): void {
    const pragma = (name: string) =>
      Number(Object.values(this.#database.prepare(`PRAGMA ${name}`).get()!)[0]);
    const tables = Number(this.#database.prepare('SELECT count(*) AS n FROM sqlite_master').get()!.n);
    if (tables > 0 && pragma('application_id') !== APPLICATION_ID) {
      throw new TrackUsageError('STORAGE_FOREIGN', { value: path });
    }
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${this.#context.durable ? 'FULL' : 'NORMAL'};
      BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS journals (
        id TEXT PRIMARY KEY, position INTEGER NOT NULL, ordinal INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS pending (
        id INTEGER PRIMARY KEY, journal TEXT NOT NULL, position INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        inode TEXT NOT NULL, start INTEGER NOT NULL, lines BLOB NOT NULL
      );
      PRAGMA application_id = ${APPLICATION_ID};
      COMMIT`);
  }

  #transaction<T>(work: () => T): T {
    settle(this.#database);
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      throw afterUndo(error, () => rollBack(this.#database));
    }
  }

  /**
   * Appends the missing part of the pending batch. Gives it up if the file does not show how much is missing.
   */
  #settle(): void {
    const pending = this.#pending();
    if (!pending) return;
    const { start, lines } = pending;
    const appended = this.#withFile((fd, inode) => {
      if (inode !== pending.inode) return false;
      const bytes = Buffer.alloc(lines.length);
      const found = bytes.subarray(0, readFully(fd, bytes, bytes.length, start));
      // Another program wrote there.
      if (!found.equals(lines.subarray(0, found.length))) return false;
      append(fd, lines.subarray(found.length), this.#context.durable);
      return true;
    });
    if (appended) this.#finish(pending);
    else this.#database.exec('DELETE FROM pending');
  }

  #finish({ journal, position, ordinal }: Pending): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO journals (id, position, ordinal) VALUES (?, ?, ?)')
      .run(journal, position, ordinal);
    this.#database.exec('DELETE FROM pending');
  }

  #pending(): Pending | undefined {
    return this.#database.prepare('SELECT * FROM pending').get() as unknown as Pending | undefined;
  }

  #position(journal: string): Position | undefined {
    return this.#database.prepare('SELECT position, ordinal FROM journals WHERE id = ?').get(journal) as
      | Position
      | undefined;
  }

  /** Opens the file for each batch, because it may have been renamed since the last one. */
  #withFile<T>(use: (fd: number, inode: string, size: number) => T): T {
    const fd = openSync(this.#options.path, 'a+', MODE);
    try {
      const { ino, size } = fstatSync(fd, { bigint: true });
      return use(fd, String(ino), Number(size));
    } finally {
      closeSync(fd);
    }
  }
}

/**
 * Creates a file with a mode. SQLite would make it world-readable, and it contains lines of the access log.
 */
function createAs(path: string, mode: number): void {
  try {
    closeSync(openSync(path, 'wx', mode));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function append(fd: number, bytes: Uint8Array, durable: boolean): void {
  const before = fstatSync(fd).size;
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(fd, bytes, written);
    if (durable) fdatasyncSync(fd);
  } catch (error) {
    // A full disk accepted a part, which will be written again.
    if (fstatSync(fd).size === before + written) ftruncateSync(fd, before);
    throw error;
  }
}
