/** Module loaded by the threads: see `StorageModule`. */
import { moduleOf } from '../../storage/opening.ts';
import { connect } from './driver.ts';
import { engine } from './engine.ts';
import type { PostgresOptions } from './options.ts';

export const { openWriter, openReader } = moduleOf(
  engine,
  ({ config, location }: PostgresOptions, connections) => connect(config, location, connections),
);
