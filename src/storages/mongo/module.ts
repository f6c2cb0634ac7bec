/** Module loaded by the threads: see `StorageModule`. */
import { moduleOf } from '../../storage/opening.ts';
import { Collections } from './collections.ts';
import { connect } from './driver.ts';
import { engine } from './engine.ts';
import type { MongoOptions } from './options.ts';

export const { openWriter, openReader } = moduleOf(engine, async (options: MongoOptions) => {
  const { location, close } = await connect(options);
  return new Collections(location, close);
});
