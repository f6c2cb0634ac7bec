import { COVERAGE } from '../summaries/coverage.ts';
import type { Period } from '../summaries/periods.ts';
import type { KeyDifference } from './compare.ts';
import { examine } from './examine.ts';
import {
  type BucketRange,
  bucketsOf,
  type Scope,
  type ScopeOptions,
  scopeOf,
  type Uncovered,
} from './scope.ts';

/** Sums of one key that differ between a summary and the records. */
export interface Difference extends KeyDifference {
  /** Name of the summary. `coverage` has the totals of all requests, with the key `bot` for bots and `null` for people. */
  summary: string;
  /** Period of the bucket. */
  period: Period;
  /** Start of the bucket, with the site's offset. */
  date: string;
}

/** Range of buckets of one period with the same finding. Both ends are starts of buckets, with the site's offset. */
export interface BucketList {
  /** Period of the buckets. */
  period: Period;
  /** Start of the first bucket. */
  from: string;
  /** Start of the last bucket. */
  to: string;
  /** Number of buckets. */
  buckets: number;
}

/** Requests that a summary does not count, because they were stored without it. */
export interface NotCounted extends BucketList {
  /** Name of the summary. */
  summary: string;
  /** Number of requests. */
  hits: number;
}

/** Buckets whose records are incomplete, so that their sums cannot be compared. */
export interface NotCovered extends BucketList {
  /** Reason: `retention` deleted the records, or they were `erased` with a person. */
  reason: Uncovered;
}

/** Summary whose keys cannot be counted from the records. */
export interface Uncountable {
  /** Name of the summary. */
  summary: string;
  /** Reason, as a sentence. */
  reason: string;
}

/** Result of `verify`. */
export interface VerifyResult {
  /** Name of the site. */
  site: string;
  /** Names of the compared summaries. */
  summaries: string[];
  /** Number of buckets that were compared, over all summaries. */
  compared: number;
  /** Number of all differences. */
  count: number;
  /** The first 1,000 differences. */
  differences: Difference[];
  /** Requests that summaries do not count, because they were stored without them. `rebuild` adds them. */
  notCounted: NotCounted[];
  /** Buckets that the records do not cover completely. */
  notCovered: NotCovered[];
  /** Summaries that were not compared, because their keys cannot be counted. */
  uncountable: Uncountable[];
}

const MAX_DIFFERENCES = 1_000;

/**
 * Counts the stored records again, and compares the result with the summaries, bucket by bucket. Each bucket and its
 * records are read at one point in time, so apps may continue to store records. Changes nothing.
 */
export async function verify(options: ScopeOptions): Promise<VerifyResult> {
  const scope = await scopeOf(options);
  const { covered, uncovered } = await bucketsOf(scope);
  const found = new Findings(scope);
  for (const bucket of uncovered) found.addUncovered(bucket, bucket.reason);
  let compared = 0;
  const differences: Difference[] = [];
  let count = 0;
  for (const [done, bucket] of covered.entries()) {
    options.onProgress?.({ done, total: covered.length });
    for (const summary of [...scope.summaries, COVERAGE]) {
      const finding = await examine(scope, bucket, summary);
      if (finding.kind === 'uncovered') {
        found.addUncovered(bucket, finding.reason);
        break;
      }
      if (finding.kind === 'uncountable') found.addUncountable(summary.name, finding.reason);
      else compared += 1;
      if (finding.kind === 'partial') found.addNotCounted(bucket, summary.name, finding.hits);
      if (finding.kind !== 'different') continue;
      count += finding.differences.length;
      for (const each of finding.differences.slice(0, MAX_DIFFERENCES - differences.length)) {
        const { period, from } = bucket;
        differences.push({ summary: summary.name, period, date: scope.zone.format(from), ...each });
      }
    }
  }
  return {
    site: scope.site,
    summaries: scope.summaries.map(({ name }) => name),
    compared,
    count,
    differences,
    ...found.lists(),
  };
}

/** Collects buckets into lists, by finding. */
export class Findings {
  readonly #scope: Pick<Scope, 'zone'>;
  readonly #notCounted = new Map<string, NotCounted>();
  readonly #notCovered = new Map<string, NotCovered>();
  readonly #uncountable = new Map<string, Uncountable>();

  constructor(scope: Pick<Scope, 'zone'>) {
    this.#scope = scope;
  }

  addUncovered(bucket: BucketRange, reason: Uncovered): void {
    this.#add(this.#notCovered, `${bucket.period} ${reason}`, bucket, { reason });
  }

  addNotCounted(bucket: BucketRange, summary: string, hits: number): void {
    const key = `${bucket.period} ${summary}`;
    const list = this.#add(this.#notCounted, key, bucket, { summary, hits: 0 });
    list.hits += hits;
  }

  addUncountable(summary: string, reason: string): void {
    if (!this.#uncountable.has(summary)) this.#uncountable.set(summary, { summary, reason });
  }

  lists() {
    return {
      notCounted: [...this.#notCounted.values()],
      notCovered: [...this.#notCovered.values()],
      uncountable: [...this.#uncountable.values()],
    };
  }

  /** Adds a bucket to the list of a key, and returns the list. Buckets are added oldest first. */
  #add<T extends BucketList>(
    lists: Map<string, T>,
    key: string,
    { period, from }: BucketRange,
    rest: Omit<T, keyof BucketList>,
  ): T {
    const date = this.#scope.zone.format(from);
    let list = lists.get(key);
    if (!list) {
      list = { ...rest, period, from: date, to: date, buckets: 0 } as T;
      lists.set(key, list);
    }
    list.to = date;
    list.buckets += 1;
    return list;
  }
}
