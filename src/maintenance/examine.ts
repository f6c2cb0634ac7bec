import { TrackUsageError } from '../errors.ts';
import type { Measures, Recount } from '../storage/contract.ts';
import { isEqual, minus, sumOf } from '../storage/measures.ts';
import { COVERAGE, coverageKey, OTHERS } from '../summaries/coverage.ts';
import type { Summary } from '../summaries/define.ts';
import { companionBase, partsOfLatencyKey } from '../summaries/latency.ts';
import {
  type CoverageSums,
  coverageSums,
  differencesOf,
  type KeyDifference,
  latencyDifferencesOf,
} from './compare.ts';
import { type BucketRange, type Scope, type Uncovered, uncoveredBy } from './scope.ts';

/** Result of the comparison of a summary's bucket with its records. */
export type Finding =
  | { kind: 'equal' }
  | { kind: 'uncovered'; reason: Uncovered }
  /** The keys are not in the records. */
  | { kind: 'uncountable'; reason: string }
  /** Some records were stored without the summary; the others agree. */
  | { kind: 'partial'; hits: number; recount: Recount; coverage: CoverageSums }
  | { kind: 'different'; differences: KeyDifference[]; recount: Recount; coverage: CoverageSums };

/** Key under which the differences in the requests of bots are listed for `COVERAGE`. */
export const BOTS = 'bot';

/**
 * Counts `COVERAGE` by the column that distinguishes bots, since its own keys depend on the hooks of the app that
 * stored the records.
 */
const COUNTED_COVERAGE = { ...COVERAGE, column: 'botName' } as const;

/** Compares a bucket of a summary, or of `COVERAGE`, with its records. */
export async function examine(scope: Scope, bucket: BucketRange, summary: Summary): Promise<Finding> {
  const isCoverage = summary.name === COVERAGE.name;
  let recount: Recount;
  try {
    recount = await recountOf(scope, bucket, summary);
  } catch (error) {
    if (!(error instanceof TrackUsageError) || error.code !== 'SUMMARY_UNCOUNTABLE') throw error;
    return { kind: 'uncountable', reason: error.message };
  }
  const coverage = coverageSums(recount.coverage);
  const finding = isCoverage
    ? coverageFinding(recount, coverage)
    : summaryFinding(recount, coverage, summary);
  if (finding.kind === 'equal') return finding;
  // Read after the records are counted: the reason is stored before records are deleted, so it is never missed.
  const reason = await uncoveredBy(scope, bucket);
  return reason === undefined ? finding : { kind: 'uncovered', reason };
}

/** Recounts a bucket of a summary, or of `COVERAGE`, for which the counted keys are the names of bots. */
export function recountOf({ reader, site }: Scope, bucket: BucketRange, summary: Summary): Promise<Recount> {
  const isCoverage = summary.name === COVERAGE.name;
  return reader.recount({ site, summary: isCoverage ? COUNTED_COVERAGE : countable(summary), ...bucket });
}

/** Returns the summary as plain data, since the reader may run in another thread. */
function countable({ name, title, column, module, export: exported }: Summary) {
  return {
    name,
    title,
    ...(column !== undefined && { column }),
    ...(module !== undefined && { module }),
    ...(exported !== undefined && { export: exported }),
  };
}

function coverageFinding(recount: Recount, coverage: CoverageSums): Finding {
  const { people, bots } = countedCoverage(recount);
  const differences = [
    { key: null, stored: coverage.people, counted: people },
    { key: BOTS, stored: coverage.bots, counted: bots },
  ].filter(({ stored, counted }) => !isEqual(stored, counted));
  return differences.length === 0 ? { kind: 'equal' } : { kind: 'different', differences, recount, coverage };
}

/** Returns the sums of people and bots among the records, from a recount of `COVERAGE`. */
function countedCoverage({ counted }: Recount): Pick<CoverageSums, 'people' | 'bots'> {
  const people = sumOf(counted.filter(({ key }) => key === null));
  return { people, bots: minus(sumOf(counted), people) };
}

/** Returns the sums of `COVERAGE` if these summaries count all records of a recount. */
export function wantedCoverage(
  recount: Recount,
  summaries: readonly { name: string }[],
): Map<string | null, Measures> {
  const { people, bots } = countedCoverage(recount);
  const wanted = new Map<string | null, Measures>();
  if (people.hits > 0) wanted.set(coverageKey(summaries, false), people);
  if (bots.hits > 0) wanted.set(coverageKey(summaries, true), bots);
  return wanted;
}

function summaryFinding(recount: Recount, coverage: CoverageSums, { name, column }: Summary): Finding {
  const { stored, counted, records } = recount;
  const isCompanion = companionBase(name) !== undefined;
  const compare = isCompanion ? latencyDifferencesOf : differencesOf;
  const differences = compare(stored, counted, column !== undefined);
  const missing = records - coverage.of(name);
  if (coverage.all.hits === records && missing > 0) {
    // In a custom summary, a request may count under several keys.
    const isTotal = column === undefined || sumOf(stored).hits === coverage.of(name);
    const isPart = differences.every(({ stored: has, counted: most, key }) => {
      const own = isCompanion && key !== null ? partsOfLatencyKey(key).key : key;
      return own === OTHERS || has.hits <= most.hits;
    });
    if (isTotal && isPart) return { kind: 'partial', hits: missing, recount, coverage };
  }
  if (differences.length === 0) return { kind: 'equal' };
  return { kind: 'different', differences, recount, coverage };
}
