import type { Db } from 'mongodb';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { loadDriver } from '../../storage/load-driver.ts';
import type { MongoDatabase } from './collections.ts';
import type { MongoOptions } from './options.ts';

/**
 * Defaults for options that the URL does not set. In ms, except the pool size: a batch is written to several
 * collections concurrently.
 */
const DEFAULTS = {
  appName: 'track-usage',
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 5_000,
  socketTimeoutMS: 60_000,
  maxPoolSize: 4,
};

/** Opens the database that a URL names. The driver connects when it is used, and reconnects by itself. */
export async function connect({ url, database, collection, label }: MongoOptions): Promise<{
  location: Omit<MongoDatabase, 'db'> & { db: Db };
  close(): Promise<void>;
}> {
  const { MongoClient } = await loadDriver('MongoStorage', 'mongodb', () => import('mongodb'));
  try {
    const options = Object.entries(DEFAULTS).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(url));
    const client = new MongoClient(url, Object.fromEntries(options));
    return { location: { db: client.db(database), collection, label }, close: () => client.close() };
  } catch (error) {
    // The reason may quote the URL, which may contain a password.
    const reason = reasonOf(error).replaceAll(url, label);
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'server',
      value: `a URL that the driver rejects (${reason})`,
      expected: 'a URL such as "mongodb://user:password@localhost:27017/usage"',
    });
  }
}
