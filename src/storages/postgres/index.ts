/**
 * Storage in PostgreSQL.
 * @module track-usage/postgres
 */
import { checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { hasFunctions, maxRecordsOf, type Openers, openersInApp } from '../../storage/opening.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import { connect } from './driver.ts';
import { engine } from './engine.ts';
import {
  locationOfConfig,
  locationOfPool,
  locationOfUrl,
  type PostgresConfig,
  wrongServer,
} from './location.ts';
import type { PostgresOptions } from './options.ts';
import { type PostgresLocation, type PostgresPool, Session } from './session.ts';

export type { PostgresConfig } from './location.ts';
export type { PostgresConnection, PostgresPool } from './session.ts';

/** Options of a `PostgresStorage`. All are optional. */
export interface PostgresStorageOptions extends StorageOptions {
  /**
   * Schema of the tables, created if it does not exist. Defaults to the URL's `?schema=`, or `track_usage`.
   */
  schema?: string;
}

/** Maximum number of records per batch. Larger batches change fewer rows of the summaries. */
const LIMITS = { inThread: 65_536, inApp: 4_096 };

/** Stores records and summaries in PostgreSQL (15 or newer), through `pg`. */
export class PostgresStorage extends Storage {
  /**
   * @param server `postgres://user:password@host:5432/database`, an options object for `new Pool()` of `pg`,
   * or a pool. With a pool, or a function among the options, writing and reading run in the app's thread.
   */
  constructor(server: string | PostgresConfig | PostgresPool, options: PostgresStorageOptions = {}) {
    checkOptions('PostgresStorage', options, [...STORAGE_OPTIONS, 'schema']);
    const { location, ...openers } = describe(server, options.schema);
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
  server: string | PostgresConfig | PostgresPool,
  schema: string | undefined,
): { location: PostgresLocation } & Openers<PostgresOptions> {
  if (typeof server === 'string') {
    const location = locationOfUrl(server, schema);
    return { location, ...inThread({ config: { connectionString: server }, location }) };
  }
  if (typeof server !== 'object' || server === null) throw wrongServer(server);
  if (isPool(server)) {
    const location = locationOfPool(server, schema);
    return { location, ...openersInApp(engine, () => new Session(server, location)) };
  }
  const location = locationOfConfig(server, schema);
  if (!hasFunctions(server)) return { location, ...inThread({ config: server, location }) };
  return { location, ...openersInApp(engine, (connections) => connect(server, location, connections)) };
}

function inThread(options: PostgresOptions) {
  return { module: moduleUrl('../../storages/postgres/module', import.meta.url), options };
}

function isPool(server: PostgresConfig | PostgresPool): server is PostgresPool {
  return typeof server.query === 'function';
}
