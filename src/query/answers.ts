import type { TextColumn } from '../record.ts';
import type { CompleteReader } from '../storages/complete-reader.ts';
import type {
  Condition,
  KeyRow,
  Keys,
  KeysRequest,
  Matching,
  MatchingRow,
  Measures,
  Total,
} from '../storages/contract.ts';
import { noMeasures, onlyMeasures } from '../storages/measures.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { orElse, storedSummaries } from './ask.ts';
import { invalid } from './invalid.ts';
import type { Bucket, Totals } from './questions.ts';
import { bucketsOf, type HourRange, spansOf } from './range.ts';

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
const EVERY_KEY = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
/** Keys that are looked for one by one in the period before. */
const MOST_LOOKUPS = 50;

/** What each bucket holds, by its beginning. */
type Series = (start: number) => Totals;

/** The summaries that an answer is read from. */
interface Sums {
  whole: string | undefined;
  visitors: boolean;
  bots: boolean;
}

/** From where an answer is read: the records, or these summaries. */
export type Source = 'records' | Sums;

/** A question as it is understood. */
export interface Asked {
  site: string;
  zone: Calendar;
  range: HourRange;
  where: Condition[];
}

/** Answers over one range, put together from what a storage's reading end is asked. */
export class Answers {
  readonly #reader: CompleteReader;

  constructor(reader: CompleteReader) {
    this.#reader = reader;
  }

  /** All of the range together. */
  async totals(asked: Asked, source: Source): Promise<Totals> {
    const { site, zone, range } = asked;
    if (source === 'records') {
      const row = await this.#matched(asked);
      if (row) return totalsOf(row);
      return asked.where.length > 0 ? { ...noMeasures(), visitors: 0, bots: 0 } : unknown();
    }
    const spans = spansOf(range, zone);
    const total = (summary: string, target?: null) => this.#reader.total({ site, summary, spans, target });
    const [all, visitors, bots, people] = await Promise.all([
      source.whole === undefined ? noMeasures() : total(source.whole),
      source.visitors ? total('visitors') : undefined,
      source.bots ? total('bots') : undefined,
      source.bots ? total('bots', null) : undefined,
    ]);
    return {
      ...onlyMeasures(all),
      visitors: visitors?.keys ?? null,
      bots: bots && people ? bots.hits - people.hits : null,
    };
  }

  /**
   * Each bucket of the range.
   * @param one The summary and its key, where one alone is wanted.
   */
  async series(
    asked: Asked,
    source: Source,
    period: Period,
    one?: { summary: string; key: string | null },
  ): Promise<Bucket[]> {
    const { zone, range, where } = asked;
    const starts = bucketsOf(range, period, zone);
    if (starts.length === 0) return [];
    const found =
      source === 'records'
        ? await this.#recordSeries({ ...asked, where: one ? withKey(where, one) : where }, period, starts)
        : await this.#sumSeries(asked, period, starts, source, one?.key);
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
    { whole, visitors, bots }: Sums,
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
      ...onlyMeasures(all?.get(start) ?? noMeasures()),
      visitors: people ? (people.get(start)?.keys ?? 0) : null,
      bots: robots ? (robots.get(start)?.hits ?? 0) - (noRobots?.get(start)?.hits ?? 0) : null,
    });
  }

  /** From where an answer is read: the records, where it is filtered or no summary holds the whole. */
  async source({ site, where }: Asked, summary?: string): Promise<Source> {
    if (where.length > 0) return 'records';
    if (summary !== undefined) return { whole: summary, visitors: false, bots: false };
    const names = new Set(await storedSummaries(this.#reader, site));
    const whole = WHOLE.find((name) => names.has(name));
    if (whole === undefined && (await orElse(this.#reader.canFilter(), false))) return 'records';
    return { whole, visitors: names.has('visitors'), bots: names.has('bots') };
  }

  /** What the keys had in the period before, which is the range of `asked`. */
  async before(asked: Asked, summary: string, rows: readonly KeyRow[]): Promise<Measures[]> {
    const { site, zone, range, where } = asked;
    if (rows.length > MOST_LOOKUPS) {
      const { rows: all } = await this.keys(asked, summary, EVERY_KEY);
      const found = new Map(all.map((row) => [row.key, row]));
      return rows.map(({ key }) => onlyMeasures(found.get(key) ?? noMeasures()));
    }
    const spans = spansOf(range, zone);
    return Promise.all(
      rows.map(async ({ key }) => {
        if (where.length === 0)
          return onlyMeasures(await this.#reader.total({ site, summary, spans, target: key }));
        const conditions = withKey(where, { summary, key });
        return onlyMeasures((await this.#matched({ ...asked, where: conditions })) ?? noMeasures());
      }),
    );
  }

  /** A page of a summary's keys. */
  keys(asked: Asked, summary: string, page: Omit<KeysRequest, 'site' | 'summary' | 'spans'>): Promise<Keys> {
    const { site, zone, range, where } = asked;
    const answer =
      where.length > 0
        ? this.#reader.matchingKeys({ ...matching(asked), column: columnFor(summary, 'summary'), ...page })
        : this.#reader.keys({ site, summary, spans: spansOf(range, zone), ...page });
    return orElse(answer, { rows: [], count: 0, total: noMeasures() });
  }

  /** All records that match, added up; `undefined` where there are none. */
  async #matched(asked: Asked): Promise<MatchingRow | undefined> {
    const { start, end } = asked.range;
    if (start >= end) return undefined;
    const request = { ...matching(asked), bounds: [start, end] };
    const [row] = await orElse<MatchingRow[], MatchingRow[]>(this.#reader.matchingSeries(request), []);
    return row;
  }

  /** The beginning of the first month of which something is stored. */
  async first(site: string): Promise<number | undefined> {
    const names = new Set(await storedSummaries(this.#reader, site));
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
}

/** The column of the records that holds a summary's keys. */
export function columnFor(summary: string, option: 'filter' | 'summary'): TextColumn {
  const column = columnOf(summary);
  if (column !== undefined) return column;
  const names = STANDARD_SUMMARIES.map((standard) => standard.name).join(', ');
  const where = option === 'filter' ? '' : ' where the answer is filtered';
  throw invalid(option, summary, `a summary whose keys stand in the records${where}: ${names}`);
}

export function columnOf(name: string): TextColumn | undefined {
  const found = known(name);
  return found && 'column' in found ? found.column : undefined;
}

/** The conditions, and that it is a key of a summary. */
function withKey(
  where: readonly Condition[],
  { summary, key }: { summary: string; key: string | null },
): Condition[] {
  return [...where, { column: columnFor(summary, 'summary'), value: key }];
}

export function matching({ site, range, where }: Asked): Matching {
  return { site, from: range.start, to: range.end - 1, where };
}

function unknown(): Totals {
  return { ...noMeasures(), visitors: null, bots: null };
}

function totalsOf(row: MatchingRow): Totals {
  return { ...onlyMeasures(row), visitors: row.visitors, bots: row.bots };
}
