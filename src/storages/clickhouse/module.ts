/** Module loaded by the threads: see `StorageModule`. */
import { moduleOf } from '../../storage/opening.ts';
import { connect } from './driver.ts';
import { engine } from './engine.ts';
import type { ClickhouseOptions } from './options.ts';
import { Session } from './session.ts';

export const { openWriter, openReader } = moduleOf(engine, async (options: ClickhouseOptions) => {
  const client = await connect(options);
  return new Session(client, options, () => client.close());
});
