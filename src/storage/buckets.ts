import type { Calendar } from '../summaries/periods.ts';
import type { Span } from './contract.ts';

const DAY = 24 * 60 * 60_000;
/** Number of days that together have about as many keys as a month. */
const DAYS_OF_MONTH = 3;

/** Spans to add up, minus others. */
export interface Buckets {
  spans: readonly Span[];
  /** Spans to subtract. Defaults to none. */
  less?: readonly Span[];
}

/**
 * Splits spans so that today's buckets are read separately from earlier ones. A bucket of the current month
 * becomes its days, unless some have expired.
 * @param daysFrom Start of the days that are kept.
 */
export function splitAtToday(
  spans: readonly Span[],
  zone: Calendar,
  today: number,
  daysFrom = Number.NEGATIVE_INFINITY,
): Span[] {
  const month = zone.monthOf(today);
  return spans
    .flatMap((span): Span[] =>
      span.period === 'month' && span.from <= month && month <= span.to && month >= daysFrom
        ? [
            { ...span, to: month - 1 },
            { period: 'day', from: month, to: zone.next('month', month) - 1 },
            { ...span, from: zone.next('month', month) },
          ]
        : [span],
    )
    .flatMap((span) => [
      { ...span, to: Math.min(span.to, today - 1) },
      { ...span, from: Math.max(span.from, today) },
    ])
    .filter(({ from, to }) => from <= to);
}

/**
 * Chooses the cheapest way to read a span. For most days of a month, that is the month's sums minus its other
 * days, unless some have expired.
 * @param daysFrom Start of the days that are kept.
 */
export function cheapestRead(
  span: Span,
  zone: Calendar,
  today: number,
  daysFrom = Number.NEGATIVE_INFINITY,
): Buckets {
  if (span.period !== 'day') return { spans: [span] };
  const [spans, less]: [Span[], Span[]] = [[], []];
  for (let month = zone.monthOf(span.from); month <= span.to; month = zone.next('month', month)) {
    const last = zone.next('month', month) - 1;
    const within = { ...span, from: Math.max(span.from, month), to: Math.min(span.to, last) };
    const others = [
      { ...span, from: month, to: within.from - 1 },
      { ...span, from: within.to + 1, to: last },
    ].filter(({ from, to }) => from <= to);
    // Days in the future hold almost no data.
    const rest = others.reduce(
      (sum, { from, to }) => sum + daysOf(from, Math.min(to, zone.next('day', today))),
      0,
    );
    if (month >= daysFrom && daysOf(within.from, within.to) > DAYS_OF_MONTH + 2 * rest) {
      spans.push({ period: 'month', from: month, to: last });
      less.push(...others);
    } else {
      spans.push(within);
    }
  }
  return { spans, less };
}

function daysOf(from: number, to: number): number {
  return Math.max(0, to - from) / DAY;
}
