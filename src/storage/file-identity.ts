import { statSync } from 'node:fs';

/**
 * Returns the identity of the file at a path: its device and inode. Returns `undefined` if there is none. Throws other
 * errors. The inode of a removed file may be reused unless the file is kept open.
 */
export function fileIdentity(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
