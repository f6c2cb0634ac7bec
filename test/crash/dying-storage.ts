/** SQLite storage that is killed with its process at a given moment of one of its first commits. */
import { DatabaseSync } from 'node:sqlite';
import type { StorageModule } from '../../src/storage/contract.ts';
import { openWriter as open, openReader } from '../../src/storages/sqlite/module.ts';

export { openReader };

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { moment } = options as { moment: 'before' | 'after' | 'within' };
  const writer = await open(options, context);
  const { exec } = DatabaseSync.prototype;
  // Not the very first, so that there is something to lose.
  let commits = 1 + Math.floor(Math.random() * 3);
  const die = () => process.kill(process.pid, 'SIGKILL');
  DatabaseSync.prototype.exec = function (sql) {
    if (sql !== 'COMMIT') return exec.call(this, sql);
    commits -= 1;
    if (commits === 0 && moment === 'before') die();
    // While SQLite writes: from another thread's point of view, anywhere.
    if (commits === 0 && moment === 'within') setImmediate(die);
    exec.call(this, sql);
    if (commits === 0 && moment === 'after') die();
  };
  return writer;
};
