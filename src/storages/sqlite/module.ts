/** Module loaded by the threads: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import type { SqliteOptions } from './options.ts';
import { SqliteReader } from './reader.ts';
import { SqliteWriter } from './writer.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) =>
  new SqliteWriter(options as SqliteOptions, context);

export const openReader: StorageModule['openReader'] = async (options) =>
  new SqliteReader(options as SqliteOptions);
