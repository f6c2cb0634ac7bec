/** Rebuilds a database, and is killed before or after one of the commits. */
import { DatabaseSync } from 'node:sqlite';
import { rebuild } from '../../src/maintenance/rebuild.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [path = '', moment = 'before', count = '1'] = process.argv.slice(2);
const { exec } = DatabaseSync.prototype;
let commits = Number(count);
DatabaseSync.prototype.exec = function (sql) {
  if (sql !== 'COMMIT') return exec.call(this, sql);
  commits -= 1;
  if (commits === 0 && moment === 'before') process.kill(process.pid, 'SIGKILL');
  exec.call(this, sql);
  if (commits === 0) process.kill(process.pid, 'SIGKILL');
};
await rebuild({ storage: new SqliteStorage(path) });
