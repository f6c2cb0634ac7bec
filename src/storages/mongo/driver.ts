import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { MongoDatabase } from './collections.ts';
import type { MongoOptions } from './index.ts';

/** How long a server is looked for, a connection may take, and an answer may stay away. In ms. */
const SELECTION_TIMEOUT = 5_000;
const CONNECT_TIMEOUT = 5_000;
const SOCKET_TIMEOUT = 60_000;
/** Connections: a batch is written to several collections at once. */
const CONNECTIONS = 4;

/** The database that a URL names. The driver connects when it is used, again and again where need be. */
export async function connect({ url, database, collection, label }: MongoOptions): Promise<{
  place: MongoDatabase;
  close(): Promise<void>;
}> {
  const { MongoClient } = await load();
  try {
    const client = new MongoClient(url, {
      appName: 'track-usage',
      serverSelectionTimeoutMS: SELECTION_TIMEOUT,
      connectTimeoutMS: CONNECT_TIMEOUT,
      socketTimeoutMS: SOCKET_TIMEOUT,
      maxPoolSize: CONNECTIONS,
    });
    return { place: { db: client.db(database), collection, label }, close: () => client.close() };
  } catch (error) {
    // What is wrong with the URL, without the URL.
    const reason = reasonOf(error).replaceAll(url, label);
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'server',
      value: `one that the driver refuses (${reason})`,
      expected: 'a URL such as "mongodb://user:password@localhost:27017/usage"',
    });
  }
}

async function load(): Promise<typeof import('mongodb')> {
  try {
    return await import('mongodb');
  } catch (cause) {
    throw new TrackUsageError('DRIVER_MISSING', { storage: 'MongoStorage', driver: 'mongodb' }, { cause });
  }
}
