import { randomInt, randomUUID } from 'node:crypto';
import { RecordBatch } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Position } from '../journal/position.ts';
import { setTimeout } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { type DeltaRow, deltasOf } from '../storage/batch-rows.ts';
import { closeOnFailure } from '../storage/close-on-failure.ts';
import type { StorageMaintenance, StorageWriter } from '../storage/contract.ts';
import { MAINTENANCE_TASK, maintenanceJournal } from '../storage/maintenance-journal.ts';
import { noMeasures } from '../storage/measures.ts';
import { Lease } from '../storage/prune.ts';
import { openStorageWriter } from '../storage/writer.ts';
import { CHANGES } from '../summaries/coverage.ts';
import type { DeltaGroup } from '../summaries/fold.ts';
import type { Calendar } from '../summaries/periods.ts';
import { KeptLease } from './kept-lease.ts';
import { type MaintenanceWriter, queued } from './queued-writer.ts';

/** Writing end of a storage for maintenance: changes of sums, under a lease. */
export interface MaintenanceSession {
  readonly writer: MaintenanceWriter;
  readonly maintenance: StorageMaintenance;
  /**
   * Adds to sums, atomically and exactly once. The measures may be negative. Throws if another process may have changed
   * the sums since the last call to `renew`.
   */
  change(changes: readonly DeltaRow[]): Promise<void>;
  /** Throws if the lease is lost. Called before reading sums that may be changed. A timer renews the lease meanwhile. */
  renew(): Promise<void>;
}

/** Maximum number of attempts to store a batch. */
const MAX_ATTEMPTS = 7;
/** Delay before the second attempt, in ms. Doubles with each further attempt. */
const BACKOFF = 100;
const START: Position = { position: 0, ordinal: 0 };
/** Maximum difference between the numbers of two runs. Small enough that a million runs stay below 2^53. */
const MAX_STEP = 2 ** 32;

/** Opens the writing end of a storage, acquires the lease, and runs the task. */
export async function withMaintenance<T>(
  storage: Storage,
  site: string,
  timeZone: string,
  run: (session: MaintenanceSession) => Promise<T>,
): Promise<T> {
  const opened = await openMaintenance(storage, site, timeZone);
  try {
    const { writer, maintenance } = queued(opened.writer, opened.maintenance);
    const values = { value: storage.label, site };
    const requested = new Lease(maintenance, MAINTENANCE_TASK, randomUUID());
    if (!(await requested.acquire())) throw new TrackUsageError('MAINTENANCE_BUSY', values);
    const lease = new KeptLease(requested, () => new TrackUsageError('MAINTENANCE_LOST', values));
    try {
      const journal = await DeltaJournal.open(writer, site);
      const result = await run({
        writer,
        maintenance,
        change: async (changes) => {
          await lease.confirm();
          await journal.apply(changes);
        },
        renew: () => lease.renew(),
      });
      await journal.remove();
      return result;
    } finally {
      await lease.release();
    }
  } finally {
    await opened.writer.close();
  }
}

/** Opens the writing end of a storage. Throws if it does not support maintenance. */
export async function openMaintenance(
  storage: Storage,
  site: string,
  timeZone: string,
): Promise<{ writer: StorageWriter; maintenance: StorageMaintenance }> {
  const writer = await openStorageWriter(storage, { site, timeZone, durable: true });
  return closeOnFailure(
    () => writer.close(),
    async () => {
      const { maintenance } = writer;
      if (!maintenance) throw new TrackUsageError('MAINTENANCE_UNSUPPORTED', { value: storage.label });
      return { writer, maintenance };
    },
  );
}

/**
 * Journal of the changes of one run. Its ID is new for every run, because an engine without transactions marks sums
 * with the batches that they contain. A second journal, with a fixed ID, stores the number from which the ID of the
 * last run is derived, so that the next run can remove the journal of a killed one. The second journal is never
 * removed, because an engine may refuse to store a journal that was removed.
 */
class DeltaJournal {
  readonly #writer: MaintenanceWriter;
  readonly #id: string;
  #at = START;

  private constructor(writer: MaintenanceWriter, id: string) {
    this.#writer = writer;
    this.#id = id;
  }

  static async open(writer: MaintenanceWriter, site: string): Promise<DeltaJournal> {
    const idOf = (run: number) => maintenanceJournal(site, run);
    const runs = idOf(0);
    const last = await writer.position(runs);
    if (last) await writer.forget(idOf(last.position));
    const from = last ?? START;
    // Random, because the database may be an older copy, in which the number of the next run was used before.
    const run = from.position + randomInt(1, MAX_STEP);
    await store(writer, runs, from, { position: run, ordinal: 0 }, new RecordBatch(1), []);
    return new DeltaJournal(writer, idOf(run));
  }

  async apply(changes: readonly DeltaRow[]): Promise<void> {
    if (changes.length === 0) return;
    const records = new RecordBatch(1);
    const deltas = deltasOf(records, changes);
    const to = { position: this.#at.position + 1, ordinal: 0 };
    await store(this.#writer, this.#id, this.#at, to, records, deltas);
    this.#at = to;
  }

  async remove(): Promise<void> {
    await this.#writer.forget(this.#id);
  }
}

/** Stores a batch. After an error, repeats the identical batch, unless the position shows that it is stored. */
async function store(
  writer: MaintenanceWriter,
  journal: string,
  from: Position,
  to: Position,
  records: RecordBatch,
  deltas: readonly DeltaGroup[],
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (await writer.apply({ journal, from, to, records, deltas })) return;
      if ((await writer.position(journal))?.position === to.position) return;
      throw new Error(
        'the changes were not stored, because the position of their journal is not the expected one',
      );
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || writer.refuses(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, BACKOFF * 2 ** (attempt - 1)));
    }
  }
}

/** Returns the change that makes readers drop their cached sums. Added to each batch that changes sums of a month. */
export function changeMark(zone: Calendar, ms: number): DeltaRow {
  const bucket = zone.monthOf(ms);
  return { summary: CHANGES.name, period: 'month', bucket, key: null, ...noMeasures(), hits: 1 };
}
