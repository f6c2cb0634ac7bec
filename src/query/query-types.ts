import type { UsageRecord } from '../record.ts';
import type { KeyRow, Measures, Order } from '../storage/contract.ts';
import type { KeepTime, Part } from '../storage/retention.ts';
import type { Summary } from '../summaries/define.ts';
import type { Period } from '../summaries/periods.ts';
import type { Comparison } from './comparison.ts';
import type { RangeOptions } from './range.ts';

/**
 * Filter of a query: keys by the names of their summaries, `null` for requests without a key, and `''` for those whose
 * key had no room in the budget.
 */
export type Filter = Readonly<Record<string, string | null>>;

/** Values of the option `bots`. */
export const BOTS = ['include', 'exclude', 'only'] as const;
/**
 * Requests that a query counts: all, those of people, or those of bots.
 * @useDeclaredType
 */
export type Bots = (typeof BOTS)[number];

/** Options of every range query: its range, site and filter. */
export interface QueryOptions extends RangeOptions {
  /** Name of the site. Defaults to the site of the TrackUsage, or `default`. */
  site?: string;
  /** Filter. The result is then read from the stored records. Defaults to none. */
  filter?: Filter;
  /**
   * Requests to count. Totals and series are read from the sums; the keys of a summary other than `bots` from the
   * stored records. Defaults to `include`.
   */
  bots?: Bots;
}

/** Options of the distribution of durations. */
export interface LatencyOptions {
  /**
   * Includes percentiles of the durations. Defaults to false, or to true if `threshold` is set. They are kept for the
   * site, for `sumServer` and `sumRoutes`, and for custom summaries with `latency`.
   */
  latency?: boolean;
  /** Duration in µs, for the share of requests that took longer (`latency.above`). Defaults to none. */
  threshold?: number;
}

/** Options of a query that can include the previous period. */
export interface ComparedOptions extends QueryOptions, LatencyOptions {
  /**
   * Period to include as `previous`, for ranges of up to 10,000 days: `true` for the previous period, `'weekdays'` for
   * the latest one with the same days of the week, `'year'` for the same dates of the year before, or dates. Defaults to
   * false.
   */
  compare?: Comparison;
}

/** Options of `UsageQuery.series`. */
export interface SeriesOptions extends ComparedOptions {
  /** Period of the buckets; a longer one is used if they have expired. By default, chosen to suit the range. */
  period?: Period;
  /** Summary of a single key to select. */
  summary?: Summary | string;
  /** The key to select; `null` for requests without one, `''` for those whose key had no room in the budget. */
  key?: string | null;
}

/** Options of `UsageQuery.top`. */
export interface TopOptions extends ComparedOptions {
  /** Measure by which keys are sorted, in descending order. Defaults to `hits`. */
  order?: Order;
  /** Part of the key; the letters A to Z match in either case, every other character exactly. Defaults to all keys. */
  search?: string;
  /** Number of rows per page; 0 for all. Defaults to 10. */
  limit?: number;
  /** Page number, from 1. Defaults to 1. */
  page?: number;
}

/** Options of `UsageQuery.minutes`. */
export interface MinutesOptions extends Pick<QueryOptions, 'site' | 'filter' | 'bots'> {
  /** Number of minutes, including the current one, 1 to 180. Defaults to 60. */
  minutes?: number;
}

/** Options of `UsageQuery.records`. */
export interface RecordsOptions extends QueryOptions {
  /** `next` of the previous result: opaque, and valid only for the storage that returned it. */
  after?: string;
  /** Number of records per page, 1 to 10,000. Defaults to 100. */
  limit?: number;
}

/** Range of a result, in whole hours, with the site's offset. */
export interface ResolvedRange {
  /** First hour. */
  from: string;
  /** Last hour, inclusive. */
  to: string;
}

/** Data that a result lacks, because it is older than the retention of the storage. */
export interface Expired {
  /** Part of the storage: the records, or the buckets of a period. */
  part: Part;
  /** Start of the data that is kept, with the site's offset. */
  before: string;
  /**
   * Period of the longer buckets from which the result was read instead; `null` if the result starts with the data
   * that is kept.
   */
  answeredFrom: Period | null;
}

/** Keys beyond the budget of a summary (storage option `maxKeys`). */
export interface Budget {
  /** True if requests of the range are counted under the key `''`, because their own key had no room. */
  reached: boolean;
}

/** Properties of every result over a range. */
export interface RangeResult {
  /** Name of the site. */
  site: string;
  /** IANA time zone of the site. */
  timeZone: string;
  /** Range that was read. It differs from the requested range if some of its data has expired. */
  range: ResolvedRange;
  /** Expired data that the result lacks. Empty if everything is still kept. */
  expired: Expired[];
}

/** Part of the range in which a summary did not count all requests. */
export interface Gap {
  /** Name of the summary. */
  summary: string;
  /** First hour with a missing request, with the site's offset. */
  from: string;
  /** Last such hour, inclusive. */
  to: string;
  /** Number of requests in these hours that the summary does not count. */
  hits: number;
}

/** Part of the range that a result covers. */
export interface Coverage {
  /** True if every stored request of the range is counted. */
  complete: boolean;
  /** Gaps by summary, oldest first. Empty if the coverage is complete. */
  gaps: Gap[];
}

/**
 * Distribution of durations. A percentile is the shortest duration in µs that at least that share of the requests did
 * not exceed (nearest rank), within 2.5 %.
 */
export interface Latency {
  /** Number of requests that the percentiles count. Fewer than `hits` if the distribution was not kept all the time. */
  hits: number;
  /** Median, in µs. */
  p50: number;
  /** 75th percentile, in µs. */
  p75: number;
  /** 90th percentile, in µs. */
  p90: number;
  /** 95th percentile, in µs. */
  p95: number;
  /** 99th percentile, in µs. */
  p99: number;
  /**
   * Share of requests that took longer than `threshold`, from 0 to 1; `null` without a threshold. Exact for a threshold
   * that differs by up to 2.2 %.
   */
  above: number | null;
}

/** Measures with the distribution of durations. */
export interface WithLatency {
  /**
   * Distribution of durations, if requested. `null` if none is stored for the range, with a filter, and with `bots`
   * other than `include`.
   */
  latency?: Latency | null;
}

/** Measures of all requests, with the numbers of visitors and bots. */
export interface Totals extends Measures, WithLatency {
  /**
   * Number of distinct visitors; `null` without coverage or, in the previous period, with partial coverage. A lower
   * bound if the budget was reached.
   */
  visitors: number | null;
  /** Requests of bots; `null` for a single key without a filter. */
  bots: number | null;
}

/** Totals of the previous period. */
export interface PreviousTotals {
  /** Range of the previous period. */
  range: ResolvedRange;
  /** Totals of that range. */
  totals: Totals;
}

/** Result of `UsageQuery.totals`. */
export interface TotalsResult extends RangeResult {
  /** Totals of the range. */
  totals: Totals;
  /** Coverage of `visitors`; the other totals count every request. */
  coverage: Coverage;
  /** Budget of `visitors`, which is a lower bound if it was reached. */
  budget: Budget;
  /**
   * True if `visitors` is the sum of daily visitors, who count once per day because their IDs are valid for one day
   * (option `visitors: 'daily'`). Also true if only part of the range has such IDs.
   */
  dailyVisitors: boolean;
  /**
   * Period of `compare`, if its data is kept, the range is not longer than 10,000 days, and something can be stored
   * before it.
   */
  previous: PreviousTotals | null;
}

/** Totals of one hour, day or month. */
export interface Bucket extends Totals {
  /** Start of the bucket, with the site's offset. */
  date: string;
}

/** Buckets of the previous period. */
export interface PreviousBuckets {
  /** Range of the previous period. */
  range: ResolvedRange;
  /** Buckets of that range, including empty ones, oldest first. */
  buckets: Bucket[];
}

/** Result of `UsageQuery.series`. */
export interface SeriesResult extends RangeResult {
  /** Period of the buckets. */
  period: Period;
  /** All buckets of the range up to now, including empty ones, oldest first. */
  buckets: Bucket[];
  /** Coverage of `visitors`, or of `summary`; without one, all other measures count every request. */
  coverage: Coverage;
  /** Budget of `visitors`, or of `summary`. */
  budget: Budget;
  /**
   * Period of `compare`, if its data is kept, the range is not longer than 10,000 days, and something can be stored
   * before it.
   */
  previous: PreviousBuckets | null;
}

/** Measures of one key, and of the same key in the previous period. */
export interface TopRow extends KeyRow, WithLatency {
  /** Measures of the key in the previous period; `null` if not requested, not covered completely, or expired. */
  previous: Measures | null;
}

/** Result of `UsageQuery.top`: one page of keys, and the sums of all keys. */
export interface TopResult extends RangeResult {
  /** Name of the summary, for example `urls`. */
  summary: string;
  /** Measure by which the keys are sorted. */
  order: Order;
  /** Keys of the page, in descending order of the measure. */
  rows: TopRow[];
  /** Number of matching keys, including `null` and `''`. */
  count: number;
  /** Total of all matching keys. */
  total: Measures;
  /** Total of all keys, also of those that do not match `search`. */
  all: Measures;
  /** `total` minus the rows. */
  others: Measures;
  /** Coverage of the summary. */
  coverage: Coverage;
  /** Budget of the summary. */
  budget: Budget;
}

/** Measures of one minute. */
export interface MinuteBucket extends Measures {
  /** Start of the minute, with the site's offset. */
  date: string;
}

/** Result of `UsageQuery.minutes`. */
export interface MinutesResult {
  /** Name of the site. */
  site: string;
  /** IANA time zone of the site. */
  timeZone: string;
  /** All minutes, including empty ones, oldest first. The last one is the current minute, which is not over. */
  buckets: MinuteBucket[];
}

/** Result of `UsageQuery.records`: one page of records. */
export interface RecordsResult extends RangeResult {
  /** Records, newest first. */
  records: UsageRecord[];
  /** Cursor for `after`; `null` if there are no more records. */
  next: string | null;
}

/** A summary that can be queried. */
export interface SummaryInfo {
  /** Name in queries, the CLI and the database, for example `urls`. */
  name: string;
  /** Name in the documentation, for example `sumUrls`. */
  title: string;
  /** True if it is user-defined. */
  custom: boolean;
  /** True if results can be filtered by its keys. */
  filter: boolean;
}

/** Retention of a part of the storage. */
export interface KeptPart {
  /** Part of the storage: the records, or the buckets of a period. */
  part: Part;
  /** Retention period, as configured, for example `90d`. */
  keep: KeepTime;
  /** Start of the data that is kept, with the site's offset; `null` if nothing has expired yet. */
  before: string | null;
}

/** Result of `UsageQuery.site`. */
export interface SiteResult {
  /** Name of the site. */
  site: string;
  /** IANA time zone of the site. */
  timeZone: string;
  /** Summaries that the storage keeps or has data for: the standard ones first, in the order of the documentation. */
  summaries: SummaryInfo[];
  /** Start of the first month with stored data, with the site's offset; `null` if nothing is stored. */
  since: string | null;
  /** Parts of the storage that are not kept forever. */
  retention: KeptPart[];
}
