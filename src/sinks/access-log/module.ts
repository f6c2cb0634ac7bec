/** Module loaded by the writer's thread: see `StorageModule`. */
import type { StorageModule } from '../../storage/contract.ts';
import type { AccessLogOptions } from './index.ts';
import { AccessLogSink } from './writer.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) =>
  new AccessLogSink(options as AccessLogOptions, context);
