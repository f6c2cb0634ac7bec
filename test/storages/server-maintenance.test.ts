import { expect, onTestFinished, test, vi } from 'vitest';
import { monotonicClock } from '../../src/platform/clock.ts';
import type { ServerDialect } from '../../src/storages/sql/dialect.ts';
import { ServerMaintenance } from '../../src/storages/sql/server-maintenance.ts';
import { NOON } from '../../src/testing/batches.ts';

/** Maintenance of a database with one old record, which another transaction has locked. */
class LockedRecord extends ServerMaintenance {
  attempts = 0;
  protected readonly now = '0';

  protected async pruneRecords(): Promise<number> {
    this.attempts += 1;
    return 0;
  }

  lease = async () => true;
  scrub = async () => {};
  beginSweep = async () => 0;
  deleteUnused = async () => {};
  deleteBuckets = async () => {};
  protected retainPart = async () => {};
  protected pruneSums = async () => 0;
  protected eraseRecords = async () => 0;
}

test('pruning does not wait for a record that another transaction has locked', async () => {
  let now = 0;
  let queries = 0;
  const clock = vi.spyOn(monotonicClock, 'now').mockImplementation(() => (now += 100));
  onTestFinished(() => clock.mockRestore());
  const dialect = {
    query: async () => {
      queries += 1;
      if (queries === 1_000) throw new Error('pruning does not end');
      return [{ ms: NOON }];
    },
    table: (name) => name,
    records: 'records',
    recordWithin: () => 'true',
    bucketMs: (column) => column,
  } as Pick<ServerDialect, 'query' | 'table' | 'records' | 'recordWithin' | 'bucketMs'> as ServerDialect;
  const maintenance = new LockedRecord(dialect, 1);
  expect(await maintenance.prune({ part: 'records', before: NOON + 1, limit: 100 })).toBe(0);
  expect(maintenance.attempts).toBeGreaterThan(1);
});
