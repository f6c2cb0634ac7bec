import type { CompleteReader } from '../storage/complete-reader.ts';
import {
  type Condition,
  EVERY_KEY,
  type KeyRow,
  type Keys,
  type KeysRequest,
  type Matching,
  type MatchingRow,
  type Measures,
  type Span,
  type Total,
} from '../storage/contract.ts';
import { pageOfKeys } from '../storage/fold-sums.ts';
import { noMeasures, onlyMeasures } from '../storage/measures.ts';
import { isDailyVisitor } from '../storage/visitors.ts';
import { OTHERS } from '../summaries/coverage.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { sumBots } from '../summaries/standard.ts';
import { botsCondition, columnFor, columnOf, isLeftOut } from './conditions.ts';
import {
  allOf,
  botsOf,
  completeCoverage,
  countedOf,
  coverageOf,
  hasLater,
  type StoredBucket,
  storedIn,
} from './coverage.ts';
import { orElse } from './or-else.ts';
import type { Bots, Bucket, Budget, Coverage, Expired, Totals } from './query-types.ts';
import { bucketsOf, type HourRange, spansOf } from './range.ts';
import { firstMonth, type Horizons, hasExpired, horizonsIn, NO_HORIZONS, withoutEmpty } from './retention.ts';
import { storedSummaries } from './sums-and-records.ts';
import { VISITORS, type VisitorCount, VisitorCounter } from './visitors.ts';

const NO_TOTALS: ReadonlyMap<number, Total> = new Map();
const NO_VISITORS: VisitorCount = { visitors: 0, reached: false };
/** Maximum number of keys that are looked up one by one in the previous period. */
const MAX_LOOKUPS = 50;

type Page = Omit<KeysRequest, 'site' | 'summary' | 'spans'>;

/** Returns the totals of a bucket, by its start. */
type Series = (start: number) => Totals;

/** Data source of a result: the records, or the sums, with or without those of visitors. */
export type Source = 'records' | { hasVisitors: boolean };

/** A result, its coverage and its budget. */
interface Covered<T> {
  value: T;
  coverage: Coverage;
  budget: Budget;
}

/** Page of keys, and the total of all keys, also of those that do not match the search. */
interface KeysOfAll extends Keys {
  all: Measures;
}

/** Totals, and whether their visitors are daily ones. */
interface CoveredTotals extends Covered<Totals> {
  dailyVisitors: boolean;
}

/** One key of a summary. */
export interface OneKey {
  summary: string;
  key: string | null;
}

/** A validated query. */
export interface ResolvedQuery {
  site: string;
  zone: Calendar;
  range: HourRange;
  where: Condition[];
  bots: Bots;
  /** Start of the kept data. */
  horizons: Horizons;
  /** Data of the requested range that has expired. */
  expired: Expired[];
}

/** Computes results over one range from the queries of a storage's reading end. */
export class QueryResults {
  readonly #reader: CompleteReader;
  readonly #visitors: VisitorCounter;

  constructor(reader: CompleteReader) {
    this.#reader = reader;
    this.#visitors = new VisitorCounter(reader);
  }

  /**
   * Returns the totals of the range.
   * @param isBefore True if it is the previous period. Partly known values are then omitted, because they
   * cannot be compared.
   */
  async totals(query: ResolvedQuery, source: Source, isBefore: boolean): Promise<CoveredTotals> {
    if (source === 'records') {
      const row = await this.#matched(query);
      const reached =
        row !== undefined && row.visitors > 0 && (await this.#isOverBudget(query, VISITORS, true));
      const value = row ? totalsOf(row) : { ...noMeasures(), visitors: 0, bots: 0 };
      if (reached) value.visitors! -= 1;
      const dailyVisitors = value.visitors! > 0 && (await this.#hasDailyRecords(query));
      return { value, coverage: completeCoverage(), budget: { reached }, dailyVisitors };
    }
    const spans = spansOf(query.range, query.zone);
    const [buckets, { visitors, reached }] = await Promise.all([
      storedIn(this.#reader, query.site, spans, query.bots),
      // Bots are no visitors, so the visitors of all requests are people.
      source.hasVisitors && query.bots !== 'only' ? this.#visitors.count(query, spans) : NO_VISITORS,
    ]);
    return {
      value: {
        ...allOf(buckets),
        visitors: isCounted(buckets, source, isBefore) ? visitors : null,
        bots: botsOf(buckets),
      },
      coverage: await this.#coverage(query, buckets, source.hasVisitors ? [VISITORS] : []),
      budget: { reached },
      dailyVisitors: visitors > 0 && (await this.#hasDailySums(query, buckets)),
    };
  }

  /**
   * Returns each bucket of the range.
   * @param one Summary and key, to select a single key.
   * @param isBefore As for `totals`.
   */
  async series(
    query: ResolvedQuery,
    source: Source,
    period: Period,
    isBefore: boolean,
    one?: OneKey,
  ): Promise<Covered<Bucket[]>> {
    const { zone, range } = query;
    const starts = bucketsOf(range, period, zone);
    if (starts.length === 0) return { value: [], coverage: completeCoverage(), budget: { reached: false } };
    const { value: found, ...rest } =
      source === 'records'
        ? await this.#recordSeries(query, period, starts, one)
        : await this.#sumSeries(query, period, starts, source, isBefore, one);
    return { value: starts.map((start) => ({ date: zone.format(start), ...found(start) })), ...rest };
  }

  async #recordSeries(
    query: ResolvedQuery,
    period: Period,
    starts: readonly number[],
    one: OneKey | undefined,
  ): Promise<Covered<Series>> {
    const { range, zone, where } = query;
    const bounds = [range.start, ...starts.filter((each) => each > range.start), range.end];
    const fetchSeries = async (where: Condition[]) => {
      const request = { ...matching({ ...query, where }), bounds };
      const rows = await orElse(this.#reader.matchingSeries(request), []);
      return new Map(rows.map((row) => [zone.bucketOf(period, row.bucket), totalsOf(row)]));
    };
    const found = await fetchSeries(one ? withKey(where, one) : where);
    const hasVisitors = [...found.values()].some(({ visitors }) => visitors !== null && visitors > 0);
    const isOver = hasVisitors && (await this.#isOverBudget(query, VISITORS, true));
    if (isOver) {
      const others = withKey(one ? withKey(where, one) : where, { summary: VISITORS, key: OTHERS });
      for (const start of (await fetchSeries(others)).keys()) {
        // A bucket may have got its first request since the other query.
        const of = found.get(start);
        if (of) of.visitors! -= 1;
      }
    }
    const reached =
      one && one.summary !== VISITORS ? await this.#isOverBudget(query, one.summary, true) : isOver;
    const empty = { ...noMeasures(), visitors: 0, bots: 0 };
    return {
      value: (each) => found.get(each) ?? empty,
      coverage: completeCoverage(),
      budget: { reached },
    };
  }

  async #sumSeries(
    query: ResolvedQuery,
    period: Period,
    starts: readonly number[],
    source: Exclude<Source, 'records'>,
    isBefore: boolean,
    one: OneKey | undefined,
  ): Promise<Covered<Series>> {
    const { site, range } = query;
    const parts = partialBuckets(query, period, starts);
    const span = { period, from: starts[0]!, to: range.end - 1 };
    const fetchTotals = async (summary: string, target?: string | null): Promise<Map<number, Total>> => {
      const [rows, ...partial] = await Promise.all([
        this.#reader.series({ site, summary, ...span, target }),
        ...parts.map(({ spans }) => this.#reader.total({ ...totalRequest(query), spans, summary, target })),
      ]);
      const found = new Map<number, Total>(rows.map((row) => [row.bucket, row]));
      parts.forEach(({ start }, index) => {
        found.set(start, partial[index]!);
      });
      return found;
    };
    const [rows, ...partial] = await Promise.all([
      storedIn(this.#reader, site, [span], query.bots),
      ...parts.map(({ spans }) => storedIn(this.#reader, site, spans, query.bots)),
    ]);
    const stored = new Map(rows.map((bucket) => [bucket.start, [bucket]]));
    parts.forEach(({ start }, index) => {
      stored.set(start, partial[index]!);
    });
    const buckets = [...stored].sort(([a], [b]) => a - b).flatMap(([, of]) => of);
    if (one) {
      // Only in `bots` do the keys themselves distinguish bots from people.
      const found = isLeftOut(one.summary, one.key, query.bots)
        ? NO_TOTALS
        : await fetchTotals(one.summary, one.key);
      return {
        value: (start) => ({ ...onlyMeasures(found.get(start) ?? noMeasures()), visitors: null, bots: null }),
        coverage: await this.#coverage(query, buckets, [one.summary]),
        budget: {
          reached: [...(await fetchTotals(one.summary, OTHERS)).values()].some(({ hits }) => hits > 0),
        },
      };
    }
    const { hasVisitors } = source;
    const visitors =
      hasVisitors && query.bots !== 'only'
        ? await this.#visitorSeries(query, span, parts)
        : new Map<number, VisitorCount>();
    return {
      value: (start) => {
        const of = stored.get(start) ?? [];
        return {
          ...allOf(of),
          visitors: isCounted(of, source, isBefore) ? (visitors.get(start)?.visitors ?? 0) : null,
          bots: botsOf(of),
        };
      },
      coverage: await this.#coverage(query, buckets, hasVisitors ? [VISITORS] : []),
      budget: { reached: [...visitors.values()].some(({ reached }) => reached) },
    };
  }

  /** Returns the visitors of each bucket. @param parts Buckets that are partly in the range. */
  async #visitorSeries(
    query: ResolvedQuery,
    span: Span,
    parts: readonly { start: number; spans: readonly Span[] }[],
  ): Promise<Map<number, VisitorCount>> {
    const [counts, ...partial] = await Promise.all([
      this.#visitors.series(query, span),
      ...parts.map(({ spans }) => this.#visitors.count(query, spans)),
    ]);
    parts.forEach(({ start }, index) => {
      counts.set(start, partial[index]!);
    });
    return counts;
  }

  /** Returns the data source of totals, or of the keys of a summary. */
  async source(query: ResolvedQuery, summary?: string): Promise<Source> {
    if (isFromRecords(query, summary)) return 'records';
    return { hasVisitors: (await storedSummaries(this.#reader, query.site)).includes(VISITORS) };
  }

  /**
   * Returns the measures of the keys in the previous period, which is the range of `query`. Returns
   * `undefined` if the summary covers it only partly, because partial values cannot be compared.
   */
  async before(
    query: ResolvedQuery,
    summary: string,
    rows: readonly KeyRow[],
  ): Promise<Measures[] | undefined> {
    const { where, bots } = query;
    if (!(await this.coverage(query, summary)).complete) return undefined;
    if (rows.length > MAX_LOOKUPS) {
      const { rows: all } = await this.#keys(query, summary, EVERY_KEY);
      const found = new Map(all.map((row) => [row.key, row]));
      return rows.map(({ key }) => onlyMeasures(found.get(key) ?? noMeasures()));
    }
    const request = totalRequest(query);
    return Promise.all(
      rows.map(async ({ key }) => {
        if (!isFromRecords(query, summary)) {
          if (isLeftOut(summary, key, bots)) return noMeasures();
          return onlyMeasures(await this.#reader.total({ ...request, summary, target: key }));
        }
        const conditions = withKey(where, { summary, key });
        return onlyMeasures((await this.#matched({ ...query, where: conditions })) ?? noMeasures());
      }),
    );
  }

  /** Returns a page of a summary's keys. */
  async keys(query: ResolvedQuery, summary: string, page: Page): Promise<Covered<KeysOfAll>> {
    const [value, searched, coverage] = await Promise.all([
      this.#keys(query, summary, page),
      page.search === undefined ? undefined : this.#allKeys(query, summary),
      this.coverage(query, summary),
    ]);
    return {
      value: { ...value, all: searched ?? value.total },
      coverage,
      budget: { reached: await this.#isOverIn(query, summary, page, value) },
    };
  }

  /** Returns the total of all keys of a summary. */
  async #allKeys(query: ResolvedQuery, summary: string): Promise<Measures> {
    if (isFromRecords(query, summary)) return onlyMeasures((await this.#matched(query)) ?? noMeasures());
    if (query.bots !== 'include') return (await this.#keys(query, summary, EVERY_KEY)).total;
    const total = this.#reader.total({ ...totalRequest(query), summary, target: undefined });
    return onlyMeasures(await orElse(total, noMeasures()));
  }

  /** Returns whether the newest matching visitor is a daily one. */
  async #hasDailyRecords(query: ResolvedQuery): Promise<boolean> {
    const known: Condition[] = [
      { column: 'visitor', value: null, not: true },
      { column: 'visitor', value: OTHERS, not: true },
    ];
    const request = {
      ...matching({ ...query, where: [...query.where, ...known] }),
      after: undefined,
      limit: 1,
    };
    const { records } = await orElse(this.#reader.matchingRecords(request), { records: [] });
    return isDailyVisitor(records[0]?.visitor ?? '');
  }

  /** Returns whether the first or the last bucket has daily visitors: an app has either kind for a long time. */
  async #hasDailySums({ site }: ResolvedQuery, buckets: readonly StoredBucket[]): Promise<boolean> {
    const counted = buckets.filter((bucket) => countedOf([bucket], VISITORS) > 0);
    const ends = new Set([counted[0], counted.at(-1)].filter((bucket) => bucket !== undefined));
    const found = await Promise.all(
      [...ends].map(({ period, start }) => this.#visitors.hasDaily(site, period, start)),
    );
    return found.some((isDaily) => isDaily);
  }

  /** Returns whether a summary's budget was reached. Queries it only if the page does not show it. */
  async #isOverIn(
    query: ResolvedQuery,
    summary: string,
    page: Page,
    { rows, count }: Keys,
  ): Promise<boolean> {
    if (rows.some(({ key }) => key === OTHERS)) return true;
    const isAll = page.search === undefined && rows.length === count;
    return isAll ? false : this.#isOverBudget(query, summary, isFromRecords(query, summary));
  }

  /**
   * Returns whether requests of the range are counted under `OTHERS` in a summary.
   * @param isFound True if the result is read from the records.
   */
  async #isOverBudget(query: ResolvedQuery, summary: string, isFound: boolean): Promise<boolean> {
    if (isFound) {
      if (columnOf(summary) === undefined) return false;
      const where = withKey(query.where, { summary, key: OTHERS });
      return (await this.#matched({ ...query, where })) !== undefined;
    }
    const total = this.#reader.total({ ...totalRequest(query), summary, target: OTHERS });
    return (await orElse(total, noMeasures())).hits > 0;
  }

  /** Returns the coverage of a summary in the range. */
  async coverage(query: ResolvedQuery, summary: string): Promise<Coverage> {
    const { site, zone, range, bots } = query;
    if (isFromRecords(query, summary)) return completeCoverage();
    return this.#coverage(query, await storedIn(this.#reader, site, spansOf(range, zone), bots), [summary]);
  }

  #coverage(
    { site, zone, range, bots, horizons }: ResolvedQuery,
    buckets: readonly StoredBucket[],
    summaries: readonly string[],
  ) {
    return coverageOf(this.#reader, { site, zone, bots, horizons, end: range.end }, buckets, summaries);
  }

  async #keys(query: ResolvedQuery, summary: string, page: Page): Promise<Keys> {
    const { bots } = query;
    const nothing = { rows: [], count: 0, total: noMeasures() };
    if (isFromRecords(query, summary)) {
      const column = columnFor(summary, 'summary');
      return orElse(this.#reader.matchingKeys({ ...matching(query), column, ...page }), nothing);
    }
    const fetchKeys = (of: Page) =>
      orElse(this.#reader.keys({ ...totalRequest(query), summary, ...of }), nothing);
    if (bots === 'include') return fetchKeys(page);
    const { rows } = await fetchKeys(EVERY_KEY);
    return pageOfKeys(
      rows.filter(({ key }) => !isLeftOut(summary, key, bots)),
      page,
    );
  }

  /** Returns the total of all matching records, or `undefined` if there are none. */
  async #matched(query: ResolvedQuery): Promise<MatchingRow | undefined> {
    const { start, end } = query.range;
    if (start >= end) return undefined;
    const request = { ...matching(query), bounds: [start, end] };
    const [row] = await orElse<MatchingRow[], MatchingRow[]>(this.#reader.matchingSeries(request), []);
    return row;
  }

  /** Returns the start of the kept data, as far as it matters to a query of the data since an instant. */
  async horizons(site: string, zone: Calendar, since: number): Promise<Horizons> {
    const horizons = await horizonsIn(this.#reader, site, zone);
    if (!hasExpired(horizons, since)) return NO_HORIZONS;
    return withoutEmpty(horizons, await firstMonth(this.#reader, site, horizons.month));
  }

  /** Returns the start of the first month with stored data that is kept. */
  async first(site: string, zone: Calendar): Promise<number | undefined> {
    const { month } = await horizonsIn(this.#reader, site, zone);
    return firstMonth(this.#reader, site, month);
  }

  /** Returns the range. It stays open only if no later data is stored that its last month would include. */
  async settled(site: string, zone: Calendar, range: HourRange): Promise<HourRange> {
    if (!range.open || range.start >= range.end) return range;
    return { ...range, open: !(await hasLater(this.#reader, { site, zone, end: range.end })) };
  }
}

/** Returns whether visitors of any of these buckets' requests are known, or of all of them for a comparison. */
function isCounted(
  buckets: readonly StoredBucket[],
  { hasVisitors }: Exclude<Source, 'records'>,
  isBefore: boolean,
): boolean {
  if (!hasVisitors) return false;
  const { hits } = allOf(buckets);
  const counted = countedOf(buckets, VISITORS);
  return hits === 0 || (isBefore ? counted === hits : counted > 0);
}

/**
 * Returns whether a result is read from the records: the sums of a key support no filter, and do not distinguish bots
 * from people, except those of `bots`.
 * @param summary Summary of the keys; `undefined` for totals.
 */
export function isFromRecords({ where, bots }: ResolvedQuery, summary: string | undefined): boolean {
  return where.length > 0 || (bots !== 'include' && summary !== undefined && summary !== sumBots.name);
}

/** Adds the condition on a key of a summary. */
function withKey(
  where: readonly Condition[],
  { summary, key }: { summary: string; key: string | null },
): Condition[] {
  return [...where, { column: columnFor(summary, 'summary'), value: key }];
}

/**
 * Returns the spans of the buckets that are partly in the range: they count partly, as in the totals.
 * @param starts Starts of all buckets of the range, in ms since 1970.
 */
export function partialBuckets(
  { range, zone }: Pick<ResolvedQuery, 'range' | 'zone'>,
  period: Period,
  starts: readonly number[],
): { start: number; spans: Span[] }[] {
  return starts
    .filter((start) => {
      const isOver = !range.open || start !== starts.at(-1);
      return start < range.start || (isOver && zone.next(period, start) > range.end);
    })
    .map((start) => {
      const end = Math.min(range.end, zone.next(period, start));
      const part = { ...range, start: Math.max(range.start, start), end };
      // Only the last bucket can extend until now.
      part.open &&= end === range.end;
      return { start, spans: spansOf(part, zone) };
    });
}

/** Returns the site and the spans of a query, to add up sums. */
export function totalRequest({ site, zone, range, horizons }: ResolvedQuery) {
  return {
    site,
    spans: spansOf(range, zone),
    ...(Number.isFinite(horizons.day) && { daysFrom: horizons.day }),
  };
}

export function matching({ site, range, where, bots }: ResolvedQuery): Matching {
  return { site, from: range.start, to: range.end - 1, where: [...where, ...botsCondition(bots)] };
}

function totalsOf(row: MatchingRow): Totals {
  return { ...onlyMeasures(row), visitors: row.visitors, bots: row.bots };
}
