import { randomUUID } from 'node:crypto';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { monotonicClock, wallClock } from '../../platform/clock.ts';
import type { StorageMaintenance } from '../../storage/contract.ts';
import { type PruneStep, pruneSteps } from '../../storage/prune.ts';
import { type ClockJump, type PrunePlan, planPruning, prunePlan } from '../../storage/prune-plan.ts';
import { isReplaced } from '../../storage/replaced.ts';
import { PARTS, type Retention, type StoredRetention } from '../../storage/retention.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';

/** Time from the opening of a storage to its first pruning, so that an app that starts is not delayed. */
const DELAY_MS = 60_000;
/** Interval between two prunings. */
const INTERVAL_MS = 3_600_000;
/** Time after which a failed pruning is retried. */
const RETRY_MS = 300_000;
/** Time for which a clock that is far ahead of the last pruning must run before it is trusted. */
const TRUST_MS = 24 * 3_600_000;
/**
 * Time for which it must run before a small step is made, so that an app that restarts every day does not keep data
 * forever. The next pruning notices the step, so there is one every 4 hours.
 */
const STEP_MS = 3 * 3_600_000;

/** Clock that is not trusted yet. Times are `performance.now()` timestamps, in ms. */
interface Delay {
  /** First pruning that was postponed. */
  since: number;
  /** Date of the last pruning, which may be a small step of another process. In ms since 1970. */
  last: number;
  /** Time at which another value of `last` was found. */
  changed: number;
  problem: TrackUsageError | undefined;
}

/** Deletes expired data of a storage, in short steps between its batches. */
export class Pruning {
  /** Problem that keeps expired data from being deleted, if any. */
  problem: TrackUsageError | undefined;
  readonly #maintenance: StorageMaintenance;
  readonly #retention: Retention;
  readonly #zone: Calendar;
  readonly #label: string;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #holder = randomUUID();
  #due: number;
  #steps: AsyncGenerator<PruneStep> | undefined;
  /** Date of the newest record when the storage was opened. */
  #newest: { date: number | undefined } | undefined;
  #delay: Delay | undefined;
  #isAhead = false;

  constructor(
    maintenance: StorageMaintenance,
    { retention, timeZone, label }: { retention: Retention; timeZone: string; label: string },
    onProblem: (error: TrackUsageError) => void,
    delay: number = DELAY_MS,
  ) {
    this.#maintenance = maintenance;
    this.#retention = retention;
    this.#zone = calendar(timeZone);
    this.#label = label;
    this.#onProblem = onProblem;
    this.#due = monotonicClock.now() + delay;
  }

  /**
   * Reads the date of the newest record, before this process stores records with dates from a clock that may be wrong.
   * A failure is reported, because records can still be stored. Throws only if the database was replaced.
   */
  async prepare(): Promise<void> {
    try {
      this.#newest = { date: (await this.#maintenance.times()).newest };
    } catch (error) {
      this.#reportFailure(error);
    }
  }

  /**
   * Runs one step, if one is due. Returns the number of deleted rows, or `undefined` if there is nothing to do now.
   * A failure is reported and retried later, because records can still be stored. Throws only if the database was
   * replaced.
   */
  async step(): Promise<number | undefined> {
    if (monotonicClock.now() < this.#due) return undefined;
    try {
      this.#steps ??= await this.#begin();
      const { done, value } = (await this.#steps?.next()) ?? { done: true };
      if (!done) return value.rows;
      if (this.#steps) this.problem = this.#delay?.problem;
      this.#end(INTERVAL_MS);
    } catch (error) {
      this.#end(RETRY_MS);
      this.#reportFailure(error);
    }
    return undefined;
  }

  /** Ends a pruning in progress, and releases its lease. Never rejects. */
  async stop(): Promise<void> {
    const steps = this.#steps;
    this.#end(Number.POSITIVE_INFINITY);
    // A lease that cannot be released expires.
    await steps?.return(undefined).catch(() => {});
  }

  /** Plans the steps. Returns `undefined` if the clock is not trusted yet. */
  async #begin(): Promise<AsyncGenerator<PruneStep> | undefined> {
    const times = await this.#maintenance.times();
    this.#newest ??= { date: times.newest };
    const evidence = { ...times, newest: this.#newest.date };
    const planned = planPruning(this.#retention, this.#zone, wallClock.now(), evidence);
    this.#reportAhead(planned);
    const plan = this.#trustedPlan(planned);
    if (!plan) return undefined;
    const { corrected } = planned;
    for (const part of PARTS) {
      if (!corrected[part]) continue;
      const before = this.#zone.format(times.retention[part]!.before!);
      this.#onProblem(new TrackUsageError('RETENTION_CORRECTED', { storage: this.#label, before }));
    }
    return pruneSteps(this.#maintenance, plan, this.#holder, corrected);
  }

  #reportFailure(error: unknown): void {
    if (isReplaced(error)) throw error;
    const values = { storage: this.#label, reason: reasonOf(error) };
    this.problem = new TrackUsageError('PRUNE_FAILED', values, { cause: error });
    this.#onProblem(this.problem);
  }

  #reportAhead({ ahead }: PrunePlan): void {
    if (ahead !== undefined && !this.#isAhead) {
      const hours = Math.round(ahead / 3_600_000).toLocaleString('en-US');
      const values = { storage: this.#label, hours };
      this.#onProblem(new TrackUsageError('CLOCK_AHEAD', values));
    }
    this.#isAhead = ahead !== undefined;
  }

  /**
   * Returns the plan to follow. While the clock is far ahead of the last pruning and not trusted yet, returns `undefined`
   * or the plan of a small step.
   */
  #trustedPlan({ plan, jump }: PrunePlan): StoredRetention | undefined {
    const now = monotonicClock.now();
    if (jump === undefined) {
      this.#delay = undefined;
      return plan;
    }
    this.#delay ??= this.#reportDelay(jump);
    const delay = this.#delay;
    if (now - delay.since >= TRUST_MS) {
      delay.problem = undefined;
      return plan;
    }
    if (jump.last !== delay.last) Object.assign(delay, { last: jump.last, changed: now });
    return now - delay.changed < STEP_MS ? undefined : prunePlan(this.#retention, this.#zone, jump.next);
  }

  #reportDelay({ now, last }: ClockJump): Delay {
    const [at, before] = [now, last].map((ms) => this.#zone.format(ms));
    const problem = new TrackUsageError('PRUNE_DELAYED', { storage: this.#label, now: at!, last: before! });
    this.problem = problem;
    this.#onProblem(problem);
    const since = monotonicClock.now();
    return { since, last, changed: since, problem };
  }

  #end(ms: number): void {
    this.#steps = undefined;
    this.#due = monotonicClock.now() + ms;
  }
}
