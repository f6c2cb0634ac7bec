import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmdirSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { TrackUsageError } from '../errors.ts';
import { ifPresent } from './files.ts';

/*
 * Whoever can write into a journal's directory can forge records, and with a symbolic link make the app write
 * elsewhere. So everything that is used must belong to the process's own user or to root, and must not be writable by
 * everybody. Windows has neither; there, the directory's access control list decides.
 */

const WRITABLE_BY_OTHERS = 0o002;
const ACCESSIBLE_BY_GROUP_OR_OTHERS = 0o077;

/**
 * Throws `JOURNAL_UNSAFE` for a directory of journals that another user may have made or filled. Takes back the access
 * of its group: on a volume, Kubernetes gives it to `fsGroup` again and again.
 */
export function checkDirectory(directory: string): void {
  const user = process.geteuid?.();
  if (user === undefined) return;
  const stats = lstatSync(directory);
  const reason = foreignness(stats, user);
  if (reason && !ignoresOwners(dirname(directory), user)) {
    throw new TrackUsageError('JOURNAL_UNSAFE', { value: directory, reason });
  }
  if (!reason && stats.uid === user && (stats.mode & ACCESSIBLE_BY_GROUP_OR_OTHERS) !== 0) {
    chmodSync(directory, 0o700);
  }
}

/** Throws `JOURNAL_FOREIGN` for a journal that another user may have made, or put files in. */
export function checkJournal(directory: string): void {
  const user = process.geteuid?.();
  if (user === undefined) return;
  const reason = foreignFile(directory, user);
  if (reason && !ignoresOwners(dirname(directory), user)) {
    throw new TrackUsageError('JOURNAL_FOREIGN', { value: directory, reason });
  }
}

function foreignFile(directory: string, user: number): string | undefined {
  const reason = foreignness(lstatSync(directory), user);
  if (reason) return reason;
  for (const name of readdirSync(directory)) {
    const file = join(directory, name);
    // It may be deleted meanwhile: whoever adopts a journal does that.
    const stats = ifPresent(file, () => lstatSync(file));
    const reason = stats && foreignness(stats, user);
    if (reason) return `${name}: ${reason}`;
  }
  return undefined;
}

function foreignness(stats: Stats, user: number): string | undefined {
  const { uid, mode } = stats;
  if (stats.isSymbolicLink()) return 'it is a symbolic link';
  if (uid !== user && uid !== 0) return `it belongs to user ${uid}, and this process is user ${user}`;
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return 'every user can write to it';
  return undefined;
}

/** Whether a file system gives every file the same owner and mode, such as FAT, so that they say nothing. */
function ignoresOwners(directory: string, user: number): boolean {
  let probe: string;
  try {
    probe = mkdtempSync(join(directory, '.owner-'));
  } catch {
    return false;
  }
  try {
    return foreignness(lstatSync(probe), user) !== undefined;
  } finally {
    rmdirSync(probe);
  }
}
