import { randomBytes } from 'node:crypto';
import { link, lstat, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileReason, pathText, TrackUsageError } from '../../errors.ts';
import { afterUndo, closeDatabase } from '../../platform/sqlite.ts';
import { fileIdentity } from '../../storage/file-identity.ts';
import { namedError, openForReading, versionOf } from './schema.ts';

/** Time that the backup waits for another connection. In ms. */
const BUSY_TIMEOUT = 30_000;
const EXISTS = 'it exists already';

/** Result of `backup`. */
export interface Backup {
  /** Absolute path of the new file. */
  path: string;
  /** Its size, in bytes. */
  bytes: number;
}

/**
 * Copies a database to a new file, while apps write to it. The copy is the state of one point in time, and contains no
 * deleted data. The file appears at its path when it is complete and on disk. An existing file is never replaced.
 * @param path Path of the database.
 * @param destination Path of the new file.
 */
export async function backup(path: string, destination: string): Promise<Backup> {
  const target = resolve(destination);
  try {
    if (fileIdentity(path) === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: path });
    if (await exists(target)) throw unwritable(destination, EXISTS);
    const beside = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      // The copy holds the same data, so it gets the same permissions.
      const file = await open(beside, 'wx', (await stat(path)).mode & 0o777);
      try {
        copy(path, beside);
        await file.sync();
        await moveTo(beside, target);
        await syncDirectory(dirname(target));
        return { path: target, bytes: (await file.stat()).size };
      } finally {
        await file.close();
      }
    } finally {
      await rm(beside, { force: true });
    }
  } catch (cause) {
    if (cause instanceof TrackUsageError) throw cause;
    const { errno, path: at } = cause as NodeJS.ErrnoException;
    throw errno === undefined || at === path
      ? new TrackUsageError(
          'STORAGE_UNUSABLE',
          { value: `the backup of ${path} to ${destination}`, reason: fileReason(cause) },
          { cause },
        )
      : unwritable(destination, fileReason(cause), cause);
  }
}

/** Copies the database into an empty file, without its free pages. */
function copy(path: string, file: string): void {
  const database = openForReading(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
    if (versionOf(database, path) === 0) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: path });
    database.prepare('VACUUM INTO ?').run(file);
  } catch (error) {
    throw namedError(
      afterUndo(error, () => closeDatabase(database)),
      path,
    );
  }
  closeDatabase(database);
}

/** Gives a file another name, unless a file has that name. */
async function moveTo(from: string, to: string): Promise<void> {
  try {
    // Unlike renaming, linking fails if the name is taken.
    await link(from, to);
  } catch (error) {
    if (await exists(to)) throw unwritable(to, EXISTS, error);
    // Some file systems have no links. There, a file that appears in this moment would be replaced.
    await rename(from, to);
  }
}

function unwritable(path: string, reason: string, cause?: unknown): TrackUsageError {
  return new TrackUsageError('FILE_UNWRITABLE', { value: pathText(path), reason }, { cause });
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Saves the new name of a file. Windows cannot open a directory, and needs no such call. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
