/** Module loaded by the threads: see `StorageModule`. */
import { moduleOf } from '../../storage/opening.ts';
import { Connection } from './driver.ts';
import { engine, Session } from './engine.ts';
import type { RedisOptions } from './options.ts';

export const { openWriter, openReader } = moduleOf(
  engine,
  (options: RedisOptions) => new Session(new Connection(options.addresses), options),
);
