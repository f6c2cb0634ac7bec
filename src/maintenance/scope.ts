import { TrackUsageError } from '../errors.ts';
import { invalid } from '../query/invalid.ts';
import { endOf, type When } from '../query/range.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import { storedNames } from '../query/sums-and-records.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Range } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import type { StoredRetention } from '../storage/retention.ts';
import { COVERAGE, ERASED } from '../summaries/coverage.ts';
import type { Summary } from '../summaries/define.ts';
import { companionBase, companionName, companionOf } from '../summaries/latency.ts';
import { type Calendar, PERIODS, type Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';

/** Selects the buckets that are verified or rebuilt. */
export interface ScopeOptions {
  /** Storage to read. */
  storage: Storage;
  /** Name of the site. Defaults to `default`. */
  site?: string | undefined;
  /** Summaries, or their names. Defaults to all that are stored. */
  summaries?: readonly (Summary | string)[] | undefined;
  /** Start of the first bucket. Defaults to the oldest. */
  from?: When | undefined;
  /** End of the range: the hour, day (`2026-11-25`) or month (`2026-11`) that it names. Defaults to the newest. */
  to?: When | undefined;
  /** Called repeatedly with the progress. */
  onProgress?: ((progress: MaintenanceProgress) => void) | undefined;
}

/** Progress of a verification or a rebuild. */
export interface MaintenanceProgress {
  /** Number of buckets that were processed. */
  done: number;
  /** Number of all buckets. */
  total: number;
}

/** Buckets and summaries of a site that are compared with the records. */
export interface Scope {
  reader: CompleteReader;
  site: string;
  zone: Calendar;
  summaries: readonly Summary[];
  /** Range of the starts of the buckets, in ms since 1970. */
  range: Range;
  /** True if the records are known to cover all buckets. Defaults to false. */
  isCovered?: boolean;
}

/** Bucket of a period. `from` is its start, `to` its last ms. */
export interface BucketRange extends Range {
  period: Period;
}

/** Reason why the records do not cover a bucket completely. */
export type Uncovered = 'retention' | 'erased';

/** Checks the options, and resolves the summaries and the range. */
export async function scopeOf(options: ScopeOptions): Promise<Scope> {
  const { storage, site = 'default', summaries, from, to } = options;
  const { reader } = storage;
  const zone = await storedZone(storage, site);
  const stored = await storedNames(reader, site);
  const range = {
    from: from === undefined ? ANY_DATE.from : zone.parse(from, 'from'),
    to: to === undefined ? ANY_DATE.to : endOf(to, zone) - 1,
  };
  // Otherwise, nothing would be compared, and no differences would be reported.
  if (range.from > range.to) throw invalid('from', from, 'a time that is not after "to"');
  return {
    reader,
    site,
    zone,
    summaries: withStoredCompanions(
      (summaries ?? withoutCompanions(stored)).map((each) => summaryOf(storage, each, stored)),
      stored,
    ),
    range,
  };
}

/** Returns the definitions of all stored summaries. Given definitions take precedence over those of the storage. */
export function definitionsOf(
  storage: Storage,
  given: readonly (Summary | string)[],
  stored: readonly string[],
): Summary[] {
  const named = given.map((each) => summaryOf(storage, each, stored));
  const others = withoutCompanions(stored).filter((name) => !named.some((each) => each.name === name));
  const all = [...named, ...others.map((name) => summaryOf(storage, name, stored))];
  return withStoredCompanions(all, stored);
}

/** Adds the companions that are stored, and those that are missing although the summary has one. */
function withStoredCompanions(summaries: readonly Summary[], stored: readonly string[]): Summary[] {
  return summaries.flatMap((summary) => {
    const hasCompanion = summary.latency || stored.includes(companionName(summary.name));
    return hasCompanion ? [summary, companionOf(summary)] : [summary];
  });
}

function withoutCompanions(names: readonly string[]): string[] {
  return names.filter((name) => companionBase(name) === undefined);
}

/** Returns the summary with a name. A custom summary that is not among the storage's hooks has no key function. */
function summaryOf(storage: Storage, given: Summary | string, stored: readonly string[]): Summary {
  if (typeof given !== 'string') return given;
  const found = storage.kept(given) ?? known(given);
  if (found !== undefined && !('members' in found)) return found;
  const custom = withoutCompanions(stored);
  if (custom.includes(given)) return { name: given, title: given };
  const names = new Set([...STANDARD_SUMMARIES.map(({ name }) => name), ...custom]);
  throw new TrackUsageError('SUMMARY_UNKNOWN', {
    value: JSON.stringify(given),
    known: [...names].join(', '),
  });
}

/** Buckets that are compared, and those that cannot be. */
export interface FoundBuckets {
  covered: BucketRange[];
  uncovered: (BucketRange & { reason: Uncovered })[];
}

/**
 * Returns the buckets with sums or records: first hours, then days, then months, each oldest first. Deleted buckets are
 * omitted.
 */
export async function bucketsOf(scope: Scope): Promise<FoundBuckets> {
  const { reader, site, zone, isCovered = false } = scope;
  const retention = await reader.retention(site);
  const starts = await startsOf(scope, retention);
  const found: FoundBuckets = { covered: [], uncovered: [] };
  for (const period of PERIODS) {
    const erased = await erasedBuckets(reader, site, period);
    for (const from of [...starts[period]].sort((a, b) => a - b)) {
      if (from < (retention[period]?.before ?? ANY_DATE.from)) continue;
      const bucket = { period, from, to: zone.next(period, from) - 1 };
      const reason = isPruned(bucket, retention) ? 'retention' : erased.has(from) ? 'erased' : undefined;
      if (isCovered || reason === undefined) found.covered.push(bucket);
      else found.uncovered.push({ ...bucket, reason });
    }
  }
  return found;
}

/** Returns why the records do not cover a bucket, or `undefined` if they do. Call it after counting them. */
export async function uncoveredBy(
  { reader, site, isCovered }: Scope,
  bucket: BucketRange,
): Promise<Uncovered | undefined> {
  if (isCovered) return undefined;
  const retention = await reader.retention(site);
  // The sums may also have been deleted since the bucket was selected.
  const { from, period } = bucket;
  if (isPruned(bucket, retention) || from < (retention[period]?.before ?? ANY_DATE.from)) return 'retention';
  return (await erasedBuckets(reader, site, bucket.period, bucket)).size > 0 ? 'erased' : undefined;
}

function isPruned({ from }: BucketRange, { records }: StoredRetention): boolean {
  return from < (records?.before ?? ANY_DATE.from);
}

async function erasedBuckets(
  reader: CompleteReader,
  site: string,
  period: Period,
  { from, to }: Range = ANY_DATE,
): Promise<Set<number>> {
  const request = { site, summary: ERASED.name, period, from, to, target: undefined };
  const rows = await reader.series(request);
  return new Set(rows.filter(({ hits }) => hits !== 0).map(({ bucket }) => bucket));
}

/** Returns the starts of the buckets in the range that have sums or records. */
async function startsOf(
  { reader, site, zone, summaries, range }: Scope,
  retention: StoredRetention,
): Promise<Record<Period, Set<number>>> {
  const starts: Record<Period, Set<number>> = { hour: new Set(), day: new Set(), month: new Set() };
  for (const { name } of [COVERAGE, ...summaries]) {
    for (const period of PERIODS) {
      for (const { bucket } of await reader.series({
        site,
        summary: name,
        period,
        target: undefined,
        ...range,
      }))
        starts[period].add(bucket);
    }
  }
  for await (const hour of hoursWithRecords(reader, site, zone, {
    from: Math.max(range.from, retention.records?.before ?? ANY_DATE.from),
    to: range.to,
  })) {
    for (const period of PERIODS) {
      const start = zone.bucketOf(period, hour);
      if (start >= range.from && start <= range.to) starts[period].add(start);
    }
  }
  return starts;
}

/** Yields the hours with records, whose sums may be lost. Reads one day at a time, to limit each query. */
async function* hoursWithRecords(
  reader: CompleteReader,
  site: string,
  zone: Calendar,
  range: Range,
): AsyncGenerator<number> {
  const oldest = (await reader.scan({ site, from: range.from, to: range.to, after: undefined, limit: 1 }))
    .records[0];
  const [newest] = await reader.usage({ site, ...range, limit: 1, offset: 0 });
  if (!oldest || !newest) return;
  for (let day = zone.dayOf(oldest.ms); day <= newest.date; day = zone.next('day', day)) {
    const bounds = [day];
    const end = zone.next('day', day);
    while (bounds.at(-1)! < end) bounds.push(zone.next('hour', bounds.at(-1)!));
    const rows = await reader.matchingSeries({ site, from: day, to: end - 1, where: [], bounds });
    for (const { bucket } of rows) yield bucket;
  }
}
