import type { PostgresConfig } from './location.ts';
import type { PostgresLocation } from './session.ts';

/** Options that threads need to open the database. */
export interface PostgresOptions {
  config: PostgresConfig;
  location: PostgresLocation;
}
