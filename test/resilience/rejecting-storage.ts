/** SQLite storage whose engine rejects some URLs. */

import type { StorageModule } from '../../src/storage/contract.ts';
import { SqliteWriter } from '../../src/storages/sqlite/writer.ts';

export { openReader } from '../../src/storages/sqlite/module.ts';

class Refusal extends Error {}

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const writer = new SqliteWriter(options as { path: string }, context);
  return {
    position: (journal) => writer.position(journal),
    forget: (journal) => writer.forget(journal),
    close: () => writer.close(),
    refuses: (error) => error instanceof Refusal || writer.refuses(error),
    async apply(batch) {
      for (let i = 0; i < batch.records.length; i++) {
        if (batch.records.at('url', i)!.includes('/poison/')) throw new Refusal('the URL is not allowed');
      }
      return writer.apply(batch);
    },
  };
};
