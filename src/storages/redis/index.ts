import { showKind } from '../../errors.ts';
import { checkOption, checkOptions, isText, isWholeNumber } from '../../options.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';
import { moduleUrl } from '../../threads.ts';
import { Storage } from '../storage.ts';
import type { Hook } from '../writer.ts';
import { addressOf, placeOf, placeOfClient, type RedisAddress, wrongServer } from './address.ts';
import { isClient, type RedisClient, serverOf } from './client.ts';
import { openReader, openWriter } from './open.ts';

export type { RedisClient } from './client.ts';

/** After how many days the hours, days and months of the summaries expire, from their end on. */
export type RedisTtl = { readonly [period in Period]?: number };

/** What is kept, and under which names. */
export interface RedisPlace {
  /** For messages; holds no password. */
  label: string;
  prefix: string;
  maxRecords: number;
  ttl: RedisTtl;
}

/** What the threads need to open it. */
export interface RedisOptions extends RedisPlace {
  addresses: readonly RedisAddress[];
}

export interface RedisStorageOptions {
  /** The summaries to keep, or their names, and functions to call with each record. Defaults to `sumBasic`. */
  hooks?: readonly Hook[];
  /** What the name of every key begins with. Defaults to `usage`. */
  prefix?: string;
  /** The most records that are kept of a site; the oldest go first. 0 for none. Defaults to 100,000. */
  maxRecords?: number;
  /** After how many days Redis drops the hours, days and months of the summaries. Defaults to never. */
  ttl?: RedisTtl;
}

const DEFAULT_PREFIX = 'usage';
const DEFAULT_MAX_RECORDS = 100_000;
/** Records of a batch in a thread: of a larger one fewer rows of the summaries have to be changed. */
const MAX_RECORDS = 131_072;
/** The same in the app's thread, which does nothing else while it encodes a piece of them. */
const MAX_RECORDS_OF_APP = 4_096;

/** Keeps live counters, and the newest records, in Redis 7 or Valkey, alone or as a cluster. */
export class RedisStorage extends Storage {
  /**
   * @param server `redis://user:password@host:6379/0` (`rediss://` for TLS), several of the nodes of a cluster, or a
   * client of `redis` or `ioredis`: then writing and reading happen in the app's thread.
   */
  constructor(server: string | readonly string[] | RedisClient, options: RedisStorageOptions = {}) {
    checkOptions('RedisStorage', options, ['hooks', 'prefix', 'maxRecords', 'ttl']);
    const { hooks, prefix = DEFAULT_PREFIX, maxRecords = DEFAULT_MAX_RECORDS, ttl = {} } = options;
    const named = isText(prefix) && !/[{}]/.test(prefix);
    checkOption('RedisStorage.prefix', prefix, named, 'a text without braces');
    checkOption(
      'RedisStorage.maxRecords',
      maxRecords,
      isWholeNumber(maxRecords, 0),
      'a whole number of records',
    );
    checkTtl(ttl);
    const common = { prefix, maxRecords, ttl };
    if (typeof server === 'string' || Array.isArray(server)) {
      const addresses = [server].flat().map(addressOf);
      const [first] = addresses;
      if (!first) throw wrongServer('an empty list');
      const label = labelOf(placeOf(first), prefix);
      super({
        label,
        identity: label,
        module: moduleUrl('../../storages/redis/module', import.meta.url),
        options: { ...common, label, addresses } satisfies RedisOptions,
        maxRecords: MAX_RECORDS,
        hooks,
      });
      return;
    }
    if (!isClient(server)) throw wrongServer(showKind(server));
    const label = labelOf(placeOfClient(server), prefix);
    const place: RedisPlace = { ...common, label };
    super({
      label,
      identity: label,
      openWriter: (context) => openWriter(serverOf(server), place, context),
      openReader: () => openReader(serverOf(server), place),
      maxRecords: MAX_RECORDS_OF_APP,
      hooks,
    });
  }
}

function labelOf(place: string, prefix: string): string {
  return prefix === DEFAULT_PREFIX ? place : `${place} ${prefix}`;
}

function checkTtl(ttl: RedisTtl): void {
  checkOptions('RedisStorage.ttl', ttl, PERIODS);
  for (const [period, days] of Object.entries(ttl)) {
    checkOption(`RedisStorage.ttl.${period}`, days, isWholeNumber(days, 1), 'a whole number of days');
  }
}
