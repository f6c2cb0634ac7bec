import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmdirSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { TrackUsageError } from '../errors.ts';
import { ifPresent } from '../platform/files.ts';

/*
 * Checks file owners. A user who can write to a journal's directory can forge records, and can redirect the
 * app's writes with a symbolic link. So all files must belong to the process's user or to root, and must not
 * be world-writable. Windows has neither; there, the directory's access control list decides.
 */

const WRITABLE_BY_OTHERS = 0o002;
const ACCESSIBLE_BY_GROUP_OR_OTHERS = 0o077;

/**
 * Throws `JOURNAL_UNSAFE` for a directory of journals that another user may have created or written to.
 * Removes the group's access, which Kubernetes repeatedly grants to `fsGroup` on a volume.
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

/** Throws `JOURNAL_FOREIGN` for a journal that another user may have created or written to. */
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
    // An adopter may delete it meanwhile.
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

/**
 * Returns whether the file system reports the same owner and mode for every file, as FAT does. Owners then
 * mean nothing.
 */
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
