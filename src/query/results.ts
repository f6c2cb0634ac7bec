import type { TextColumn } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type {
  Condition,
  KeyRow,
  Keys,
  KeysRequest,
  Matching,
  MatchingRow,
  Measures,
  Total,
} from '../storage/contract.ts';
import { noMeasures, onlyMeasures } from '../storage/measures.ts';
import { COVERAGE } from '../summaries/coverage.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';
import {
  allOf,
  completeCoverage,
  countedOf,
  coverageOf,
  hasLater,
  type StoredBucket,
  storedIn,
} from './coverage.ts';
import { invalid } from './invalid.ts';
import { orElse } from './or-else.ts';
import type { Bucket, Coverage, Totals } from './query-types.ts';
import { bucketsOf, type HourRange, spansOf } from './range.ts';
import { storedSummaries } from './sums-and-records.ts';

const EVERY_KEY = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
/** Maximum number of keys that are looked up one by one in the previous period. */
const MAX_LOOKUPS = 50;

type Page = Omit<KeysRequest, 'site' | 'summary' | 'spans'>;

/** Returns the totals of a bucket, by its start. */
type Series = (start: number) => Totals;

/** Summaries needed for totals in addition to those stored for all requests. */
const DETAILS = ['visitors', 'bots'] as const;
type Detail = (typeof DETAILS)[number];

/** Data source of a result: the records, or the sums and the available details. */
export type Source = 'records' | readonly Detail[];

/** A result and its coverage. */
interface Covered<T> {
  value: T;
  coverage: Coverage;
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
}

/** Computes results over one range from the queries of a storage's reading end. */
export class QueryResults {
  readonly #reader: CompleteReader;

  constructor(reader: CompleteReader) {
    this.#reader = reader;
  }

  /**
   * Returns the totals of the range.
   * @param isBefore True if it is the previous period. Partly known values are then omitted, because they
   * cannot be compared.
   */
  async totals(query: ResolvedQuery, source: Source, isBefore: boolean): Promise<Covered<Totals>> {
    const { site, zone, range } = query;
    if (source === 'records') {
      const row = await this.#matched(query);
      return {
        value: row ? totalsOf(row) : { ...noMeasures(), visitors: 0, bots: 0 },
        coverage: completeCoverage(),
      };
    }
    const spans = spansOf(range, zone);
    const total = (summary: Detail, target?: null) =>
      source.includes(summary) ? this.#reader.total({ site, summary, spans, target }) : undefined;
    const [buckets, visitors, bots, people] = await Promise.all([
      storedIn(this.#reader, site, spans),
      total('visitors'),
      total('bots'),
      total('bots', null),
    ]);
    const all = allOf(buckets);
    const isCounted = isCountedIn(buckets, all.hits, isBefore);
    return {
      value: {
        ...all,
        visitors: visitors && isCounted('visitors') ? visitors.keys : null,
        bots: bots && people && isCounted('bots') ? bots.hits - people.hits : null,
      },
      coverage: await this.#coverage(query, buckets, source),
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
    const { zone, range, where } = query;
    const starts = bucketsOf(range, period, zone);
    if (starts.length === 0) return { value: [], coverage: completeCoverage() };
    const { value: found, coverage } =
      source === 'records'
        ? await this.#recordSeries({ ...query, where: one ? withKey(where, one) : where }, period, starts)
        : await this.#sumSeries(query, period, starts, source, isBefore, one);
    return { value: starts.map((start) => ({ date: zone.format(start), ...found(start) })), coverage };
  }

  async #recordSeries(
    query: ResolvedQuery,
    period: Period,
    starts: readonly number[],
  ): Promise<Covered<Series>> {
    const { start, end } = query.range;
    const bounds = [start, ...starts.filter((each) => each > start), end];
    const rows = await orElse(this.#reader.matchingSeries({ ...matching(query), bounds }), []);
    const found = new Map(rows.map((row) => [query.zone.bucketOf(period, row.bucket), totalsOf(row)]));
    const empty = { ...noMeasures(), visitors: 0, bots: 0 };
    return { value: (each) => found.get(each) ?? empty, coverage: completeCoverage() };
  }

  async #sumSeries(
    query: ResolvedQuery,
    period: Period,
    starts: readonly number[],
    details: readonly Detail[],
    isBefore: boolean,
    one: OneKey | undefined,
  ): Promise<Covered<Series>> {
    const { site, zone, range } = query;
    // A bucket that is partly in the range counts partly, as in the totals.
    const parts = starts
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
    const span = { period, from: starts[0]!, to: range.end - 1 };
    const fetchTotals = async (summary: string, target?: string | null): Promise<Map<number, Total>> => {
      const [rows, ...partial] = await Promise.all([
        this.#reader.series({ site, summary, ...span, target }),
        ...parts.map(({ spans }) => this.#reader.total({ site, summary, spans, target })),
      ]);
      const found = new Map<number, Total>(rows.map((row) => [row.bucket, row]));
      parts.forEach(({ start }, index) => {
        found.set(start, partial[index]!);
      });
      return found;
    };
    const [rows, ...partial] = await Promise.all([
      storedIn(this.#reader, site, [span]),
      ...parts.map(({ spans }) => storedIn(this.#reader, site, spans)),
    ]);
    const stored = new Map(rows.map((bucket) => [bucket.start, [bucket]]));
    parts.forEach(({ start }, index) => {
      stored.set(start, partial[index]!);
    });
    const buckets = [...stored].sort(([a], [b]) => a - b).flatMap(([, of]) => of);
    if (one) {
      const found = await fetchTotals(one.summary, one.key);
      return {
        value: (start) => ({ ...onlyMeasures(found.get(start) ?? noMeasures()), visitors: null, bots: null }),
        coverage: await this.#coverage(query, buckets, [one.summary]),
      };
    }
    const wanted = (detail: Detail, target?: null) =>
      details.includes(detail) ? fetchTotals(detail, target) : undefined;
    const [visitorTotals, botTotals, peopleTotals] = await Promise.all([
      wanted('visitors'),
      wanted('bots'),
      wanted('bots', null),
    ]);
    return {
      value: (start) => {
        const of = stored.get(start) ?? [];
        const all = allOf(of);
        const isCounted = isCountedIn(of, all.hits, isBefore);
        const bots = (botTotals?.get(start)?.hits ?? 0) - (peopleTotals?.get(start)?.hits ?? 0);
        return {
          ...all,
          visitors: visitorTotals && isCounted('visitors') ? (visitorTotals.get(start)?.keys ?? 0) : null,
          bots: botTotals && isCounted('bots') ? bots : null,
        };
      },
      coverage: await this.#coverage(query, buckets, details),
    };
  }

  /** Returns the data source of a result: the records, if it is filtered. */
  async source({ site, where }: ResolvedQuery): Promise<Source> {
    if (where.length > 0) return 'records';
    const names = await storedSummaries(this.#reader, site);
    return DETAILS.filter((detail) => names.includes(detail));
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
    const { site, zone, range, where } = query;
    if (!(await this.coverage(query, summary)).complete) return undefined;
    if (rows.length > MAX_LOOKUPS) {
      const { rows: all } = await this.#keys(query, summary, EVERY_KEY);
      const found = new Map(all.map((row) => [row.key, row]));
      return rows.map(({ key }) => onlyMeasures(found.get(key) ?? noMeasures()));
    }
    const spans = spansOf(range, zone);
    return Promise.all(
      rows.map(async ({ key }) => {
        if (where.length === 0)
          return onlyMeasures(await this.#reader.total({ site, summary, spans, target: key }));
        const conditions = withKey(where, { summary, key });
        return onlyMeasures((await this.#matched({ ...query, where: conditions })) ?? noMeasures());
      }),
    );
  }

  /** Returns a page of a summary's keys. */
  async keys(query: ResolvedQuery, summary: string, page: Page): Promise<Covered<Keys>> {
    const [value, coverage] = await Promise.all([
      this.#keys(query, summary, page),
      this.coverage(query, summary),
    ]);
    return { value, coverage };
  }

  /** Returns the coverage of a summary in the range. */
  async coverage(query: ResolvedQuery, summary: string): Promise<Coverage> {
    const { site, zone, range, where } = query;
    if (where.length > 0) return completeCoverage();
    return this.#coverage(query, await storedIn(this.#reader, site, spansOf(range, zone)), [summary]);
  }

  #coverage(
    { site, zone, range }: ResolvedQuery,
    buckets: readonly StoredBucket[],
    summaries: readonly string[],
  ) {
    return coverageOf(this.#reader, { site, zone, end: range.end }, buckets, summaries);
  }

  #keys(query: ResolvedQuery, summary: string, page: Page): Promise<Keys> {
    const { site, zone, range, where } = query;
    const answer =
      where.length > 0
        ? this.#reader.matchingKeys({ ...matching(query), column: columnFor(summary, 'summary'), ...page })
        : this.#reader.keys({ site, summary, spans: spansOf(range, zone), ...page });
    return orElse(answer, { rows: [], count: 0, total: noMeasures() });
  }

  /** Returns the total of all matching records, or `undefined` if there are none. */
  async #matched(query: ResolvedQuery): Promise<MatchingRow | undefined> {
    const { start, end } = query.range;
    if (start >= end) return undefined;
    const request = { ...matching(query), bounds: [start, end] };
    const [row] = await orElse<MatchingRow[], MatchingRow[]>(this.#reader.matchingSeries(request), []);
    return row;
  }

  /** Returns the start of the first month with stored data. */
  async first(site: string): Promise<number | undefined> {
    const all = { from: -Number.MAX_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER };
    const [row] = await orElse(
      this.#reader.series({ site, summary: COVERAGE.name, period: 'month', ...all, target: undefined }),
      [],
    );
    return row?.bucket;
  }

  /** Returns the range. It stays open only if no later data is stored that its last month would include. */
  async settled(site: string, zone: Calendar, range: HourRange): Promise<HourRange> {
    if (!range.open || range.start >= range.end) return range;
    return { ...range, open: !(await hasLater(this.#reader, { site, zone, end: range.end })) };
  }
}

/** Returns whether a summary counts any of these buckets' requests, or all of them for a comparison. */
function isCountedIn(buckets: readonly StoredBucket[], hits: number, isBefore: boolean) {
  return (summary: Detail): boolean => {
    const counted = countedOf(buckets, summary);
    return hits === 0 || (isBefore ? counted === hits : counted > 0);
  };
}

/** Returns the record column that contains a summary's keys. */
export function columnFor(summary: string, option: 'filter' | 'summary'): TextColumn {
  const column = columnOf(summary);
  if (column !== undefined) return column;
  const names = STANDARD_SUMMARIES.map((standard) => standard.name).join(', ');
  const where = option === 'filter' ? '' : ' (required by the filter)';
  throw invalid(option, summary, `a summary whose keys are stored in the records${where}: ${names}`);
}

export function columnOf(name: string): TextColumn | undefined {
  const found = known(name);
  return found && 'column' in found ? found.column : undefined;
}

/** Adds the condition on a key of a summary. */
function withKey(
  where: readonly Condition[],
  { summary, key }: { summary: string; key: string | null },
): Condition[] {
  return [...where, { column: columnFor(summary, 'summary'), value: key }];
}

export function matching({ site, range, where }: ResolvedQuery): Matching {
  return { site, from: range.start, to: range.end - 1, where };
}

function totalsOf(row: MatchingRow): Totals {
  return { ...onlyMeasures(row), visitors: row.visitors, bots: row.bots };
}
