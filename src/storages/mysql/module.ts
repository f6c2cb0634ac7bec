/** Module loaded by the threads: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import { READERS } from '../sql/ends.ts';
import { connect } from './driver.ts';
import type { MysqlOptions } from './index.ts';
import { opening } from './open.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { config, place } = options as MysqlOptions;
  return opening.openWriter(await connect(config, place, 1), context);
};

export const openReader: NonNullable<StorageModule['openReader']> = async (options) => {
  const { config, place } = options as MysqlOptions;
  return opening.openReader(await connect(config, place, READERS));
};
