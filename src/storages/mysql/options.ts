import type { MysqlConfig } from './location.ts';
import type { MysqlLocation } from './session.ts';

/** Options that threads need to open the database. */
export interface MysqlOptions {
  config: MysqlConfig;
  location: MysqlLocation;
}
