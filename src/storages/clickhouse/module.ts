/** Module loaded by the threads: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import { connect } from './driver.ts';
import type { ClickhouseOptions } from './index.ts';
import * as open from './open.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const client = await connect(options as ClickhouseOptions);
  return open.openWriter(client, options as ClickhouseOptions, context, () => client.close());
};

export const openReader: NonNullable<StorageModule['openReader']> = async (options) => {
  const client = await connect(options as ClickhouseOptions);
  return open.openReader(client, options as ClickhouseOptions, () => client.close());
};
