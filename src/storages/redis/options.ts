import type { RedisAddress } from './address.ts';

/** Prefix of the keys, and limits of the stored data. */
export interface RedisLocation {
  /** Name in messages. Contains no password. */
  label: string;
  prefix: string;
  maxRecords: number;
}

/** Options that threads need to connect. */
export interface RedisOptions extends RedisLocation {
  addresses: readonly RedisAddress[];
}
