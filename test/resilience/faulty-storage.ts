/** SQLite storage that fails in a given way. */
import { appendFileSync, statSync } from 'node:fs';
import type { StorageModule } from '../../src/storage/contract.ts';
import { SqliteWriter } from '../../src/storages/sqlite/writer.ts';

export { openReader } from '../../src/storages/sqlite/module.ts';

interface Options {
  path: string;
  manner: string;
  /** A file with a byte for each time that the thread died. */
  deaths: string;
}

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { path, manner, deaths } = options as Options;
  if (manner === 'does not open') throw new Error('I do not open');
  const writer = new SqliteWriter({ path }, context);
  return {
    position: (journal) => writer.position(journal),
    forget: (journal) => writer.forget(journal),
    close: () => writer.close(),
    refuses: (error) => manner === 'refuses' || writer.refuses(error),
    async apply(batch) {
      if (manner === 'hangs') return new Promise<boolean>(() => {});
      if (manner === 'fails') throw new Error('I take nothing');
      // The faulty record is left out of the batch, which still moves the position.
      if (manner === 'refuses' && batch.records.length > 0) throw new Error('I take no record');
      if (manner !== 'dies') return writer.apply(batch);
      const died = statSync(deaths, { throwIfNoEntry: false })?.size ?? 0;
      // Every second thread dies immediately after the commit, the others before the next one.
      if (died % 2 === 0) await writer.apply(batch);
      else if (!lived) {
        lived = true;
        return writer.apply(batch);
      }
      appendFileSync(deaths, 'x');
      if (died % 4 < 2) process.exit(1);
      setImmediate(() => {
        throw new Error('I die');
      });
      return new Promise<boolean>(() => {});
    },
  };
};

/** True if the current thread has stored something. */
let lived = false;
