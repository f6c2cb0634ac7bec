/** Module loaded by the threads: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import { Connection } from './driver.ts';
import type { RedisOptions } from './index.ts';
import * as open from './open.ts';

export const openWriter: StorageModule['openWriter'] = async (given, context) => {
  const options = given as RedisOptions;
  return open.openWriter(new Connection(options.addresses), options, context);
};

export const openReader: NonNullable<StorageModule['openReader']> = async (given) => {
  const options = given as RedisOptions;
  return open.openReader(new Connection(options.addresses), options);
};
