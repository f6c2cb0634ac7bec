import type { TrackUsageError } from '../errors.ts';
import { monotonicClock, wallClock } from '../platform/clock.ts';
import type { KeyRow, Measures } from '../storage/contract.ts';
import { calendar, type Period } from '../summaries/periods.ts';
import { within } from './gate.ts';
import { refuse } from './problem.ts';
import type { Queries } from './queries.ts';

/** Result of comparing the summaries of a day with its records. */
export interface DayVerification {
  /** Number of buckets that were compared, over all summaries. */
  compared: number;
  /** Number of differences. */
  count: number;
  differences: readonly {
    summary: string;
    period: Period;
    date: string;
    key: KeyRow['key'];
    stored: Measures;
    counted: Measures;
  }[];
  /** Buckets that the records do not cover. */
  notCovered: readonly { buckets: number }[];
}

/** Compares the summaries of a day, for example `2026-11-25`, with its records. */
export type VerifyDay = (site: string, date: string) => Promise<DayVerification>;

/** Time for which a result is returned again. In ms. */
const REUSED = 60_000;
const MAX_DIFFERENCES = 20;
const NOTHING: DayVerification = { compared: 0, count: 0, differences: [], notCovered: [] };
/** Codes of errors that mean that nothing is stored yet. */
const EMPTY = ['SITE_EMPTY', 'STORAGE_NOT_FOUND'];

interface Verification {
  site: string;
  date: string;
  result: Promise<DayVerification>;
  /** `performance.now()` timestamp of its end, in ms; `undefined` while it runs. */
  end: number | undefined;
}

/**
 * Verifies yesterday, for the dashboard. It reads all records of a day, so at most one verification runs at a time, and
 * its result is returned again for a minute.
 */
export class Verifications {
  readonly #query: Queries;
  readonly #verify: VerifyDay;
  readonly #timeout: number;
  #last: Verification | undefined;

  constructor(query: Queries, verify: VerifyDay, timeout: number) {
    this.#query = query;
    this.#verify = verify;
    this.#timeout = timeout;
  }

  async yesterday(site: string) {
    const { timeZone } = await this.#query.site({ site });
    const zone = calendar(timeZone);
    const yesterday = zone.dayOf(zone.dayOf(wallClock.now()) - 1);
    const date = zone.format(yesterday).slice(0, '2026-11-25'.length);
    const found = await within(this.#run(site, date), this.#timeout);
    if (!found) {
      refuse(503, 'The verification is still running', 'Request the result again later.', 'QUERY_SLOW', {
        'retry-after': '10',
      });
    }
    const { compared, count, differences, notCovered } = found;
    return {
      site,
      date,
      compared,
      count,
      differences: differences.slice(0, MAX_DIFFERENCES),
      notCovered: notCovered.reduce((sum, { buckets }) => sum + buckets, 0),
    };
  }

  #run(site: string, date: string): Promise<DayVerification> {
    const last = this.#last;
    const isSame = last?.site === site && last.date === date;
    if (last && isSame && (last.end === undefined || monotonicClock.now() < last.end + REUSED))
      return last.result;
    if (last && last.end === undefined) {
      refuse(503, 'Another verification is running', 'Try again when it has finished.', 'QUERY_BUSY', {
        'retry-after': '10',
      });
    }
    const result = this.#verify(site, date).catch((error: TrackUsageError) => {
      if (!EMPTY.includes(error.code)) throw error;
      return NOTHING;
    });
    const verification: Verification = { site, date, result, end: undefined };
    this.#last = verification;
    verification.result.then(
      () => {
        verification.end = monotonicClock.now();
      },
      () => {
        this.#last = undefined;
      },
    );
    return verification.result;
  }
}
