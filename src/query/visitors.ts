import type { CompleteReader } from '../storage/complete-reader.ts';
import type { SeriesRequest, Span } from '../storage/contract.ts';
import { isDailyVisitor } from '../storage/visitors.ts';
import { OTHERS } from '../summaries/coverage.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { sumVisitors } from '../summaries/standard.ts';
import { orElse } from './or-else.ts';
import type { Horizons } from './retention.ts';

/** Summary whose keys are the visitors. */
export const VISITORS = sumVisitors.name;
const NO_TOTAL = { hits: 0, keys: 0 };

/** Number of distinct visitors: a lower bound if the budget was reached. */
export interface VisitorCount {
  visitors: number;
  reached: boolean;
}

/** Site whose visitors are counted, and the start of its kept days. */
interface VisitorScope {
  site: string;
  zone: Calendar;
  horizons: Horizons;
}

type Reader = Pick<CompleteReader, 'sums' | 'series' | 'total'>;

/**
 * Counts visitors from the sums. With daily visitors, a month that reached its budget is counted from its days, as long
 * as they are kept: no ID is valid for several days, and each day has a budget of its own.
 */
export class VisitorCounter {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Returns the number of visitors in all spans. */
  async count(scope: VisitorScope, spans: readonly Span[]): Promise<VisitorCount> {
    const full = await this.#fullMonths(scope, spans);
    const kind = await this.#kindOf(scope, full);
    if (kind === 'cookies') return this.#distinct(scope, spans);
    const rest = spans.flatMap((span) => without(span, full, scope.zone));
    // The cookies of the days before the change are distinct only if everything is counted together.
    if (kind === 'both') return this.#distinct(scope, [...rest, ...daysOf(full, scope.zone)]);
    const [others, days] = await Promise.all([
      this.#distinct(scope, rest),
      this.#series(scope.site, daysFrom(full, scope.zone)),
    ]);
    return sumOf([others, ...inMonths(days, full, scope.zone).map(([, count]) => count)]);
  }

  /** Returns the number of visitors in each bucket of a span. */
  async series(scope: VisitorScope, span: Span): Promise<Map<number, VisitorCount>> {
    const { zone } = scope;
    const [counts, full] = await Promise.all([
      this.#series(scope.site, span),
      this.#fullMonths(scope, [span]),
    ]);
    const kind = await this.#kindOf(scope, full);
    if (kind === 'daily') {
      const days = inMonths(await this.#series(scope.site, daysFrom(full, zone)), full, zone);
      for (const month of full) {
        const own = days.filter(([day]) => zone.monthOf(day) === month);
        counts.set(month, sumOf(own.map(([, count]) => count)));
      }
    }
    if (kind === 'both') {
      for (const month of full) counts.set(month, await this.#distinct(scope, daysOf([month], zone)));
    }
    return counts;
  }

  /** Returns the months that reached their budget, and whose days are kept. */
  async #fullMonths({ site, horizons }: VisitorScope, spans: readonly Span[]): Promise<number[]> {
    const found = await Promise.all(
      spans
        .filter(({ period }) => period === 'month')
        .map((span) => this.#rows({ site, ...span, target: OTHERS })),
    );
    return found
      .flat()
      .filter(({ bucket, hits }) => hits > 0 && bucket >= horizons.day)
      .map(({ bucket }) => bucket)
      .sort((a, b) => a - b);
  }

  /**
   * Returns the kind of visitors in months, from their first and their last day: an app has either kind for a long
   * time.
   */
  async #kindOf(
    { site, zone }: VisitorScope,
    months: readonly number[],
  ): Promise<'cookies' | 'daily' | 'both'> {
    const [first, last] = [months[0], months.at(-1)];
    if (first === undefined || last === undefined) return 'cookies';
    const end = await this.#rows({ site, ...monthSpan(last, zone), period: 'day', target: undefined });
    const start =
      first === last
        ? end
        : await this.#rows({ site, ...monthSpan(first, zone), period: 'day', target: undefined });
    const ends = [start.find(({ keys }) => keys > 0), end.findLast(({ keys }) => keys > 0)];
    const isDaily = await Promise.all(
      ends.map((row) => row !== undefined && this.hasDaily(site, 'day', row.bucket)),
    );
    if (isDaily.every((each) => each)) return 'daily';
    return isDaily.some((each) => each) ? 'both' : 'cookies';
  }

  /** Returns whether a bucket has daily visitors among its most active ones. */
  async hasDaily(site: string, period: Period, bucket: number): Promise<boolean> {
    const range = { period, from: bucket, to: bucket };
    // The requests without a visitor, and those beyond the budget, may come first.
    const request = { site, summary: VISITORS, ...range, target: undefined, limit: 3, offset: 0 };
    const rows = await orElse(this.#reader.sums(request), []);
    return rows.some(({ key }) => key !== null && isDailyVisitor(key));
  }

  async #distinct({ site, horizons }: VisitorScope, spans: readonly Span[]): Promise<VisitorCount> {
    if (spans.length === 0) return { visitors: 0, reached: false };
    const request = {
      site,
      summary: VISITORS,
      spans,
      ...(Number.isFinite(horizons.day) && { daysFrom: horizons.day }),
    };
    const [{ keys }, others] = await Promise.all([
      orElse(this.#reader.total({ ...request, target: undefined }), NO_TOTAL),
      orElse(this.#reader.total({ ...request, target: OTHERS }), NO_TOTAL),
    ]);
    return countOf(keys, others.hits);
  }

  async #series(site: string, span: Span): Promise<Map<number, VisitorCount>> {
    const [rows, others] = await Promise.all([
      this.#rows({ site, ...span, target: undefined }),
      this.#rows({ site, ...span, target: OTHERS }),
    ]);
    const beyond = new Map(others.map(({ bucket, hits }) => [bucket, hits]));
    return new Map(rows.map(({ bucket, keys }) => [bucket, countOf(keys, beyond.get(bucket) ?? 0)]));
  }

  #rows(request: Omit<SeriesRequest, 'summary'>) {
    return orElse(this.#reader.series({ summary: VISITORS, ...request }), []);
  }
}

/** Counts the requests beyond the budget, which have one key, as no visitor. */
function countOf(keys: number, others: number): VisitorCount {
  const reached = others > 0;
  return { visitors: Math.max(0, keys - Number(reached)), reached };
}

function sumOf(counts: readonly VisitorCount[]): VisitorCount {
  return {
    visitors: counts.reduce((sum, { visitors }) => sum + visitors, 0),
    reached: counts.some(({ reached }) => reached),
  };
}

function monthSpan(month: number, zone: Calendar): Omit<Span, 'period'> {
  return { from: month, to: zone.next('month', month) - 1 };
}

function daysOf(months: readonly number[], zone: Calendar): Span[] {
  return months.map((month) => ({ period: 'day', ...monthSpan(month, zone) }));
}

/** Returns the days from the first to the last month. */
function daysFrom(months: readonly number[], zone: Calendar): Span {
  return { period: 'day', from: months[0]!, to: monthSpan(months.at(-1)!, zone).to };
}

function inMonths<T>(days: ReadonlyMap<number, T>, months: readonly number[], zone: Calendar): [number, T][] {
  return [...days].filter(([day]) => months.includes(zone.monthOf(day)));
}

/** Returns the parts of a span that remain without some of its months. */
function without(span: Span, months: readonly number[], zone: Calendar): Span[] {
  if (span.period !== 'month') return [span];
  const parts: Span[] = [];
  let { from } = span;
  for (const month of months.filter((each) => each >= span.from && each <= span.to)) {
    if (from < month) parts.push({ ...span, from, to: month - 1 });
    from = zone.next('month', month);
  }
  if (from <= span.to) parts.push({ ...span, from });
  return parts;
}
