import { checkOptions } from '../options/checks.ts';
import { wallClock } from '../platform/clock.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import { ORDERS } from '../storage/contract.ts';
import { minus } from '../storage/measures.ts';
import type { Summary } from '../summaries/define.ts';
import { type Calendar, PERIODS, type Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { asStored } from '../text/text.ts';
import { checkComparison, comparedRange } from './comparison.ts';
import { checkBots, columnOf, conditionsOf, isKey, storedKey } from './conditions.ts';
import { invalid } from './invalid.ts';
import { LatencyReader, latencyRequest } from './latency.ts';
import { DEFAULT_MINUTES, lastMinutes, MAX_MINUTES } from './minutes.ts';
import { orElse } from './or-else.ts';
import type {
  ComparedOptions,
  Latency,
  MinutesOptions,
  MinutesResult,
  QueryOptions,
  RecordsOptions,
  RecordsResult,
  ResolvedRange,
  SeriesOptions,
  SeriesResult,
  SiteResult,
  TopOptions,
  TopResult,
  TotalsResult,
  WithLatency,
} from './query-types.ts';
import { type HourRange, periodOf, rangeOf } from './range.ts';
import { isFromRecords, matching, QueryResults, type ResolvedQuery } from './results.ts';
import { expiredPeriods, keptBefore, keptParts, keptPeriod, keptRecords, keptSums } from './retention.ts';
import { checkKept, siteOf, storedSummaries, summaryName } from './sums-and-records.ts';

export type * from './query-types.ts';

const MAX_RECORDS = 10_000;
/** Maximum number of buckets. More would not fit in a chart and indicate a mistake. */
const MAX_BUCKETS = 10_000;
/** Minimum length of a bucket, in ms. */
const MIN_BUCKET_MS: Readonly<Record<Period, number>> = {
  hour: 3_600_000,
  day: 24 * 3_600_000,
  month: 28 * 24 * 3_600_000,
};
const COMMON = ['range', 'from', 'to', 'site', 'filter', 'bots'];
const COMPARED = [...COMMON, 'compare', 'latency', 'threshold'];
/** Options of each query. */
const OPTIONS = {
  totals: COMPARED,
  series: [...COMPARED, 'period', 'summary', 'key'],
  top: [...COMPARED, 'order', 'search', 'limit', 'page'],
  records: [...COMMON, 'after', 'limit'],
  minutes: ['site', 'filter', 'bots', 'minutes'],
};

/** Settings of a `UsageQuery`. */
export interface QueryContext {
  site?: string;
  /** Time zone of a site without stored data. */
  timeZone?: string;
  /** Summaries that are kept, including those without data. */
  summaries?: readonly Summary[];
  /** Returns the current time in ms since 1970. Defaults to the wall clock. */
  now?: () => number;
}

/** Range queries on one storage. */
export class UsageQuery {
  readonly #reader: CompleteReader;
  readonly #context: QueryContext;
  readonly #now: () => number;
  readonly #results: QueryResults;
  readonly #latency: LatencyReader;

  constructor(reader: CompleteReader, context: QueryContext = {}) {
    this.#reader = reader;
    this.#context = context;
    this.#now = context.now ?? (() => wallClock.now());
    this.#results = new QueryResults(reader);
    this.#latency = new LatencyReader(reader);
  }

  /** Returns the same queries for another site. */
  of(site: string): UsageQuery {
    return new UsageQuery(this.#reader, { ...this.#context, site });
  }

  /**
   * Returns the site's time zone, its summaries and the start of its data.
   * @param options Site. Defaults to the site of the TrackUsage, or `default`.
   */
  async site({ site }: Pick<QueryOptions, 'site'> = {}): Promise<SiteResult> {
    const { site: name, zone } = await this.#site(site);
    const [stored, first, retention] = await Promise.all([
      storedSummaries(this.#reader, name),
      this.#results.first(name, zone),
      keptParts(this.#reader, name, zone),
    ]);
    const order = STANDARD_SUMMARIES.map((standard) => standard.name);
    const rank = (of: string) => (order.includes(of) ? order.indexOf(of) : order.length);
    const names = [...new Set([...this.#kept, ...stored])].sort((a, b) => rank(a) - rank(b));
    return {
      site: name,
      timeZone: zone.timeZone,
      summaries: names.map((of) => ({
        name: of,
        title: known(of)?.title ?? of,
        custom: known(of) === undefined,
        filter: columnOf(of) !== undefined,
      })),
      since: first === undefined ? null : zone.format(first),
      retention,
    };
  }

  /** Returns the total hits, transfer, errors, duration, visitors and bots of a range. */
  async totals(options: ComparedOptions = {}): Promise<TotalsResult> {
    const query = keptQuery(await this.#resolve(options, 'totals'));
    const latency = latencyRequest(options);
    const source = await this.#results.source(query);
    const earlier = await this.#compared(query, options);
    const totalsOf = async (of: ResolvedQuery, isBefore: boolean) => {
      const [found, durations] = await Promise.all([
        this.#results.totals(of, source, isBefore),
        latency && this.#latency.totals(of, latency),
      ]);
      return { ...found, value: withLatency(found.value, durations) };
    };
    const [{ value: totals, coverage, budget, dailyVisitors }, before] = await Promise.all([
      totalsOf(query, false),
      earlier && totalsOf(earlier, true),
    ]);
    return {
      ...resultHeader(query),
      totals,
      coverage,
      budget,
      dailyVisitors,
      previous: earlier && before ? { range: formatRange(earlier), totals: before.value } : null,
    };
  }

  /**
   * Returns the totals for each hour, day or month of a range. With a key of a summary, only that key is
   * counted, without visitors and bots.
   */
  async series(options: SeriesOptions = {}): Promise<SeriesResult> {
    const asked = await this.#resolve(options, 'series');
    const { period = periodOf(asked.range), summary, key } = options;
    if (!PERIODS.includes(period)) throw invalid('period', period, PERIODS.map((p) => `"${p}"`).join(', '));
    if (summary === undefined && key !== undefined) {
      throw invalid('summary', summary, 'the summary of the key');
    }
    if (summary !== undefined && !isKey(key)) throw invalid('key', key, 'a key of the summary, or null');
    if (isTooLong(asked.range, period)) {
      throw invalid('period', period, `a period with at most ${MAX_BUCKETS} buckets in the range`);
    }
    const one =
      summary === undefined
        ? undefined
        : { summary: await this.#summary(asked.site, summary), key: storedKey(key ?? null) };
    const query = keptQuery(asked, one?.summary, period);
    const source = await this.#results.source(query, one?.summary);
    const earlier = await this.#compared(query, options, one?.summary);
    // Others are as long as the range.
    if (earlier && typeof options.compare === 'object' && isTooLong(earlier.range, query.period)) {
      throw invalid('compare', options.compare, `dates with at most ${MAX_BUCKETS} buckets between them`);
    }
    const latency = latencyRequest(options);
    const seriesOf = async (of: ResolvedQuery, isBefore: boolean) => {
      const [found, durations] = await Promise.all([
        this.#results.series(of, source, query.period, isBefore, one),
        latency && this.#latency.series(of, latency, query.period, one),
      ]);
      return { ...found, value: found.value.map((bucket, i) => withLatency(bucket, durations?.[i])) };
    };
    const [{ value: buckets, coverage, budget }, before] = await Promise.all([
      seriesOf(query, false),
      earlier && seriesOf(earlier, true),
    ]);
    return {
      ...resultHeader(query),
      period: query.period,
      buckets,
      coverage,
      budget,
      previous: earlier && before ? { range: formatRange(earlier), buckets: before.value } : null,
    };
  }

  /** Returns the top keys of a summary over a range, and the sum of the remaining ones. */
  async top(summary: Summary | string, options: TopOptions = {}): Promise<TopResult> {
    const asked = await this.#resolve(options, 'top');
    const name = await this.#summary(asked.site, summary);
    const query = keptQuery(asked, name);
    const { order = 'hits', search, limit = 10, page = 1 } = options;
    if (!ORDERS.includes(order)) throw invalid('order', order, ORDERS.map((o) => `"${o}"`).join(', '));
    if (!isWhole(limit, 0)) throw invalid('limit', limit, 'a whole number, 0 for all');
    if (!isWhole(page, 1) || !isWhole(limit * (page - 1), 0)) {
      throw invalid('page', page, 'a whole number from 1');
    }
    if (limit === 0 && page > 1) throw invalid('page', page, '1, since limit 0 puts all on one page');
    if (search !== undefined && typeof search !== 'string') {
      throw invalid('search', search, 'a string to search for in the keys');
    }
    const wanted = {
      order,
      search: search === '' || search === undefined ? undefined : asStored(search),
      limit,
      offset: limit * (page - 1),
    };
    const latency = latencyRequest(options);
    const [{ value, coverage, budget }, durations] = await Promise.all([
      this.#results.keys(query, name, wanted),
      latency && this.#latency.keys(query, name, latency),
    ]);
    const { rows, count, total, all } = value;
    const earlier = await this.#compared(query, options, name);
    const before = earlier && (await this.#results.before(earlier, name, rows));
    return {
      ...resultHeader(query),
      summary: name,
      order,
      rows: rows.map((row, index) =>
        withLatency(
          { ...row, previous: before?.[index] ?? null },
          durations && (durations.get(row.key) ?? null),
        ),
      ),
      count,
      total,
      all,
      others: rows.reduce((rest, row) => minus(rest, row), total),
      coverage,
      budget,
    };
  }

  /**
   * Returns the totals of each of the last minutes, up to now, from the stored records. Records appear about a second
   * after their response.
   */
  async minutes(options: MinutesOptions = {}): Promise<MinutesResult> {
    checkOptions('query.minutes', options, OPTIONS.minutes);
    const { minutes = DEFAULT_MINUTES, bots = 'include' } = options;
    if (!isWhole(minutes, 1) || minutes > MAX_MINUTES) {
      throw invalid('minutes', minutes, `a whole number from 1 to ${MAX_MINUTES}`);
    }
    const { site, zone } = await this.#site(options.site);
    const where = conditionsOf(options.filter);
    const request = { site, zone, where, bots: checkBots(bots), minutes, now: this.#now() };
    return { site, timeZone: zone.timeZone, buckets: await lastMinutes(this.#reader, request) };
  }

  /** Returns a page of records, newest first. */
  async records(options: RecordsOptions = {}): Promise<RecordsResult> {
    const query = withRange(await this.#resolve(options, 'records'), keptRecords);
    const { after, limit = 100 } = options;
    if (!isWhole(limit, 1) || limit > MAX_RECORDS) {
      throw invalid('limit', limit, `a whole number from 1 to ${MAX_RECORDS}`);
    }
    // Only the storage knows the contents of a cursor.
    if (after !== undefined && typeof after !== 'string') {
      throw invalid('after', after, 'the "next" of the previous page');
    }
    const answer = this.#reader.matchingRecords({ ...matching(query), after, limit });
    // If the database is gone when the next page is requested, that is not the end of the records.
    const { records, next } = await (after === undefined
      ? orElse(answer, { records: [], next: undefined })
      : answer);
    return { ...resultHeader(query), records, next: next ?? null };
  }

  async #resolve(options: QueryOptions, name: keyof typeof OPTIONS): Promise<ResolvedQuery> {
    checkOptions(`query.${name}`, options, OPTIONS[name]);
    const { site, zone } = await this.#site(options.site);
    const { filter, bots = 'include' } = options;
    const where = conditionsOf(filter);
    const meant = await rangeOf(options, zone, this.#now(), () => this.#results.first(site, zone));
    // Records are read by date, so later ones do not matter.
    const isFromRecords = where.length > 0 || name === 'records';
    const range = isFromRecords ? meant : await this.#results.settled(site, zone, meant);
    const before = await this.#beforeOf({ range, zone }, options);
    const since = Math.min(range.start, before?.start ?? range.start);
    const horizons = await this.#results.horizons(site, zone, since);
    return { site, zone, range, where, bots: checkBots(bots), horizons, expired: [] };
  }

  /** Returns the range with which another one is compared, if requested. */
  async #beforeOf(
    { range, zone }: Pick<ResolvedQuery, 'range' | 'zone'>,
    { compare = false }: ComparedOptions,
  ): Promise<HourRange | undefined> {
    checkComparison(compare);
    // A range this long has no previous period, and counting its days would take a while.
    const unit = range.unit === 'day' ? 'day' : 'month';
    if (isTooLong(range, unit)) return undefined;
    return comparedRange(range, compare, zone, this.#now());
  }

  /** Returns the query of the period with which a range is compared, if it is requested and its data is kept. */
  async #compared(
    query: ResolvedQuery & { period?: Period },
    options: ComparedOptions,
    summary?: string,
  ): Promise<ResolvedQuery | undefined> {
    const { zone, horizons, period, range: compared } = query;
    const meant = await this.#beforeOf(query, options);
    if (!meant || compared.start >= compared.end) return undefined;
    const isRecords = isFromRecords(query, summary);
    const range = keptBefore(meant, (isRecords ? keptRecords : keptSums)(meant, zone, horizons));
    if (!range) return undefined;
    if (!isRecords && period && keptPeriod(period, range, horizons) !== period) return undefined;
    return { ...query, range };
  }

  #site(given: string | undefined): Promise<{ site: string; zone: Calendar }> {
    const { site, timeZone = 'UTC' } = this.#context;
    return siteOf(this.#reader, { site: given === undefined ? site : given }, timeZone);
  }

  /** Returns the name of a summary, if it is stored or kept. */
  async #summary(site: string, summary: Summary | string): Promise<string> {
    const name = summaryName(summary);
    if (typeof summary === 'string' && !known(name)) await checkKept(this.#reader, site, name, this.#kept);
    return name;
  }

  get #kept(): string[] {
    return (this.#context.summaries ?? []).map(({ name }) => name);
  }
}

function withRange(query: ResolvedQuery, keptIn: typeof keptSums): ResolvedQuery {
  const { range, expired } = keptIn(query.range, query.zone, query.horizons);
  return { ...query, range, expired };
}

/**
 * Limits a query to data that is kept.
 * @param summary Summary of the keys; `undefined` for totals.
 * @param period Requested period of a series.
 */
function keptQuery(
  query: ResolvedQuery,
  summary?: string,
  period: Period = 'month',
): ResolvedQuery & { period: Period } {
  const { zone, horizons } = query;
  if (isFromRecords(query, summary)) return { ...withRange(query, keptRecords), period };
  const kept = withRange(query, keptSums);
  const answered = keptPeriod(period, kept.range, horizons);
  const periods = expiredPeriods(period, answered, zone, horizons);
  const ends = kept.expired.filter(({ part }) => !periods.some((each) => each.part === part));
  return { ...kept, expired: [...periods, ...ends], period: answered };
}

/** Adds latency to measures, if it was requested. */
function withLatency<M extends object>(measures: M, latency: Latency | null | undefined): M & WithLatency {
  return latency === undefined ? measures : { ...measures, latency };
}

function resultHeader(query: ResolvedQuery) {
  const { site, zone, expired } = query;
  return { site, timeZone: zone.timeZone, range: formatRange(query), expired };
}

function formatRange({ range: { start, end }, zone }: ResolvedQuery): ResolvedRange {
  return { from: zone.format(start), to: zone.format(zone.hourOf(Math.max(start, end - 1))) };
}

/** Returns whether a range may have too many buckets. */
function isTooLong({ start, end }: HourRange, period: Period): boolean {
  return end - start > MAX_BUCKETS * MIN_BUCKET_MS[period];
}

function isWhole(value: number, min: number): boolean {
  return Number.isSafeInteger(value) && value >= min;
}
