import { show, TrackUsageError } from '../errors.ts';
import type { TextColumn, UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storages/complete-reader.ts';
import {
  type Condition,
  type KeyRow,
  type Keys,
  type KeysRequest,
  type Matching,
  type MatchingRow,
  type Measures,
  ORDERS,
  type Order,
  type Total,
} from '../storages/contract.ts';
import type { Summary } from '../summaries/define.ts';
import { type Calendar, calendar, PERIODS, type Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { orElse, summaryName } from './ask.ts';
import {
  bucketsOf,
  type HourRange,
  periodOf,
  previousOf,
  type RangeOptions,
  rangeOf,
  spansOf,
} from './range.ts';

/** What an answer is narrowed to, by the name of a summary: its key, or `null` for the requests without one. */
export type Filter = Readonly<Record<string, string | null>>;

export interface QuestionOptions extends RangeOptions {
  /** Defaults to the site of the TrackUsage, or `default`. */
  site?: string;
  /** Answered from the records, where the storage can search them. Defaults to none. */
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
  /** Part of the key. Defaults to all keys. */
  search?: string;
  /** Rows on a page; 0 for all. Defaults to 10. */
  limit?: number;
  /** Counted from 1. Defaults to 1. */
  page?: number;
}

export interface RecordsOptions extends QuestionOptions {
  /** The `next` of the answer before. */
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

export interface Totals extends Measures {
  /** Different cookie visitors; `null` where no summary tells. */
  visitors: number | null;
  /** Requests of robots; `null` where no summary tells. */
  bots: number | null;
}

export interface TotalsAnswer {
  site: string;
  timeZone: string;
  range: AnsweredRange;
  totals: Totals;
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
  previous: { range: AnsweredRange; buckets: Bucket[] } | null;
}

export interface TopRow extends KeyRow {
  /** What the key had in the period before; `null` where that was not asked for. */
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
  /** Whether the storage can filter. */
  filter: boolean;
  summaries: SummaryInfo[];
}

/** The summaries from which the whole is read, those with the fewest keys first: each request has one key in each. */
const WHOLE = [
  'server',
  'status',
  'bots',
  'languages',
  'geo',
  'browsers',
  'routes',
  'remotes',
  'user-agents',
  'referrers',
  'urls',
  'visitors',
];
const DEFAULT_SITE = 'default';
const MOST_RECORDS = 10_000;
/** More buckets than a chart has room for are a slip. */
const MOST_BUCKETS = 10_000;
/** How long a bucket is at least, in ms. */
const SHORTEST: Readonly<Record<Period, number>> = {
  hour: 3_600_000,
  day: 24 * 3_600_000,
  month: 28 * 24 * 3_600_000,
};
const EVERY_KEY = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
/** Keys that are looked for one by one in the period before. */
const MOST_LOOKUPS = 50;

/** What each bucket holds, by its beginning. */
type Series = (start: number) => Totals;

/** The summaries that an answer is read from. */
interface Source {
  whole: string | undefined;
  visitors: boolean;
  bots: boolean;
}

interface Asked {
  site: string;
  zone: Calendar;
  range: HourRange;
  where: Condition[];
}

/** What a `UsageQuery` is told by whoever makes it. */
export interface QueryContext {
  site?: string;
  /** Of a site of which nothing is stored yet. */
  timeZone?: string;
  /** The summaries that are kept, even where nothing is stored of them yet. */
  summaries?: readonly Summary[];
  /** Defaults to the clock. In ms since 1970. */
  now?: () => number;
}

/** Questions over a range of time, to one storage. */
export class UsageQuery {
  readonly #reader: CompleteReader;
  readonly #context: QueryContext;
  readonly #now: () => number;

  constructor(reader: CompleteReader, context: QueryContext = {}) {
    this.#reader = reader;
    this.#context = context;
    this.#now = context.now ?? Date.now;
  }

  /** The same questions about another site. */
  of(site: string): UsageQuery {
    return new UsageQuery(this.#reader, { ...this.#context, site });
  }

  /** The site's time zone, and what can be asked for. */
  async site({ site }: { site?: string } = {}): Promise<SiteAnswer> {
    const { name, zone } = await this.#site(site);
    const stored = await orElse<string[], string[]>(this.#reader.summaries(name), []);
    const kept = (this.#context.summaries ?? []).map((summary) => summary.name);
    const filter = await orElse(this.#reader.canFilter(), false);
    const order = STANDARD_SUMMARIES.map((standard) => standard.name);
    const place = (of: string) => (order.includes(of) ? order.indexOf(of) : order.length);
    const names = [...new Set([...kept, ...stored])].sort((a, b) => place(a) - place(b));
    return {
      site: name,
      timeZone: zone.timeZone,
      filter,
      summaries: names.map((of) => ({
        name: of,
        title: known(of)?.title ?? of,
        own: known(of) === undefined,
        filter: filter && columnOf(of) !== undefined,
      })),
    };
  }

  /** Hits, bytes, errors, time, visitors and robots of a range, all together. */
  async totals(options: ComparedOptions = {}): Promise<TotalsAnswer> {
    const asked = await this.#ask(options);
    const of = (range: HourRange) => this.#totals({ ...asked, range });
    const before = beforeOf(asked, options);
    return {
      ...answered(asked),
      totals: await of(asked.range),
      previous: before ? { range: shown(before, asked.zone), totals: await of(before) } : null,
    };
  }

  /** The same for each hour, day or month of a range; or for one key of a summary, without visitors and robots. */
  async series(options: SeriesOptions = {}): Promise<SeriesAnswer> {
    const asked = await this.#ask(options);
    const { period = periodOf(asked.range), summary, key } = options;
    if (!PERIODS.includes(period)) throw invalid('period', period, PERIODS.map((p) => `"${p}"`).join(', '));
    if (summary === undefined && key !== undefined) {
      throw invalid('summary', summary, 'the summary of the key');
    }
    if (summary !== undefined && !isKey(key)) throw invalid('key', key, 'a key of the summary, or null');
    if (asked.range.end - asked.range.start > MOST_BUCKETS * SHORTEST[period]) {
      throw invalid('period', period, `one of which the range has no more than ${MOST_BUCKETS}`);
    }
    const name = summary === undefined ? undefined : await this.#summary(asked.site, summary);
    const of = (range: HourRange) => this.#series({ ...asked, range }, period, name, key);
    const before = beforeOf(asked, options);
    return {
      ...answered(asked),
      period,
      buckets: await of(asked.range),
      previous: before ? { range: shown(before, asked.zone), buckets: await of(before) } : null,
    };
  }

  /** The keys of a summary over a range, those with the most first, and what the others have together. */
  async top(summary: Summary | string, options: TopOptions = {}): Promise<TopAnswer> {
    const asked = await this.#ask(options);
    const name = await this.#summary(asked.site, summary);
    const { order = 'hits', search, limit = 10, page = 1 } = options;
    if (!ORDERS.includes(order)) throw invalid('order', order, ORDERS.map((o) => `"${o}"`).join(', '));
    if (!isWhole(limit, 0)) throw invalid('limit', limit, 'a whole number, 0 for all');
    if (!isWhole(page, 1) || !isWhole(limit * (page - 1), 0)) {
      throw invalid('page', page, 'a whole number from 1');
    }
    if (limit === 0 && page > 1) throw invalid('page', page, '1, since limit 0 puts all on one page');
    if (search !== undefined && typeof search !== 'string') {
      throw invalid('search', search, 'a part of the keys');
    }
    const wanted = { order, search: search === '' ? undefined : search, limit, offset: limit * (page - 1) };
    const { rows, count, total } = await this.#keys(asked, name, wanted);
    const range = beforeOf(asked, options);
    const before = range && (await this.#before({ ...asked, range }, name, rows));
    return {
      ...answered(asked),
      summary: name,
      order,
      rows: rows.map((row, index) => ({ ...row, previous: before?.[index] ?? null })),
      count,
      total,
      others: rows.reduce((rest, row) => minus(rest, row), total),
    };
  }

  /** Records, newest first, a page at a time. */
  async records(options: RecordsOptions = {}): Promise<RecordsAnswer> {
    const asked = await this.#ask(options);
    const { after, limit = 100 } = options;
    if (!isWhole(limit, 1) || limit > MOST_RECORDS) {
      throw invalid('limit', limit, `a whole number from 1 to ${MOST_RECORDS}`);
    }
    if (after !== undefined && (typeof after !== 'string' || !/^-?\d+( \d+)*$/.test(after))) {
      throw invalid('after', after, 'the "next" of the answer before');
    }
    const { records, next } = await orElse(
      this.#reader.matchingRecords({ ...matching(asked), after, limit }),
      { records: [], next: undefined },
    );
    return { ...answered(asked), records, next: next ?? null };
  }

  async #totals(asked: Asked): Promise<Totals> {
    const { site, zone, range } = asked;
    const source = await this.#source(asked);
    if (source === 'records') {
      const row = await this.#matched(asked);
      if (row) return totalsOf(row);
      return asked.where.length > 0 ? { ...nothing(), visitors: 0, bots: 0 } : unknown();
    }
    const spans = spansOf(range, zone);
    const total = (summary: string, target?: null) => this.#reader.total({ site, summary, spans, target });
    const [all, visitors, bots, people] = await Promise.all([
      source.whole === undefined ? nothing() : total(source.whole),
      source.visitors ? total('visitors') : undefined,
      source.bots ? total('bots') : undefined,
      source.bots ? total('bots', null) : undefined,
    ]);
    return {
      ...pick(all),
      visitors: visitors?.keys ?? null,
      bots: bots && people ? bots.hits - people.hits : null,
    };
  }

  async #series(
    asked: Asked,
    period: Period,
    summary?: string,
    key: string | null = null,
  ): Promise<Bucket[]> {
    const { zone, range, where } = asked;
    const starts = bucketsOf(range, period, zone);
    if (starts.length === 0) return [];
    const source = await this.#source(asked, summary);
    const conditions =
      source === 'records' && summary !== undefined
        ? [...where, { column: columnFor(summary, 'summary'), value: key }]
        : where;
    const found =
      source === 'records'
        ? await this.#recordSeries({ ...asked, where: conditions }, period, starts)
        : await this.#sumSeries(asked, period, starts, source, summary === undefined ? undefined : key);
    return starts.map((start) => ({ date: zone.format(start), ...found(start) }));
  }

  async #recordSeries(asked: Asked, period: Period, starts: readonly number[]): Promise<Series> {
    const { start, end } = asked.range;
    const bounds = [start, ...starts.filter((each) => each > start), end];
    const rows = await orElse(this.#reader.matchingSeries({ ...matching(asked), bounds }), []);
    const found = new Map(rows.map((row) => [asked.zone.bucketOf(period, row.bucket), totalsOf(row)]));
    const empty =
      asked.where.length > 0 || rows.length > 0 ? { ...unknown(), visitors: 0, bots: 0 } : unknown();
    return (each) => found.get(each) ?? empty;
  }

  async #sumSeries(
    { site, zone, range }: Asked,
    period: Period,
    starts: readonly number[],
    { whole, visitors, bots }: Source,
    key: string | null | undefined,
  ): Promise<Series> {
    // A bucket that lies in the range in part counts in part, as it does in the totals.
    const parts = starts.filter((start) => {
      const isOver = !range.open || start !== starts.at(-1);
      return start < range.start || (isOver && zone.next(period, start) > range.end);
    });
    const ask = async (summary: string, target?: string | null): Promise<Map<number, Total>> => {
      const span = { period, from: starts[0]!, to: range.end - 1 };
      const [rows, ...partial] = await Promise.all([
        this.#reader.series({ site, summary, ...span, target }),
        ...parts.map((start) => {
          const end = Math.min(range.end, zone.next(period, start));
          const part = { ...range, start: Math.max(range.start, start), end };
          // Only the last bucket can last until now.
          part.open &&= end === range.end;
          return this.#reader.total({ site, summary, spans: spansOf(part, zone), target });
        }),
      ]);
      const found = new Map<number, Total>(rows.map((row) => [row.bucket, row]));
      parts.forEach((start, index) => {
        found.set(start, partial[index]!);
      });
      return found;
    };
    const [all, people, robots, noRobots] = await Promise.all([
      whole === undefined ? undefined : ask(whole, key),
      visitors ? ask('visitors') : undefined,
      bots ? ask('bots') : undefined,
      bots ? ask('bots', null) : undefined,
    ]);
    return (start) => ({
      ...pick(all?.get(start) ?? nothing()),
      visitors: people ? (people.get(start)?.keys ?? 0) : null,
      bots: robots ? (robots.get(start)?.hits ?? 0) - (noRobots?.get(start)?.hits ?? 0) : null,
    });
  }

  /** From where an answer is read: the records, where it is filtered or no summary holds the whole. */
  async #source({ site, where }: Asked, summary?: string): Promise<'records' | Source> {
    if (where.length > 0) return 'records';
    if (summary !== undefined) return { whole: summary, visitors: false, bots: false };
    const names = await this.#kept(site);
    const whole = WHOLE.find((name) => names.has(name));
    if (whole === undefined && (await orElse(this.#reader.canFilter(), false))) return 'records';
    return { whole, visitors: names.has('visitors'), bots: names.has('bots') };
  }

  /** What the keys had in the period before, which is the range of `asked`. */
  async #before(asked: Asked, summary: string, rows: readonly KeyRow[]): Promise<Measures[]> {
    const { site, zone, range, where } = asked;
    if (rows.length > MOST_LOOKUPS) {
      const { rows: all } = await this.#keys(asked, summary, EVERY_KEY);
      const found = new Map(all.map((row) => [row.key, row]));
      return rows.map(({ key }) => pick(found.get(key) ?? nothing()));
    }
    const spans = spansOf(range, zone);
    return Promise.all(
      rows.map(async ({ key }) => {
        if (where.length === 0) return pick(await this.#reader.total({ site, summary, spans, target: key }));
        const conditions = [...where, { column: columnFor(summary, 'summary'), value: key }];
        return pick((await this.#matched({ ...asked, where: conditions })) ?? nothing());
      }),
    );
  }

  /** A page of a summary's keys. */
  #keys(asked: Asked, summary: string, page: Omit<KeysRequest, 'site' | 'summary' | 'spans'>): Promise<Keys> {
    const { site, zone, range, where } = asked;
    const answer =
      where.length > 0
        ? this.#reader.matchingKeys({ ...matching(asked), column: columnFor(summary, 'summary'), ...page })
        : this.#reader.keys({ site, summary, spans: spansOf(range, zone), ...page });
    return orElse(answer, { rows: [], count: 0, total: nothing() });
  }

  /** All records that match, added up; `undefined` where there are none. */
  async #matched(asked: Asked): Promise<MatchingRow | undefined> {
    const { start, end } = asked.range;
    if (start >= end) return undefined;
    const request = { ...matching(asked), bounds: [start, end] };
    const [row] = await orElse<MatchingRow[], MatchingRow[]>(this.#reader.matchingSeries(request), []);
    return row;
  }

  async #ask(options: QuestionOptions): Promise<Asked> {
    const { name: site, zone } = await this.#site(options.site);
    const { filter = {} } = options;
    if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) {
      throw invalid('filter', filter, 'an object of keys by the names of their summaries');
    }
    const where = Object.entries(filter).map(([name, value]): Condition => {
      if (!isKey(value)) throw invalid(`filter.${name}`, value, 'a key, or null');
      return { column: columnFor(name, 'filter'), value };
    });
    const range = await rangeOf(options, zone, this.#now(), () => this.#first(site));
    return { site, zone, range, where };
  }

  async #site(given: string | undefined): Promise<{ name: string; zone: Calendar }> {
    const name = given === undefined ? (this.#context.site ?? DEFAULT_SITE) : given;
    if (typeof name !== 'string') throw invalid('site', name, 'the name of a site');
    const stored = await orElse(this.#reader.timeZone(name), undefined);
    return { name, zone: calendar(stored ?? this.#context.timeZone ?? 'UTC') };
  }

  /** The beginning of the first month of which something is stored. */
  async #first(site: string): Promise<number | undefined> {
    const names = await this.#kept(site);
    const whole = WHOLE.find((name) => names.has(name)) ?? [...names][0];
    if (whole === undefined) return undefined;
    const all = { from: -Number.MAX_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER };
    const [row] = await this.#reader.series({
      site,
      summary: whole,
      period: 'month',
      ...all,
      target: undefined,
    });
    return row?.bucket;
  }

  async #kept(site: string): Promise<Set<string>> {
    return new Set(await orElse<string[], string[]>(this.#reader.summaries(site), []));
  }

  /** The name of a summary that is stored or kept. */
  async #summary(site: string, summary: Summary | string): Promise<string> {
    const name = summaryName(summary);
    if (typeof summary !== 'string' || known(name)) return name;
    const names = new Set([
      ...STANDARD_SUMMARIES.map((standard) => standard.name),
      ...(this.#context.summaries ?? []).map((kept) => kept.name),
      ...(await this.#kept(site)),
    ]);
    if (names.has(name)) return name;
    throw new TrackUsageError('SUMMARY_UNKNOWN', { value: show(name), known: [...names].join(', ') });
  }
}

/** The column of the records that holds a summary's keys. */
function columnFor(summary: string, option: 'filter' | 'summary'): TextColumn {
  const column = columnOf(summary);
  if (column !== undefined) return column;
  const names = STANDARD_SUMMARIES.map((standard) => standard.name).join(', ');
  const where = option === 'filter' ? '' : ' where the answer is filtered';
  throw invalid(option, summary, `a summary whose keys stand in the records${where}: ${names}`);
}

function columnOf(name: string): TextColumn | undefined {
  const found = known(name);
  return found && 'column' in found ? found.column : undefined;
}

/** The period before, where it is asked for. */
function beforeOf({ range, zone }: Asked, { compare = false }: ComparedOptions): HourRange | undefined {
  if (typeof compare !== 'boolean') throw invalid('compare', compare, 'true or false');
  if (!compare) return undefined;
  // There is nothing before so much time, and counting its days back would take a while.
  if (range.end - range.start > MOST_BUCKETS * SHORTEST[range.unit]) return undefined;
  return previousOf(range, zone);
}

function matching({ site, range, where }: Asked): Matching {
  return { site, from: range.start, to: range.end - 1, where };
}

function answered({ site, zone, range }: Asked) {
  return { site, timeZone: zone.timeZone, range: shown(range, zone) };
}

function shown({ start, end }: HourRange, zone: Calendar): AnsweredRange {
  return { from: zone.format(start), to: zone.format(zone.hourOf(Math.max(start, end - 1))) };
}

function nothing(): Measures {
  return { hits: 0, transfer: 0, errors: 0, duration: 0 };
}

function unknown(): Totals {
  return { ...nothing(), visitors: null, bots: null };
}

function pick({ hits, transfer, errors, duration }: Measures): Measures {
  return { hits, transfer, errors, duration };
}

function totalsOf(row: Measures & { visitors: number; bots: number }): Totals {
  return { ...pick(row), visitors: row.visitors, bots: row.bots };
}

function minus(from: Measures, less: Measures): Measures {
  return {
    hits: from.hits - less.hits,
    transfer: from.transfer - less.transfer,
    errors: from.errors - less.errors,
    duration: from.duration - less.duration,
  };
}

function isKey(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('QUERY_INVALID', { name, value: show(value), expected });
}
