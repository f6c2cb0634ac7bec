import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommanderError } from 'commander';
import { fileReason, TrackUsageError } from '../errors.ts';
import { type CompleteReader, complete } from '../storage/complete-reader.ts';
import type { StorageReader } from '../storage/contract.ts';
import { storageAt } from '../storages/by-url.ts';
import { SqliteReader } from '../storages/sqlite/reader.ts';
import { NothingFound, OutputClosed, Unsuccessful } from './io.ts';

/** Reader of a file in which no app has stored anything yet. */
const EMPTY: StorageReader = {
  timeZone: async () => undefined,
  summaries: async () => [],
  sums: async () => [],
  usage: async () => [],
  scan: async () => ({ records: [], next: undefined }),
  matchingRecords: async () => ({ records: [], next: undefined }),
  close: async () => {},
};

/** Opens the storage, runs the query, and always closes it. */
export function withReader<T>(storage: string, query: (reader: CompleteReader) => Promise<T>): Promise<T> {
  return named(storageAt(storage).label, async () => {
    const reader = await openReader(storage);
    try {
      // A query before anything is stored normally has an empty result. Here a missing database is an error.
      await reader.timeZone('default');
      return await query(reader);
    } finally {
      await reader.close();
    }
  });
}

/** Adds the name of what failed to the errors of drivers and of the file system, which do not name the storage. */
export async function named<T>(label: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    const isNamed = [TrackUsageError, CommanderError, OutputClosed, NothingFound, Unsuccessful];
    const isFault = [TypeError, RangeError, ReferenceError, SyntaxError];
    if ([...isNamed, ...isFault].some((kind) => cause instanceof kind)) throw cause;
    throw new TrackUsageError('STORAGE_UNUSABLE', { value: label, reason: fileReason(cause) }, { cause });
  }
}

/** Opens the reading end of the storage named by `--storage`. Creates no database. */
async function openReader(url: string): Promise<CompleteReader> {
  const { scheme, open, path } = storageAt(url);
  // Without a thread, because the command does nothing else meanwhile.
  return scheme === 'sqlite' ? complete(openSqlite(resolve(path))) : (await open()).reader;
}

function openSqlite(path: string): StorageReader {
  try {
    return new SqliteReader({ path });
  } catch (error) {
    if ((error as TrackUsageError).code === 'STORAGE_NOT_FOUND' && existsSync(path)) return EMPTY;
    throw error;
  }
}
