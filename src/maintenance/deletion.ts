import { randomUUID } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import { monotonicClock, setTimeout } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import type { DeltaRow } from '../storage/batch-rows.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Measures, Person, StorageMaintenance } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { minus, noMeasures, sumOf } from '../storage/measures.ts';
import { FIRST_ROWS, Lease, nextLimit } from '../storage/prune.ts';
import { COVERAGE, ERASED } from '../summaries/coverage.ts';
import { companionBase, latencyKey, partsOfLatencyKey } from '../summaries/latency.ts';
import { type Calendar, PERIODS, type Period } from '../summaries/periods.ts';
import { coverageSums } from './compare.ts';
import { changeMark, type MaintenanceSession } from './delta-journal.ts';
import { hoursOf, type PersonHours } from './person.ts';

/** Progress of `forget`. */
export interface ForgetProgress {
  /** Current step. */
  step: 'journals' | 'keys' | 'records' | 'texts' | 'files';
  /** Number of rows that the step has changed so far; in the step `journals`, of journals to wait for. */
  rows: number;
}

/** Summary that had a key of the person. */
export interface ForgottenKey {
  /** Name of the summary. */
  summary: string;
  /** Number of buckets, of all periods, from which the key was removed. */
  buckets: number;
  /** Number of requests of the key. */
  hits: number;
}

/** Result of a deletion. */
interface Deleted {
  /** Number of deleted records. */
  records: number;
  /** Summaries with a key of the person. */
  keys: ForgottenKey[];
  /** False if the last round still found something. */
  isComplete: boolean;
}

/** Person to delete, and the storage. */
interface DeletionOptions {
  storage: Storage;
  person: Person;
  onProgress?: ((progress: ForgetProgress) => void) | undefined;
}

const POLL_INTERVAL = 250;
/** Maximum time to wait for another process to finish pruning, in ms. */
const PRUNE_TIMEOUT = 60_000;
/** Number of sums that are moved in one batch. */
const SUMS_PER_BATCH = 2_000;
/** Maximum number of searches. Repeated as long as apps store more records of the person. */
export const MAX_ROUNDS = 10;
/**
 * Key of `ERASED` that is stored while a person is deleted, in a bucket later than all others. If it is there already, the
 * last deletion was interrupted, possibly after it deleted records that it had not marked.
 */
const IN_PROGRESS = {
  summary: ERASED.name,
  period: 'month',
  bucket: Date.UTC(2106, 0, 15, 12),
  key: null,
} as const;

/** Deletes a person from a database. */
export class Deletion {
  readonly #label: string;
  readonly #reader: CompleteReader;
  readonly #site: string;
  readonly #zone: Calendar;
  readonly #person: Person;
  readonly #summaries: readonly string[];
  readonly #session: MaintenanceSession;
  readonly #maintenance: StorageMaintenance;
  readonly #onProgress: NonNullable<DeletionOptions['onProgress']>;
  readonly #keys = new Map<string, { buckets: number; hits: number }>();
  #records = 0;

  constructor(
    { storage, person, onProgress = () => {} }: DeletionOptions,
    site: string,
    zone: Calendar,
    summaries: readonly string[],
    session: MaintenanceSession,
  ) {
    this.#label = storage.label;
    this.#reader = storage.reader;
    this.#site = site;
    this.#zone = zone;
    this.#person = person;
    this.#summaries = summaries;
    this.#session = session;
    this.#maintenance = session.maintenance;
    this.#onProgress = onProgress;
  }

  /** Deletes the person, and returns what was deleted. */
  async run(): Promise<Deleted> {
    let marked = 0;
    let isComplete = false;
    const wasInterrupted = await this.#begin();
    for (let round = 0; round < MAX_ROUNDS && !isComplete; round++) {
      await this.#session.renew();
      const found = await hoursOf(this.#reader, this.#site, this.#zone, this.#person);
      // Marked before they are deleted: otherwise, an interruption would leave buckets that look damaged.
      await this.#mark(found);
      marked += found.records;
      const deleted = await this.#erase();
      const moved = await this.#moveKeys();
      isComplete = found.records + deleted + moved === 0;
    }
    if (wasInterrupted || this.#records > marked) await this.#markMissing();
    await this.#end();
    await this.#removeTexts();
    const keys = [...this.#keys].map(([summary, moved]) => ({ summary, ...moved }));
    return { records: this.#records, keys, isComplete };
  }

  /** Stores that a deletion is in progress. Returns whether an earlier one was interrupted. */
  async #begin(): Promise<boolean> {
    const wasInterrupted = (await this.#inProgress()).length > 0;
    if (!wasInterrupted) await this.#session.change([{ ...IN_PROGRESS, ...noMeasures(), hits: 1 }]);
    return wasInterrupted;
  }

  async #end(): Promise<void> {
    const rows = await this.#inProgress();
    await this.#session.change(rows.map((row) => ({ ...IN_PROGRESS, ...minus(noMeasures(), row) })));
  }

  async #inProgress(): Promise<Measures[]> {
    await this.#session.renew();
    const { summary, period, bucket } = IN_PROGRESS;
    const range = { from: bucket, to: bucket };
    const request = { site: this.#site, summary, period, ...range, target: null, limit: 0, offset: 0 };
    return this.#reader.sums(request);
  }

  /** Adds records that are about to be deleted to `ERASED`. */
  async #mark({ hours }: Pick<PersonHours, 'hours'>): Promise<void> {
    const changes = [...hours].flatMap(([hour, measures]) =>
      PERIODS.map(
        (period): DeltaRow => ({
          ...{ summary: ERASED.name, period, bucket: this.#zone.bucketOf(period, hour), key: null },
          ...measures,
        }),
      ),
    );
    await this.#change(merged(changes));
  }

  async #erase(): Promise<number> {
    let deleted = 0;
    for (let limit = FIRST_ROWS; ; ) {
      await this.#session.renew();
      const begin = monotonicClock.now();
      const rows = await this.#maintenance.erase(this.#person, limit);
      if (rows === 0) break;
      limit = nextLimit(limit, monotonicClock.now() - begin);
      deleted += rows;
      this.#onProgress({ step: 'records', rows: this.#records + deleted });
    }
    this.#records += deleted;
    return deleted;
  }

  /** Moves the sums of the person's key to the requests without a key. Returns the number of moved sums. */
  async #moveKeys(): Promise<number> {
    let moved = 0;
    for (const summary of this.#summaries) {
      for (const period of PERIODS) {
        for (const [key, to] of await this.#keysIn(summary, period)) {
          moved += await this.#moveKey(summary, period, key, to);
          this.#onProgress({ step: 'keys', rows: moved });
        }
      }
    }
    return moved;
  }

  /** Returns the person's keys in a summary, each with the key of the requests without one. */
  async #keysIn(summary: string, period: Period): Promise<(readonly [from: string, to: string | null])[]> {
    const { value } = this.#person;
    if (companionBase(summary) === undefined) return [[value, null]];
    const of = { site: this.#site, summary };
    const buckets = await this.#reader.series({ ...of, period, ...ANY_DATE, target: undefined });
    const spans = [{ period, from: buckets[0]?.bucket ?? 0, to: buckets.at(-1)?.bucket ?? 0 }];
    const page = { order: 'hits', search: latencyKey('', value), limit: 0, offset: 0 } as const;
    const { rows } = await this.#reader.keys({ ...of, spans, ...page });
    return rows.flatMap(({ key: text }) => {
      if (text === null) return [];
      const { bin, key } = partsOfLatencyKey(text);
      return key === value ? [[text, latencyKey(bin, null)] as const] : [];
    });
  }

  /** Moves the sums of a key to another one. Returns the number of moved sums. */
  async #moveKey(summary: string, period: Period, from: string, to: string | null): Promise<number> {
    for (let moved = 0; ; ) {
      await this.#session.renew();
      const request = { site: this.#site, summary, period, ...ANY_DATE, target: from, offset: 0 };
      const rows = await this.#reader.sums({ ...request, limit: SUMS_PER_BATCH });
      if (rows.length === 0) return moved;
      const changes = rows.flatMap(({ key, bucket, ...measures }): DeltaRow[] => [
        { summary, period, bucket, key, ...minus(noMeasures(), measures) },
        { summary, period, bucket, key: to, ...measures },
      ]);
      await this.#change(changes);
      moved += rows.length;
      // The buckets and requests of a companion are those of its summary.
      if (companionBase(summary) !== undefined) continue;
      const counted = this.#keys.get(summary) ?? { buckets: 0, hits: 0 };
      counted.buckets += rows.length;
      if (period === 'month') counted.hits += sumOf(rows).hits;
      this.#keys.set(summary, counted);
    }
  }

  /**
   * Marks the hours from which records are missing. Needed if an app stored a record of the person after the records
   * were counted and before they were deleted, possibly in a run that was interrupted.
   */
  async #markMissing(): Promise<void> {
    await this.#session.renew();
    const { records } = await this.#reader.retention(this.#site);
    const summary = COVERAGE.name;
    const request = { site: this.#site, period: 'hour', ...ANY_DATE, target: undefined } as const;
    const from = records?.before ?? ANY_DATE.from;
    const hours = await this.#reader.series({ ...request, summary, from });
    const erased = new Map(
      (await this.#reader.series({ ...request, summary: ERASED.name, from })).map((row) => [
        row.bucket,
        row.hits,
      ]),
    );
    const missing = new Map<number, Measures>();
    for (const { bucket } of hours) {
      const counted = { ...COVERAGE, column: 'botName' } as const;
      const span = { period: 'hour', from: bucket, to: this.#zone.next('hour', bucket) - 1 } as const;
      const recount = await this.#reader.recount({ site: this.#site, summary: counted, ...span });
      const left = coverageSums(recount.coverage).all.hits - recount.records - (erased.get(bucket) ?? 0);
      if (left > 0) missing.set(bucket, { ...noMeasures(), hits: left });
    }
    await this.#mark({ hours: missing });
  }

  async #removeTexts(): Promise<void> {
    // Under the lease for pruning, because a pass ends early if another process starts one.
    const lease = new Lease(this.#maintenance, 'prune', randomUUID());
    for (const deadline = monotonicClock.now() + PRUNE_TIMEOUT; !(await lease.acquire()); ) {
      if (monotonicClock.now() >= deadline) {
        throw new TrackUsageError('MAINTENANCE_BUSY', { value: this.#label, site: this.#site });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
      await this.#session.renew();
    }
    try {
      await this.#sweep(lease);
    } finally {
      await lease.release();
    }
    this.#onProgress({ step: 'files', rows: 0 });
    await this.#maintenance.scrub();
  }

  async #sweep(lease: Lease): Promise<void> {
    // The writing end was opened for this deletion, so its pass begins here, behind everything that was deleted.
    for (let steps = 1; await this.#maintenance.sweep(); steps++) {
      this.#onProgress({ step: 'texts', rows: steps });
      await this.#session.renew();
      await lease.renew();
    }
  }

  async #change(changes: readonly DeltaRow[]): Promise<void> {
    for (let at = 0; at < changes.length; at += 2 * SUMS_PER_BATCH) {
      const part = changes.slice(at, at + 2 * SUMS_PER_BATCH);
      const months = new Set(part.map(({ bucket }) => this.#zone.monthOf(bucket)));
      await this.#session.change([...part, ...[...months].map((month) => changeMark(this.#zone, month))]);
    }
  }
}

/** Selects the sums of the person's key in a summary. */
export function sumsOf(site: string, summary: string, { value }: Person) {
  return { site, summary, ...ANY_DATE, target: value, offset: 0 };
}

/** Adds up the changes of the same key. */
function merged(changes: readonly DeltaRow[]): DeltaRow[] {
  const groups = Map.groupBy(changes, ({ period, bucket }) => `${period} ${bucket}`);
  return [...groups.values()].map((members) => ({ ...members[0]!, ...sumOf(members) }));
}
