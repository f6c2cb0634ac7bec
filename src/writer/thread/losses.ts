import { TrackUsageError } from '../../errors.ts';
import type { LossCause, ReadReport } from '../../journal/reader.ts';
import { monotonicClock } from '../../platform/clock.ts';
import type { OpenJournal } from './journals.ts';

/** Interval at which losses of one journal are reported, unless it ends earlier. */
const REPORT_INTERVAL_MS = 60_000;

/** Records that never reached a storage, by cause, and the number of damaged bytes. */
export interface Losses extends Record<LossCause, number> {
  bytes: number;
}

export const NO_LOSSES: Readonly<Losses> = { damaged: 0, dropped: 0, bytes: 0 };

/** Adds everything that one reading finds to `losses`. */
export function counting(losses: Losses): Pick<ReadReport, 'damaged' | 'lost'> {
  return {
    damaged: (bytes) => {
      losses.bytes += bytes;
    },
    lost: (records, cause) => {
      losses[cause] += records;
    },
  };
}

/**
 * Losses of one storage in one journal. Reported once, in total, at the end of a dead process's journal.
 * While a process lives, or reading takes long, new losses are reported at most once per minute.
 */
export class LossReport {
  readonly #journal: OpenJournal;
  readonly #onProblem: (problem: TrackUsageError) => void;
  #losses: Losses = { ...NO_LOSSES };
  #since: number;

  constructor(journal: OpenJournal, onProblem: (problem: TrackUsageError) => void) {
    this.#journal = journal;
    this.#onProblem = onProblem;
    this.#since = journal.live ? Number.NEGATIVE_INFINITY : monotonicClock.now();
  }

  add({ damaged, dropped, bytes }: Losses): void {
    this.#losses.damaged += damaged;
    this.#losses.dropped += dropped;
    this.#losses.bytes += bytes;
  }

  /** Reports the losses that are due. `isEnd`: true if reading has ended, so that all losses are due. */
  reportIfDue(isEnd: boolean): void {
    const { damaged, dropped, bytes } = this.#losses;
    if (damaged + dropped + bytes === 0) return;
    const now = monotonicClock.now();
    if (!isEnd && now - this.#since < REPORT_INTERVAL_MS) return;
    this.#since = now;
    this.#losses = { ...NO_LOSSES };
    if (damaged + bytes > 0) this.#report('JOURNAL_CORRUPT', { records: damaged, bytes });
    if (dropped > 0) this.#report('JOURNAL_DROPPED', { records: dropped });
  }

  /** Reports losses. Storages with the same losses report them once. */
  #report(code: 'JOURNAL_CORRUPT' | 'JOURNAL_DROPPED', values: Record<string, number>): void {
    const error = new TrackUsageError(code, { value: this.#journal.directory, ...values });
    const { live, reported } = this.#journal;
    if (reported.has(error.message)) return;
    if (!live) reported.add(error.message);
    this.#onProblem(error);
  }
}
