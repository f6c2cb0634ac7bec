/**
 * Storage in MongoDB.
 * @module track-usage/mongo
 */
import { show, showKind, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { maxRecordsOf, type Openers, openersInApp } from '../../storage/opening.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import { Collections } from './collections.ts';
import { engine } from './engine.ts';
import { DATABASE_FORM, DEFAULT_COLLECTION, locationOfUrl, wrongServer } from './location.ts';
import type { MongoClientLike, MongoDbLike, MongoOptions } from './options.ts';

export type { MongoClientLike, MongoDbLike } from './options.ts';

/** Options of a `MongoStorage`. All are optional. */
export interface MongoStorageOptions extends StorageOptions {
  /** Database name. Defaults to the one in the URL, then to `usage`. With a client, defaults to its own. */
  database?: string;
  /**
   * Collection of the records, and prefix of all other collections (`usageTracking_urls_hourly`). Defaults to
   * `usageTracking`.
   */
  collection?: string;
}

/** Maximum number of records per batch. */
const LIMITS = { inApp: 2_048 };
const COLLECTION_FORM = /^(?!system\.)[^$.\0][^$\0]{0,99}$/;

/**
 * Stores records and summaries in MongoDB, through the official driver `mongodb`. Works with a standalone
 * server, because it needs no transactions.
 */
export class MongoStorage extends Storage {
  /**
   * @param server `mongodb://…` or `mongodb+srv://…`, to which the writer's thread connects. Or a
   * `MongoClient` or `Db` of yours, which is used in the app's thread and never closed.
   */
  constructor(server: string | MongoClientLike | MongoDbLike, options: MongoStorageOptions = {}) {
    checkOptions('MongoStorage', options, [...STORAGE_OPTIONS, 'database', 'collection']);
    const { database, collection = DEFAULT_COLLECTION } = options;
    const isDatabase = typeof database === 'string' && DATABASE_FORM.test(database);
    checkOption('MongoStorage.database', database, isDatabase, 'the name of a database');
    const isCollection = typeof collection === 'string' && COLLECTION_FORM.test(collection);
    checkOption('MongoStorage.collection', collection, isCollection, 'the name of a collection');
    const { label, openers } = describe(server, database, collection);
    super({
      label,
      identity: label,
      ...openers,
      maxRecords: maxRecordsOf(openers, LIMITS),
      ...storageOptionsOf(options),
    });
  }
}

function describe(
  server: string | MongoClientLike | MongoDbLike,
  database: string | undefined,
  collection: string,
): { label: string; openers: Openers<MongoOptions> } {
  if (typeof server === 'string') {
    const parts = locationOfUrl(server, database, collection);
    const module = moduleUrl('../../storages/mongo/module', import.meta.url);
    return { label: parts.label, openers: { module, options: parts } };
  }
  const db = databaseOf(server, database);
  const label = `${addressOf(db)}/${db.databaseName}.${collection}`;
  return { label, openers: openersInApp(engine, () => new Collections({ db, collection, label })) };
}

function databaseOf(server: MongoClientLike | MongoDbLike, database: string | undefined): MongoDbLike {
  const { db } = (server ?? {}) as Partial<MongoClientLike>;
  if (typeof db === 'function') return (server as MongoClientLike).db(database);
  const { collection, command, databaseName } = (server ?? {}) as Partial<MongoDbLike>;
  const isDb = typeof collection === 'function' && typeof command === 'function';
  if (!isDb || typeof databaseName !== 'string') throw wrongServer(showKind(server));
  if (database !== undefined && database !== databaseName) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'MongoStorage.database',
      value: show(database),
      expected: `the name of the given Db, ${show(databaseName)}`,
    });
  }
  return server as MongoDbLike;
}

/**
 * Returns the addresses of a client's servers, as far as they are visible. Processes with the same location
 * adopt each other's journals.
 */
function addressOf(db: MongoDbLike): string {
  const { client } = db as { client?: { options?: { hosts?: unknown; srvHost?: string } } };
  const { hosts, srvHost } = client?.options ?? {};
  return `mongodb://${srvHost ?? (Array.isArray(hosts) ? hosts.join(',') : 'client')}`;
}
