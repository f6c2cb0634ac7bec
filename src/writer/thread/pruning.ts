import { randomUUID } from 'node:crypto';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { monotonicClock, wallClock } from '../../platform/clock.ts';
import type { StorageMaintenance } from '../../storage/contract.ts';
import { type PruneStep, prunePlan, pruneSteps } from '../../storage/prune.ts';
import { isReplaced } from '../../storage/replaced.ts';
import type { Retention } from '../../storage/retention.ts';
import { calendar } from '../../summaries/periods.ts';

/** Time from the opening of a storage to its first pruning, so that an app that starts is not delayed. */
const DELAY_MS = 60_000;
/** Interval between two prunings. */
const INTERVAL_MS = 3_600_000;
/** Time after which a failed pruning is repeated. */
const RETRY_MS = 300_000;

/** Deletes expired data of a storage, in short steps between its batches. */
export class Pruning {
  readonly #maintenance: StorageMaintenance;
  readonly #retention: Retention;
  readonly #timeZone: string;
  readonly #label: string;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #holder = randomUUID();
  #due: number;
  #steps: AsyncGenerator<PruneStep> | undefined;

  constructor(
    maintenance: StorageMaintenance,
    { retention, timeZone, label }: { retention: Retention; timeZone: string; label: string },
    onProblem: (error: TrackUsageError) => void,
    delay: number = DELAY_MS,
  ) {
    this.#maintenance = maintenance;
    this.#retention = retention;
    this.#timeZone = timeZone;
    this.#label = label;
    this.#onProblem = onProblem;
    this.#due = monotonicClock.now() + delay;
  }

  /**
   * Runs one step, if one is due. Returns the number of deleted rows, or `undefined` if there is nothing to do now.
   * A failure is reported and retried later, because records can still be stored. Throws only if the database was
   * replaced.
   */
  async step(): Promise<number | undefined> {
    if (monotonicClock.now() < this.#due) return undefined;
    try {
      this.#steps ??= this.#begin();
      const { done, value } = await this.#steps.next();
      if (!done) return value.rows;
      this.#end(INTERVAL_MS);
    } catch (error) {
      this.#end(RETRY_MS);
      if (isReplaced(error)) throw error;
      const values = { storage: this.#label, reason: reasonOf(error) };
      this.#onProblem(new TrackUsageError('PRUNE_FAILED', values, { cause: error }));
    }
    return undefined;
  }

  /** Ends a pruning in progress, and its lease. Never rejects. */
  async stop(): Promise<void> {
    const steps = this.#steps;
    this.#end(Number.POSITIVE_INFINITY);
    // A lease that cannot be ended ends by itself.
    await steps?.return(undefined).catch(() => {});
  }

  #begin(): AsyncGenerator<PruneStep> {
    const plan = prunePlan(this.#retention, calendar(this.#timeZone), wallClock.now());
    return pruneSteps(this.#maintenance, plan, this.#holder);
  }

  #end(ms: number): void {
    this.#steps = undefined;
    this.#due = monotonicClock.now() + ms;
  }
}
