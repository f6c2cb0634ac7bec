import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { type CompleteReader, complete } from '../storage/complete-reader.ts';
import type { StorageReader } from '../storage/contract.ts';
import { storageAt } from '../storages/by-url.ts';
import { SqliteReader } from '../storages/sqlite/reader.ts';

/** What a file answers in which no app has stored anything yet. */
const EMPTY: StorageReader = {
  timeZone: async () => undefined,
  summaries: async () => [],
  sums: async () => [],
  usage: async () => [],
  scan: async () => ({ records: [], next: undefined }),
  close: async () => {},
};

/** Opens the storage, asks, and closes it whatever happens. */
export async function withReader<T>(
  storage: string,
  ask: (reader: CompleteReader) => Promise<T>,
): Promise<T> {
  const reader = await openReader(storage);
  try {
    // An app that asks before anything is stored is answered with nothing; here a missing database is a slip.
    await reader.timeZone('default');
    return await ask(reader);
  } finally {
    await reader.close();
  }
}

/** The reading end of what `--storage` names. Creates no file. */
async function openReader(url: string): Promise<CompleteReader> {
  const { scheme, open, path } = storageAt(url);
  // Without a thread: the command has nothing else to do.
  return scheme === 'sqlite' ? complete(openSqlite(resolve(path))) : (await open()).reader;
}

function openSqlite(path: string): StorageReader {
  try {
    return new SqliteReader({ path });
  } catch (error) {
    if (!(error instanceof TrackUsageError)) {
      // SQLite's own words name no file.
      throw new Error(`cannot open ${path}: ${reasonOf(error)}`, { cause: error });
    }
    if (error.code === 'STORAGE_NOT_FOUND' && existsSync(path)) return EMPTY;
    throw error;
  }
}
