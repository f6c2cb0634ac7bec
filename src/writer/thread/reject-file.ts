import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { checkDirectory } from '../../journal/owner.ts';
import type { UsageRecord } from '../../record.ts';

/** Maximum size of the reject file. Further records are only counted. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

const NEW_LINE = 10;

export class RejectFileFull extends Error {
  override readonly message = `it has reached its limit of ${MAX_FILE_BYTES} bytes`;
}

/** Appends a record that an engine refused, with the reason. Throws if it cannot be written. */
export function appendRejected(
  file: string,
  rejected: { storage: string; reason: string; record: UsageRecord },
): void {
  let fd: number | undefined;
  try {
    checkDirectory(dirname(file));
    fd = openSync(file, 'a+', 0o600);
    const { size } = fstatSync(fd);
    if (size >= MAX_FILE_BYTES) throw new RejectFileFull();
    // A full disk may have left an incomplete line before.
    const last = Buffer.alloc(1, NEW_LINE);
    if (size > 0) readSync(fd, last, 0, 1, size - 1);
    const line = Buffer.from(`${last[0] === NEW_LINE ? '' : '\n'}${JSON.stringify(rejected)}\n`);
    for (let at = 0; at < line.length; ) at += writeSync(fd, line, at);
  } catch (error) {
    if (error instanceof RejectFileFull) throw error;
    throw new TrackUsageError(
      'REJECT_FILE_UNWRITABLE',
      { value: file, reason: reasonOf(error) },
      { cause: error },
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
