import { appendFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { UsageRecord } from '../record.ts';

/** Rejected records beyond this size of their file are only counted. In bytes. */
const REJECT_FILE_LIMIT = 64 * 1024 * 1024;

/** Sets aside a record that an engine refused, with the reason; returns the file. Never throws. */
export function setAside(
  directory: string,
  rejected: { storage: string; reason: string; record: UsageRecord },
): string {
  const file = join(directory, 'rejected.ndjson');
  try {
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (size < REJECT_FILE_LIMIT) appendFileSync(file, `${JSON.stringify(rejected)}\n`, { mode: 0o600 });
  } catch {
    // Counted all the same.
  }
  return file;
}
