import { randomBytes } from 'node:crypto';
import { chmod, open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import { reasonOf } from '../errors.ts';

/**
 * Writes a file atomically: concurrent readers, and readers after a failure, get the old contents. Writes
 * directly to other types of file, for example pipes.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  try {
    // Replaces the target of a link, not the link.
    const target = (await realpath(path).catch(absent)) ?? resolve(path);
    const old = await stat(target).catch(absent);
    if (old && !old.isFile()) return await writeFile(target, text);
    const beside = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      const file = await open(beside, 'wx');
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      if (old) await chmod(beside, old.mode);
      await rename(beside, target);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    const reason = errno === undefined ? reasonOf(cause) : `${getSystemErrorMessage(errno)} (${code})`;
    throw new Error(`cannot write ${path}: ${reason}`, { cause });
  }
}

/** Treats only a path that does not exist as absent; any other failure is an error. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
