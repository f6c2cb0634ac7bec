import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { describe, vi } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { type Faults, rollbackCases } from './rollback-cases.ts';

/** Makes calls to SQLite fail as `faults` says. Returns a function that restores them. */
function inject(faults: Faults): () => void {
  const guarded = <T>(call: () => T): T => {
    const failure = faults.next();
    const error = Object.assign(new Error('disk I/O error'), { errcode: 10 });
    if (failure === 'before') throw error;
    const result = call();
    if (failure) throw error;
    return result;
  };
  const { exec } = DatabaseSync.prototype;
  const { run, get } = StatementSync.prototype;
  const spies = [
    vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
      // The rollback itself must not fail.
      if (sql === 'ROLLBACK') exec.call(this, sql);
      else guarded(() => exec.call(this, sql));
    }),
    vi.spyOn(StatementSync.prototype, 'run').mockImplementation(function (this: StatementSync, ...values) {
      return guarded(() => run.apply(this, values as never));
    }),
    vi.spyOn(StatementSync.prototype, 'get').mockImplementation(function (this: StatementSync, ...values) {
      return guarded(() => get.apply(this, values as never));
    }),
  ];
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

async function openDatabase() {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-rollback-'));
  const open = (hooks: readonly string[]) => new SqliteStorage(join(directory, 'usage.db'), { hooks });
  let restore = () => {};
  return {
    failures: ['before', 'after'] as const,
    calls: 30,
    plain: open,
    faulty: (hooks: readonly string[], faults: Faults) => {
      restore();
      restore = inject(faults);
      return open(hooks);
    },
    close: async () => {
      restore();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

describe('SQLite', () => rollbackCases(openDatabase));
