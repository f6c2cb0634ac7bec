/**
 * Storage in Redis or Valkey.
 * @module track-usage/redis
 */
import { showKind } from '../../errors.ts';
import { checkOption, checkOptions, isText, isWholeNumber } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { maxRecordsOf, type Openers, openersInApp } from '../../storage/opening.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import { addressOf, labelOfAddress, locationOfClient, wrongServer } from './address.ts';
import { isClient, type RedisClient, serverOf } from './client.ts';
import { engine, Session } from './engine.ts';
import type { RedisLocation, RedisOptions } from './options.ts';

export type { IoRedisClient, NodeRedisClient, NodeRedisCluster, RedisClient } from './client.ts';

/** Options of a `RedisStorage`. All are optional. */
export interface RedisStorageOptions extends StorageOptions {
  /** Prefix of all keys. Defaults to `usage`. */
  prefix?: string;
  /**
   * Maximum number of records kept per site. The oldest are removed first. 0 keeps none. Defaults to 100,000.
   */
  maxRecords?: number;
}

const DEFAULT_PREFIX = 'usage';
const DEFAULT_MAX_RECORDS = 100_000;
/** Maximum number of records per batch. Larger batches change fewer rows of the summaries. */
const LIMITS = { inThread: 131_072, inApp: 4_096 };

/** Stores live counters and the newest records in Redis 7 or Valkey, standalone or as a cluster. */
export class RedisStorage extends Storage {
  /**
   * @param server `redis://user:password@host:6379/0` (`rediss://` for TLS), several nodes of a cluster, or a
   * client of `redis` or `ioredis`. With a client, writing and reading run in the app's thread.
   */
  constructor(server: string | readonly string[] | RedisClient, options: RedisStorageOptions = {}) {
    checkOptions('RedisStorage', options, [...STORAGE_OPTIONS, 'prefix', 'maxRecords']);
    const { prefix = DEFAULT_PREFIX, maxRecords = DEFAULT_MAX_RECORDS } = options;
    const named = isText(prefix) && !/[{}]/.test(prefix);
    checkOption('RedisStorage.prefix', prefix, named, 'a string without braces');
    checkOption(
      'RedisStorage.maxRecords',
      maxRecords,
      isWholeNumber(maxRecords, 0),
      'a whole number of records',
    );
    const { label, openers } = describe(server, { prefix, maxRecords });
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
  server: string | readonly string[] | RedisClient,
  options: Omit<RedisLocation, 'label'>,
): { label: string; openers: Openers<RedisOptions> } {
  if (typeof server === 'string' || Array.isArray(server)) {
    const addresses = [server].flat().map(addressOf);
    const [first] = addresses;
    if (!first) throw wrongServer('an empty list');
    const label = labelOf(labelOfAddress(first), options.prefix);
    const module = moduleUrl('../../storages/redis/module', import.meta.url);
    return { label, openers: { module, options: { ...options, label, addresses } } };
  }
  if (!isClient(server)) throw wrongServer(showKind(server));
  const label = labelOf(locationOfClient(server), options.prefix);
  return { label, openers: openersInApp(engine, () => new Session(serverOf(server), { ...options, label })) };
}

function labelOf(location: string, prefix: string): string {
  return prefix === DEFAULT_PREFIX ? location : `${location} ${prefix}`;
}
