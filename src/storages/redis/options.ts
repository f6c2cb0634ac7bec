import type { Period } from '../../summaries/periods.ts';
import type { RedisAddress } from './address.ts';

/** Number of days after which the hours, days and months of the summaries expire, counted from their end. */
export type RedisTtl = { readonly [period in Period]?: number };

/** Prefix of the keys, and limits of the stored data. */
export interface RedisLocation {
  /** Name in messages. Contains no password. */
  label: string;
  prefix: string;
  maxRecords: number;
  ttl: RedisTtl;
}

/** Options that threads need to connect. */
export interface RedisOptions extends RedisLocation {
  addresses: readonly RedisAddress[];
}
