/** Module loaded by the threads: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import { connect } from './driver.ts';
import type { MongoOptions } from './index.ts';
import { openReader as openReading, openWriter as openWriting } from './open.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { place, close } = await connect(options as MongoOptions);
  return openWriting(place, context, close);
};

export const openReader: StorageModule['openReader'] = async (options) => {
  const { place, close } = await connect(options as MongoOptions);
  return openReading(place, close);
};
