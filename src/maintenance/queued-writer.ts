import type { StorageMaintenance, StorageWriter } from '../storage/contract.ts';

/** Calls of a writing end that maintenance makes. */
export type MaintenanceWriter = Pick<StorageWriter, 'position' | 'apply' | 'forget' | 'refuses'>;

/** Makes each call of a writing end wait for the previous one, because a timer renews the lease at any time. */
export function queued(
  writer: StorageWriter,
  maintenance: StorageMaintenance,
): { writer: MaintenanceWriter; maintenance: StorageMaintenance } {
  let last: Promise<unknown> = Promise.resolve();
  const run = <T>(call: () => Promise<T>): Promise<T> => {
    const result = last.then(call);
    last = result.catch(() => {});
    return result;
  };
  return {
    writer: {
      position: (journal) => run(() => writer.position(journal)),
      apply: (batch) => run(() => writer.apply(batch)),
      forget: (journal) => run(() => writer.forget(journal)),
      refuses: (error) => writer.refuses(error),
    },
    maintenance: {
      lease: (request) => run(() => maintenance.lease(request)),
      times: () => run(() => maintenance.times()),
      retain: (retention, replaces) => run(() => maintenance.retain(retention, replaces)),
      prune: (request) => run(() => maintenance.prune(request)),
      sweep: () => run(() => maintenance.sweep()),
      setTimeZone: (request) => run(() => maintenance.setTimeZone(request)),
      erase: (person, limit) => run(() => maintenance.erase(person, limit)),
      scrub: () => run(() => maintenance.scrub()),
    },
  };
}
