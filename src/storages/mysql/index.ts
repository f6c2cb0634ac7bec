/**
 * Storage in MySQL or MariaDB.
 * @module track-usage/mysql
 */
import { checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { hasFunctions, maxRecordsOf, type Openers, openersInApp } from '../../storage/opening.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import { connect } from './driver.ts';
import { engine } from './engine.ts';
import { configOf, locationOfConfig, locationOfPool, type MysqlConfig, wrongServer } from './location.ts';
import type { MysqlOptions } from './options.ts';
import { type MysqlLocation, type MysqlPool, Session } from './session.ts';

export type { MysqlConfig } from './location.ts';
export type { MysqlPool } from './session.ts';

/** Options of a `MysqlStorage`. All are optional. */
export interface MysqlStorageOptions extends StorageOptions {
  /**
   * Prefix of the names of all tables and views: up to 16 lowercase letters, digits and underscores. Defaults
   * to the URL's `?prefix=`, or `usage_`.
   */
  prefix?: string;
}

/**
 * Maximum number of records per batch. Half as many in a thread take less memory, but store an eighth fewer records
 * per second.
 */
const LIMITS = { inThread: 131_072, inApp: 4_096 };

/** Stores records and summaries in MySQL (8.0 or newer) or MariaDB (10.11 or newer), through `mysql2`. */
export class MysqlStorage extends Storage {
  /**
   * @param server `mysql://user:password@host:3306/database`, an options object for `createPool()` of
   * `mysql2`, or a pool of `mysql2` or `mysql2/promise`. With a pool, or a function among the options,
   * writing and reading run in the app's thread.
   */
  constructor(server: string | MysqlConfig | MysqlPool, options: MysqlStorageOptions = {}) {
    checkOptions('MysqlStorage', options, [...STORAGE_OPTIONS, 'prefix']);
    const { location, ...openers } = describe(server, options.prefix);
    super({
      label: location.label,
      identity: location.label,
      ...openers,
      maxRecords: maxRecordsOf(openers, LIMITS),
      ...storageOptionsOf(options),
    });
  }
}

function describe(
  server: string | MysqlConfig | MysqlPool,
  givenPrefix: string | undefined,
): { location: MysqlLocation } & Openers<MysqlOptions> {
  if (typeof server !== 'string' && (typeof server !== 'object' || server === null)) {
    throw wrongServer(server);
  }
  if (Array.isArray(server)) throw wrongServer('a list');
  if (isPool(server)) {
    const location = locationOfPool(server, givenPrefix);
    return { location, ...openersInApp(engine, () => new Session(server, location)) };
  }
  if (typeof server === 'object' && typeof server.execute === 'function') {
    throw wrongServer('a single connection');
  }
  const { config, prefix } = configOf(server);
  const location = locationOfConfig(config, givenPrefix ?? prefix);
  if (hasFunctions(config)) {
    return { location, ...openersInApp(engine, (connections) => connect(config, location, connections)) };
  }
  return {
    location,
    module: moduleUrl('../../storages/mysql/module', import.meta.url),
    options: { config, location },
  };
}

function isPool(server: string | MysqlConfig | MysqlPool): server is MysqlPool {
  return typeof server === 'object' && typeof server.getConnection === 'function';
}
