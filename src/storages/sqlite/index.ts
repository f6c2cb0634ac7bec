/**
 * Storage in an SQLite file.
 * @module track-usage/sqlite
 */
import { resolve } from 'node:path';
import { show, TrackUsageError } from '../../errors.ts';
import { checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import type { SqliteOptions } from './options.ts';

/** Options of a `SqliteStorage`. All are optional. */
export type SqliteStorageOptions = StorageOptions;

/**
 * Stores records and summaries in a SQLite file (WAL mode), through `node:sqlite`, without a native module.
 * Several processes on one machine can share the file.
 */
export class SqliteStorage extends Storage {
  /**
   * @param path Path of the file, relative to the working directory. The file is created if it does not
   * exist.
   */
  constructor(path: string, options: SqliteStorageOptions = {}) {
    if (typeof path !== 'string' || path === '' || path === ':memory:' || path.includes('\0')) {
      throw new TrackUsageError('OPTION_INVALID', {
        name: 'path',
        value: show(path),
        expected: 'the path of a file, such as "usage.db"',
      });
    }
    checkOptions('SqliteStorage', options, [...STORAGE_OPTIONS]);
    const absolute = resolve(path);
    super({
      label: `sqlite:${path}`,
      identity: `sqlite:${absolute}`,
      module: moduleUrl('../../storages/sqlite/module', import.meta.url),
      options: { path: absolute } satisfies SqliteOptions,
      ...storageOptionsOf(options),
    });
  }
}
