import { type ErrorCode, reasonOf, TrackUsageError } from '../errors.ts';

/** Error codes for a journal's files. Only the affected journal is retried; others continue. */
const CODES = new Set<ErrorCode>(['JOURNAL_UNREADABLE', 'JOURNAL_UNDELETED']);

/** Returns whether an error concerns the files of one journal, as thrown by `ifPresent` and `removing`. */
export function isFileProblem(error: unknown): error is TrackUsageError {
  return error instanceof TrackUsageError && CODES.has(error.code);
}

/** Returns whether a file system error means that the file does not exist. */
export function isAbsence(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Calls `read`; returns `undefined` if the file does not exist, and throws `JOURNAL_UNREADABLE` for other errors. */
export function ifPresent<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw unreadable(path, error);
  }
}

export function unreadable(path: string, cause: unknown): TrackUsageError {
  return new TrackUsageError('JOURNAL_UNREADABLE', { value: path, reason: reasonOf(cause) }, { cause });
}

/** Calls `remove`; ignores a file that does not exist, and throws `JOURNAL_UNDELETED` for other errors. */
export function removing(path: string, remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (isAbsence(error)) return;
    throw new TrackUsageError(
      'JOURNAL_UNDELETED',
      { value: path, reason: reasonOf(error) },
      { cause: error },
    );
  }
}
