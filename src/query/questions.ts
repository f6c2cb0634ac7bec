import type { UsageRecord } from '../record.ts';
import type { KeyRow, Measures, Order } from '../storage/contract.ts';
import type { Summary } from '../summaries/define.ts';
import type { Period } from '../summaries/periods.ts';
import type { RangeOptions } from './range.ts';

/** What is asked of a `UsageQuery`, and what it answers. */

/** What an answer is narrowed to, by the name of a summary: its key, or `null` for the requests without one. */
export type Filter = Readonly<Record<string, string | null>>;

export interface QuestionOptions extends RangeOptions {
  /** Defaults to the site of the TrackUsage, or `default`. */
  site?: string;
  /** Filter; the answer is then read from the records that the storage keeps. Defaults to none. */
  filter?: Filter;
}

export interface ComparedOptions extends QuestionOptions {
  /** Whether the period before is answered too, where the range is no longer than 10,000 days. Defaults to false. */
  compare?: boolean;
}

export interface SeriesOptions extends ComparedOptions {
  /** Defaults to what suits the range. */
  period?: Period;
  /** A summary of which one key alone is wanted. */
  summary?: Summary | string;
  /** That key; `null` for the requests without one. */
  key?: string | null;
}

export interface TopOptions extends ComparedOptions {
  /** The largest first. Defaults to `hits`. */
  order?: Order;
  /** Part of the key; the letters A to Z match in either case, every other character exactly. Defaults to all keys. */
  search?: string;
  /** Rows on a page; 0 for all. Defaults to 10. */
  limit?: number;
  /** Counted from 1. Defaults to 1. */
  page?: number;
}

export interface RecordsOptions extends QuestionOptions {
  /** The `next` of the previous answer: opaque, and valid only for the storage that returned it. */
  after?: string;
  /** 1 to 10,000. Defaults to 100. */
  limit?: number;
}

/** A range as it was answered, in whole hours. With the site's offset. */
export interface AnsweredRange {
  /** The first hour. */
  from: string;
  /** The last hour: inclusive. */
  to: string;
}

/** A part of the range in which the storage did not keep a summary all the time. */
export interface Gap {
  /** The name of the summary. */
  summary: string;
  /** The first hour from which a request is missing, with the site's offset. */
  from: string;
  /** The last such hour: inclusive. */
  to: string;
  /** Requests of these hours that the summary does not count. */
  hits: number;
}

/** Which part of the range an answer covers. */
export interface Coverage {
  /** True if every stored request of the range is counted. */
  complete: boolean;
  /** Gaps by summary, oldest first. Empty if the coverage is complete. */
  gaps: Gap[];
}

export interface Totals extends Measures {
  /** Distinct cookie visitors; `null` without coverage or, for the period before, with partial coverage. */
  visitors: number | null;
  /** Requests of bots; `null` without coverage or, for the period before, with partial coverage. */
  bots: number | null;
}

export interface TotalsAnswer {
  site: string;
  timeZone: string;
  range: AnsweredRange;
  totals: Totals;
  /** Coverage of `visitors` and `bots`; the other totals count every request. */
  coverage: Coverage;
  previous: { range: AnsweredRange; totals: Totals } | null;
}

export interface Bucket extends Totals {
  /** Its beginning, with the site's offset. */
  date: string;
}

export interface SeriesAnswer {
  site: string;
  timeZone: string;
  range: AnsweredRange;
  period: Period;
  /** Oldest first, each bucket of the range up to now, the empty ones too. */
  buckets: Bucket[];
  /** Coverage of `visitors` and `bots`, or of `summary`; without one, all other measures count every request. */
  coverage: Coverage;
  previous: { range: AnsweredRange; buckets: Bucket[] } | null;
}

export interface TopRow extends KeyRow {
  /** Measures of the key in the period before; `null` if not requested, or not covered completely. */
  previous: Measures | null;
}

export interface TopAnswer {
  site: string;
  timeZone: string;
  range: AnsweredRange;
  summary: string;
  order: Order;
  rows: TopRow[];
  /** How many keys match. */
  count: number;
  /** All keys that match together. */
  total: Measures;
  /** `total` without the rows. */
  others: Measures;
  /** Coverage of the summary. */
  coverage: Coverage;
}

export interface RecordsAnswer {
  site: string;
  timeZone: string;
  range: AnsweredRange;
  /** Newest first. */
  records: UsageRecord[];
  /** For `after`; `null` when there are no more. */
  next: string | null;
}

/** A summary that can be asked for. */
export interface SummaryInfo {
  name: string;
  /** How the documentation calls it, such as `sumUrls`. */
  title: string;
  /** Whether it is the user's own. */
  own: boolean;
  /** Whether answers can be filtered by its keys. */
  filter: boolean;
}

export interface SiteAnswer {
  site: string;
  timeZone: string;
  summaries: SummaryInfo[];
}
