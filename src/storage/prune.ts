import { monotonicClock } from '../platform/clock.ts';
import type { StorageMaintenance } from './contract.ts';
import { PARTS, type Part, type StoredRetention } from './retention.ts';

/** One short step of a pruning. Batches may be stored between two steps. */
export interface PruneStep {
  /** Part whose rows were deleted; `texts` for unreferenced texts. */
  part: Part | 'texts';
  /** Number of deleted rows; 0 if unknown, as for texts. */
  rows: number;
}

/** Name of the task in requests of the pruning lease. */
const TASK = 'prune';
/** Time after which another process may continue if this one is killed, in ms. */
export const LEASE = 60_000;
/** Durations of a step beyond which the size of the next one is adjusted, so that batches wait only briefly. In ms. */
const LONG_STEP = 40;
const SHORT_STEP = 15;
/** Limits of the number of rows deleted in a step. */
const MIN_ROWS = 100;
const MAX_ROWS = 50_000;
/** Number of rows deleted in the first step. */
export const FIRST_ROWS = 1_000;

/**
 * Deletes everything before the instants of a plan, in steps of about 15 to 40 ms, then unreferenced texts. Ends early and
 * returns false if another process prunes the site. Stopping between two steps is harmless.
 * @param plan Retention in force: see `planPruning`. It is stored first.
 * @param holder Random ID of the process, for the lease.
 * @param corrected Starts of kept data that replace later ones.
 */
export async function* pruneSteps(
  maintenance: StorageMaintenance,
  plan: StoredRetention,
  holder: string,
  corrected: StoredRetention = {},
): AsyncGenerator<PruneStep, boolean> {
  const lease = new Lease(maintenance, TASK, holder);
  if (!(await lease.acquire())) return false;
  try {
    if (Object.keys(corrected).length > 0) await maintenance.retain(corrected, true);
    await maintenance.retain(plan);
    let deleted = 0;
    for (const part of PARTS) {
      const before = plan[part]?.before ?? null;
      if (before === null) continue;
      let limit = FIRST_ROWS;
      for (;;) {
        if (!(await lease.renew())) return false;
        const begin = monotonicClock.now();
        const rows = await maintenance.prune({ part, before, limit });
        if (rows === 0) break;
        limit = nextLimit(limit, monotonicClock.now() - begin);
        deleted += rows;
        yield { part, rows };
      }
    }
    // A pass reads every text, which is only worthwhile after rows that referred to texts were deleted.
    for (let isMore = deleted > 0; isMore; ) {
      if (!(await lease.renew())) return false;
      isMore = await maintenance.sweep();
      yield { part: 'texts', rows: 0 };
    }
    return true;
  } finally {
    await lease.release();
  }
}

/** Returns the number of rows for the next step, from the duration of the last one in ms. */
export function nextLimit(limit: number, took: number): number {
  if (took > LONG_STEP) return Math.max(MIN_ROWS, Math.floor(limit / 2));
  return took < SHORT_STEP ? Math.min(MAX_ROWS, limit * 2) : limit;
}

/** Lease for a task with many steps. */
export class Lease {
  readonly #maintenance: Pick<StorageMaintenance, 'lease'>;
  readonly #task: string;
  readonly #holder: string;
  readonly #ms: number;
  /** `performance.now()` timestamp of the last request, in ms. */
  #requested = Number.NEGATIVE_INFINITY;
  #isHeld = false;

  constructor(
    maintenance: Pick<StorageMaintenance, 'lease'>,
    task: string,
    holder: string,
    ms: number = LEASE,
  ) {
    this.#maintenance = maintenance;
    this.#task = task;
    this.#holder = holder;
    this.#ms = ms;
  }

  /** True if the lease has expired, so that another process may have held it. */
  get hasEnded(): boolean {
    return monotonicClock.now() - this.#requested >= this.#ms;
  }

  /** Requests the lease. Returns false if another process holds it. */
  async acquire(): Promise<boolean> {
    // Taken before the request, so that the lease never ends earlier than assumed.
    const now = monotonicClock.now();
    this.#isHeld = await this.#maintenance.lease({ task: this.#task, holder: this.#holder, ms: this.#ms });
    this.#requested = now;
    return this.#isHeld;
  }

  /** Requests the lease again if a third of its duration has passed. Returns false if another process holds it. */
  async renew(): Promise<boolean> {
    return monotonicClock.now() - this.#requested < this.#ms / 3 ? this.#isHeld : this.acquire();
  }

  /** Releases the lease, so that other processes need not wait until it expires. */
  async release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    await this.#maintenance.lease({ task: this.#task, holder: this.#holder, ms: 0 });
  }
}
