import { randomBytes } from 'node:crypto';
import { chmod, type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileReason, pathText, TrackUsageError } from '../errors.ts';

/** Writes a text to a file like `replaceFileWith`. */
export function replaceFile(path: string, text: string): Promise<void> {
  return replaceFileWith(path, (write) => write(text));
}

/**
 * Writes a file atomically: concurrent readers, and readers after a failure, get the old contents. Writes
 * directly to other types of file, for example pipes.
 * @param produce Writes the contents in pieces. Its errors are passed on unchanged.
 */
export async function replaceFileWith<T>(
  path: string,
  produce: (write: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  const produceIn = async (file: FileHandle) => {
    try {
      return await produce(async (text) => {
        try {
          await file.writeFile(text);
        } catch (error) {
          failure = error;
          throw error;
        }
      });
    } catch (error) {
      if (error !== failure) throw new ProducerFailed(error);
      throw error;
    }
  };
  try {
    // Replaces the target of a link, not the link.
    const target = (await realpath(path).catch(absent)) ?? resolve(path);
    const old = await stat(target).catch(absent);
    if (old && !old.isFile()) {
      const file = await open(target, 'w');
      try {
        return await produceIn(file);
      } finally {
        await file.close();
      }
    }
    const beside = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      const file = await open(beside, 'wx');
      let result: T;
      try {
        result = await produceIn(file);
        await file.sync();
      } finally {
        await file.close();
      }
      if (old) await chmod(beside, old.mode);
      await rename(beside, target);
      return result;
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  } catch (cause) {
    if (cause instanceof ProducerFailed) throw cause.reason;
    throw new TrackUsageError(
      'FILE_UNWRITABLE',
      { value: pathText(path), reason: fileReason(cause) },
      { cause },
    );
  }
}

/** Treats only a path that does not exist as absent; any other failure is an error. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** Wraps an error that is not one of the file. */
class ProducerFailed extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the contents could not be produced');
    this.reason = reason;
  }
}
