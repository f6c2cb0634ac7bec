import { show, TrackUsageError } from '../errors.ts';
import type { TextColumn, UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storages/complete-reader.ts';
import {
  type Condition,
  type KeyRow,
  type Matching,
  type Measures,
  ORDERS,
  type Order,
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
  /** Whether the period before is answered too. Defaults to false. */
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
    const before = options.compare ? previousOf(asked.range, asked.zone) : undefined;
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
    if (summary !== undefined && key === undefined)
      throw invalid('key', key, 'a key of the summary, or null');
    if (asked.range.end - asked.range.start > MOST_BUCKETS * 3_600_000 && period === 'hour') {
      throw invalid('period', period, `"day" or "month" for a range of more than ${MOST_BUCKETS} hours`);
    }
    const name = summary === undefined ? undefined : await this.#summary(asked.site, summary);
    const of = (range: HourRange) => this.#series({ ...asked, range }, period, name, key);
    const before = options.compare ? previousOf(asked.range, asked.zone) : undefined;
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
    const wanted = { order, search: search === '' ? undefined : search, limit, offset: limit * (page - 1) };
    const { rows, count, total } = await orElse(
      asked.where.length > 0
        ? this.#reader.matchingKeys({ ...matching(asked), column: this.#column(name), ...wanted })
        : this.#reader.keys({
            site: asked.site,
            summary: name,
            spans: spansOf(asked.range, asked.zone),
            ...wanted,
          }),
      { rows: [], count: 0, total: nothing() },
    );
    const before = options.compare ? await this.#before(asked, name, rows) : undefined;
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
    if (after !== undefined && !/^-?\d+( \d+)*$/.test(after)) {
      throw invalid('after', after, 'the "next" of the answer before');
    }
    const { records, next } = await orElse(
      this.#reader.matchingRecords({ ...matching(asked), after, limit }),
      { records: [], next: undefined },
    );
    return { ...answered(asked), records, next: next ?? null };
  }

  async #totals({ site, zone, range, where }: Asked): Promise<Totals> {
    if (where.length > 0) {
      const bounds = [range.start, range.end];
      const request = { ...matching({ site, zone, range, where }), bounds };
      const [row] = await orElse(this.#reader.matchingSeries(request), []);
      return row ? totalsOf(row) : { ...nothing(), visitors: 0, bots: 0 };
    }
    const spans = spansOf(range, zone);
    const total = (summary: string, target?: null) => this.#reader.total({ site, summary, spans, target });
    const names = await this.#kept(site);
    const whole = WHOLE.find((name) => names.has(name));
    const [all, visitors, bots, people] = await Promise.all([
      whole ? total(whole) : { ...nothing(), keys: 0 },
      names.has('visitors') ? total('visitors') : undefined,
      names.has('bots') ? total('bots') : undefined,
      names.has('bots') ? total('bots', null) : undefined,
    ]);
    return {
      ...pick(all),
      visitors: visitors?.keys ?? null,
      bots: bots && people ? bots.hits - people.hits : null,
    };
  }

  async #series(
    { site, zone, range, where }: Asked,
    period: Period,
    summary: string | undefined,
    key: string | null | undefined,
  ): Promise<Bucket[]> {
    const starts = bucketsOf(range, period, zone);
    const found = new Map<number, Totals>();
    if (where.length > 0) {
      const conditions =
        summary === undefined ? where : [...where, { column: this.#column(summary), value: key ?? null }];
      const bounds = [range.start, ...starts.filter((start) => start > range.start), range.end];
      const request = { ...matching({ site, zone, range, where: conditions }), bounds };
      const rows = await orElse(this.#reader.matchingSeries(request), []);
      for (const row of rows) found.set(zone.bucketOf(period, row.bucket), totalsOf(row));
    } else {
      const names = await this.#kept(site);
      const span = { period, from: starts[0] ?? range.start, to: range.end - 1 };
      const ask = async (of: string, target?: string | null) => {
        const rows = await this.#reader.series({ site, summary: of, ...span, target });
        return new Map(rows.map((row) => [row.bucket, row]));
      };
      const whole = summary ?? WHOLE.find((name) => names.has(name));
      const isAll = summary === undefined;
      const [all, visitors, bots, people] = await Promise.all([
        whole ? ask(whole, key) : undefined,
        isAll && names.has('visitors') ? ask('visitors') : undefined,
        isAll && names.has('bots') ? ask('bots') : undefined,
        isAll && names.has('bots') ? ask('bots', null) : undefined,
      ]);
      for (const start of starts) {
        found.set(start, {
          ...pick(all?.get(start) ?? nothing()),
          visitors: visitors ? (visitors.get(start)?.keys ?? 0) : null,
          bots: bots ? (bots.get(start)?.hits ?? 0) - (people?.get(start)?.hits ?? 0) : null,
        });
      }
    }
    return starts.map((start) => ({
      date: zone.format(start),
      ...(found.get(start) ?? { ...nothing(), visitors: 0, bots: 0 }),
    }));
  }

  /** What the keys had in the period before. */
  async #before(asked: Asked, summary: string, rows: readonly KeyRow[]): Promise<Measures[]> {
    const range = previousOf(asked.range, asked.zone);
    const { site, zone, where } = asked;
    return Promise.all(
      rows.map(async ({ key }) => {
        if (where.length === 0) {
          return pick(await this.#reader.total({ site, summary, spans: spansOf(range, zone), target: key }));
        }
        const conditions = [...where, { column: this.#column(summary), value: key }];
        const request = {
          ...matching({ site, zone, range, where: conditions }),
          bounds: [range.start, range.end],
        };
        const [row] = await this.#reader.matchingSeries(request);
        return row ? pick(row) : nothing();
      }),
    );
  }

  async #ask(options: QuestionOptions): Promise<Asked> {
    const { name: site, zone } = await this.#site(options.site);
    const where = Object.entries(options.filter ?? {}).map(([name, value]): Condition => {
      if (value !== null && typeof value !== 'string') throw invalid('filter', value, 'a key, or null');
      return { column: this.#column(name), value };
    });
    const range = await rangeOf(options, zone, this.#now(), () => this.#first(site));
    return { site, zone, range, where };
  }

  async #site(given: string | undefined): Promise<{ name: string; zone: Calendar }> {
    const name = given ?? this.#context.site ?? DEFAULT_SITE;
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

  #column(name: string): TextColumn {
    const column = columnOf(name);
    if (column !== undefined) return column;
    const names = STANDARD_SUMMARIES.map((standard) => standard.name).join(', ');
    throw invalid('filter', name, `a summary whose keys stand in the records: ${names}`);
  }
}

function columnOf(name: string): TextColumn | undefined {
  return STANDARD_SUMMARIES.find((standard) => standard.name === name)?.column;
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

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('QUERY_INVALID', { name, value: show(value), expected });
}
