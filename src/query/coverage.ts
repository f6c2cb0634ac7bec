import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Measures, Span } from '../storage/contract.ts';
import { addMeasures, noMeasures } from '../storage/measures.ts';
import { COVERAGE, coveredBy, isOfBots } from '../summaries/coverage.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { orElse } from './or-else.ts';
import type { Bots, Coverage, Gap } from './query-types.ts';
import type { Horizons } from './retention.ts';

/** Sums of all requests of a query in one bucket, and number of those that each summary counts. */
export interface StoredBucket {
  period: Period;
  /** Start of the bucket, in ms since 1970. */
  start: number;
  all: Measures;
  /** Number of requests in `all` that came from bots. */
  bots: number;
  counted: Map<string, number>;
}

/** Site of a coverage, and the exclusive end of its range in ms since 1970. */
interface CoverageScope {
  site: string;
  bots: Bots;
  zone: Calendar;
  horizons: Horizons;
  end: number;
}

type Reader = Pick<CompleteReader, 'sums'>;

const SHORTER: Readonly<Partial<Record<Period, Period>>> = { month: 'day', day: 'hour' };
/**
 * Maximum number of buckets split to locate the edges of gaps. Further gaps start and end with days or
 * months.
 */
const MAX_SPLIT_BUCKETS = 200;

/**
 * Returns the nonempty buckets of these spans, oldest first.
 * @param bots Requests to count.
 */
export async function storedIn(
  reader: Reader,
  site: string,
  spans: readonly Span[],
  bots: Bots,
): Promise<StoredBucket[]> {
  const pieces = await Promise.all(
    spans.map(async ({ period, from, to }) => {
      const request = { site, summary: COVERAGE.name, period, from, to, target: undefined };
      const rows = await orElse(reader.sums({ ...request, limit: 0, offset: 0 }), []);
      const buckets = new Map<number, StoredBucket>();
      for (const { bucket: start, key, ...measures } of rows) {
        const isBot = isOfBots(key);
        if (bots !== 'include' && isBot !== (bots === 'only')) continue;
        const bucket = buckets.get(start) ?? emptyBucket(period, start);
        buckets.set(start, bucket);
        addMeasures(bucket.all, measures);
        if (isBot) bucket.bots += measures.hits;
        for (const name of coveredBy(key)) {
          bucket.counted.set(name, (bucket.counted.get(name) ?? 0) + measures.hits);
        }
      }
      return [...buckets.values()];
    }),
  );
  return pieces.flat().sort((a, b) => a.start - b.start);
}

function emptyBucket(period: Period, start: number): StoredBucket {
  return { period, start, all: noMeasures(), bots: 0, counted: new Map() };
}

/** Returns whether a later request is stored in the last month of a range that ends now. */
export async function hasLater(
  reader: Reader,
  { site, zone, end }: Pick<CoverageScope, 'site' | 'zone' | 'end'>,
  period: Period = 'month',
): Promise<boolean> {
  const last = zone.next(period, zone.bucketOf(period, end - 1));
  if (last <= end) return false;
  const request = { site, summary: COVERAGE.name, period: 'hour', from: end, to: last - 1 } as const;
  return (await orElse(reader.sums({ ...request, target: undefined, limit: 1, offset: 0 }), [])).length > 0;
}

/** Returns the total of all requests in the buckets. */
export function allOf(buckets: readonly StoredBucket[]): Measures {
  const total = noMeasures();
  for (const { all } of buckets) addMeasures(total, all);
  return total;
}

/** Returns the number of requests of bots in the buckets. */
export function botsOf(buckets: readonly StoredBucket[]): number {
  return buckets.reduce((sum, { bots }) => sum + bots, 0);
}

/** Returns the number of requests in the buckets that a summary counts. */
export function countedOf(buckets: readonly StoredBucket[], summary: string): number {
  return buckets.reduce((sum, { counted }) => sum + (counted.get(summary) ?? 0), 0);
}

/** Returns the coverage of a result from the records, which are complete. */
export function completeCoverage(): Coverage {
  return { complete: true, gaps: [] };
}

/** Returns the stored requests in the buckets that these summaries leave out. */
export async function coverageOf(
  reader: Reader,
  scope: CoverageScope,
  buckets: readonly StoredBucket[],
  summaries: readonly string[],
): Promise<Coverage> {
  const gaps = await Promise.all(summaries.map((summary) => gapsOf(reader, scope, buckets, summary)));
  return { complete: gaps.every(({ length }) => length === 0), gaps: gaps.flat() };
}

/** Returns the gaps. Splits the buckets at both ends of a gap until it starts and ends with an hour. */
async function gapsOf(
  reader: Reader,
  scope: CoverageScope,
  stored: readonly StoredBucket[],
  summary: string,
): Promise<Gap[]> {
  const isSplit = new Set<StoredBucket>();
  let buckets = stored;
  let runs = runsOf(buckets, summary);
  while (isSplit.size < MAX_SPLIT_BUCKETS) {
    const edges = runs.flatMap((run) => [run[0]!, run.at(-1)!]);
    const wanted = new Set(edges.filter((edge) => SHORTER[edge.period] && !isSplit.has(edge)));
    if (wanted.size === 0) break;
    const split = async (bucket: StoredBucket) =>
      wanted.has(bucket) ? await partsOf(reader, scope, bucket) : [bucket];
    for (const bucket of wanted) isSplit.add(bucket);
    buckets = (await Promise.all(buckets.map(split))).flat();
    runs = runsOf(buckets, summary);
  }
  return runs.map((run) => gapOf(scope, run, summary));
}

/** Returns the shorter buckets of a day or month, or the bucket itself if they have expired. */
async function partsOf(
  reader: Reader,
  { site, zone, bots, horizons }: CoverageScope,
  bucket: StoredBucket,
): Promise<StoredBucket[]> {
  const period = SHORTER[bucket.period]!;
  if (bucket.start < horizons[period]) return [bucket];
  const to = zone.next(bucket.period, bucket.start) - 1;
  const parts = await storedIn(reader, site, [{ period, from: bucket.start, to }], bots);
  return allOf(parts).hits < bucket.all.hits ? [bucket] : parts;
}

/** Groups the buckets from which a summary omits requests into runs without complete buckets in between. */
function runsOf(buckets: readonly StoredBucket[], summary: string): StoredBucket[][] {
  const runs: StoredBucket[][] = [];
  let run: StoredBucket[] | undefined;
  for (const bucket of buckets) {
    if (bucket.counted.get(summary) === bucket.all.hits) {
      run = undefined;
      continue;
    }
    if (!run) {
      run = [];
      runs.push(run);
    }
    run.push(bucket);
  }
  return runs;
}

function gapOf({ zone, end }: CoverageScope, run: readonly StoredBucket[], summary: string): Gap {
  const last = run.at(-1)!;
  const until = Math.min(zone.next(last.period, last.start), Math.max(end, last.start + 1));
  return {
    summary,
    from: zone.format(run[0]!.start),
    to: zone.format(zone.hourOf(until - 1)),
    hits: allOf(run).hits - countedOf(run, summary),
  };
}
