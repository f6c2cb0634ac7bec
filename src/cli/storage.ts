import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { reasonOf, show, TrackUsageError } from '../errors.ts';
import type { StorageReader } from '../storages/contract.ts';
import { SqliteReader } from '../storages/sqlite/reader.ts';

/** `sqlite:PATH`, or a path that can only be that of an SQLite file. */
const SQLITE = /^(?:sqlite:(.+)|(.+\.(?:db|sqlite3?)))$/is;

/** What a file answers in which no app has stored anything yet. */
const EMPTY: StorageReader = {
  timeZone: async () => undefined,
  summaries: async () => [],
  sums: async () => [],
  usage: async () => [],
  close: async () => {},
};

/** Opens the storage, asks, and closes it whatever happens. */
export async function withReader<T>(storage: string, ask: (reader: StorageReader) => Promise<T>): Promise<T> {
  const reader = openReader(storage);
  try {
    return await ask(reader);
  } finally {
    await reader.close();
  }
}

/** The reading end of what `--storage` names. Creates no file. */
function openReader(storage: string): StorageReader {
  const [, prefixed, bare] = SQLITE.exec(storage) ?? [];
  const given = prefixed ?? bare;
  if (given === undefined) throw new TrackUsageError('STORAGE_UNKNOWN', { value: show(storage) });
  const path = resolve(given);
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
