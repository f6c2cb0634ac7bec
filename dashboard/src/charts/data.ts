import type { SeriesResult } from '../api/types.ts';
import { offsetText, showBucket, showTick } from '../format/dates.ts';
import type { View } from '../state/view.ts';
import { upcomingOf } from './upcoming.ts';

/** Length of an hour in ms. The last hour of a range is identified by its start. */
const HOUR = 3_600_000;
/** Maximum number of labels below a chart. */
const MAX_LABELS = 12;
/** Hours between two labels below a chart of hours. */
const HOUR_STEPS = [1, 2, 3, 4, 6, 12];

type Bucket = SeriesResult['buckets'][number];

/** Unit of a measure's values, for the axis. */
export type Unit = 'count' | 'bytes' | 'time' | 'share';

/** Measure that a chart draws for each bucket. */
export interface ChartMeasure {
  id: string;
  label: string;
  unit: Unit;
  /** True for averages and rates, which are drawn as a line: their values do not add up. */
  isMean: boolean;
  of(bucket: Bucket): number | null;
  short(value: number): string;
  full(value: number): string;
}

export interface Point {
  /** Start of the bucket, as the API returns it. */
  start: string;
  /** Name of the bucket for a tooltip or a table. */
  date: string;
  value: number | null;
  before: { date: string; value: number | null } | null;
  /** True if the bucket is not over yet. */
  isUnderWay: boolean;
  /** True if the bucket has not begun. */
  isUpcoming: boolean;
}

/**
 * Returns a point for each bucket, with the corresponding one of the previous period, and for each bucket until the end
 * of a range that is not over.
 * @param range Range of the view; without one, the points end with the last bucket.
 */
export function pointsOf(result: SeriesResult, measure: ChartMeasure, range?: View['range']): Point[] {
  const { buckets, previous, period } = result;
  const isOpen = isUnderWay(result);
  const names = namesOf(result.buckets, period);
  const earlier = pairsOf(result);
  const earlierNames = new Map(
    namesOf(previous?.buckets ?? [], period).map((name, index) => [previous!.buckets[index]!, name]),
  );
  const points = buckets.map((bucket, index): Point => {
    const isLast = isOpen && index === buckets.length - 1;
    const before = earlier[index];
    return {
      start: bucket.date,
      date: `${names[index]}${isLast ? ', so far' : ''}`,
      value: measure.of(bucket),
      before: before ? { date: earlierNames.get(before)!, value: measure.of(before) } : null,
      isUnderWay: isLast,
      isUpcoming: false,
    };
  });
  const rest = isOpen && range !== undefined ? upcomingOf(result, range) : [];
  const upcoming = rest.map((start): Point => {
    const date = showBucket(start, period);
    return { start, date, value: null, before: null, isUnderWay: false, isUpcoming: true };
  });
  return [...points, ...upcoming];
}

/** Returns the names of buckets. An hour that a change of the clock repeats has its offset from UTC. */
function namesOf(buckets: readonly Bucket[], period: SeriesResult['period']): string[] {
  const counts = new Map<string, number>();
  for (const { date } of buckets) counts.set(wallOf(date), (counts.get(wallOf(date)) ?? 0) + 1);
  return buckets.map(({ date }) => {
    const name = showBucket(date, period);
    return counts.get(wallOf(date)) === 1 ? name : `${name} ${offsetText(date)}`;
  });
}

/**
 * Returns for each bucket the corresponding one of the previous period. Hours correspond by the time of day, not by
 * their number, because a day may have 23 or 25 hours.
 */
function pairsOf({ buckets, previous, period }: SeriesResult): (Bucket | undefined)[] {
  if (!hasValues(previous?.buckets)) return [];
  if (period !== 'hour') return buckets.map((_, index) => previous!.buckets[index]);
  const byHour = new Map(hoursOf(previous!.buckets).map((hour, index) => [hour, previous!.buckets[index]]));
  return hoursOf(buckets).map((hour) => byHour.get(hour));
}

/** Returns for each hour the number of its day, its time of day, and how often that time occurred before. */
function hoursOf(buckets: readonly Bucket[]): string[] {
  const days = new Map<string, number>();
  const seen = new Map<string, number>();
  return buckets.map(({ date }) => {
    const day = date.slice(0, 10);
    if (!days.has(day)) days.set(day, days.size);
    const wall = wallOf(date);
    const count = seen.get(wall) ?? 0;
    seen.set(wall, count + 1);
    return `${days.get(day)} ${wall.slice(11)} ${count}`;
  });
}

function wallOf(date: string): string {
  return date.slice(0, 16);
}

/** Returns whether there is anything to compare with: before the first request, there are only zeros. */
export function hasValues(buckets: readonly Bucket[] | undefined): boolean {
  return buckets?.some(({ hits }) => hits > 0) ?? false;
}

/** Returns whether the range extends until now, so that its last bucket is incomplete. */
export function isUnderWay({ range }: Pick<SeriesResult, 'range'>): boolean {
  return Date.parse(range.to) + HOUR > Date.now();
}

/** Returns the points that are labeled below the chart: evenly spaced, at round hours, or including the last one. */
export function ticksOf(points: readonly Point[], period: SeriesResult['period']): number[] {
  const count = points.length;
  const all = points.map((_, index) => index);
  if (period === 'hour') {
    const hourOf = (index: number) => Number(points[index]!.start.slice(11, 13));
    const step = HOUR_STEPS.find((each) => count / each <= MAX_LABELS);
    if (step !== undefined) return all.filter((index) => hourOf(index) % step === 0);
    const midnights = all.filter((index) => hourOf(index) === 0);
    const days = Math.ceil(midnights.length / MAX_LABELS);
    return midnights.filter((_, index) => index % days === 0);
  }
  const step = Math.ceil(count / MAX_LABELS);
  return all.filter((index) => (count - 1 - index) % step === 0);
}

export function tickText(points: readonly Point[], index: number, period: SeriesResult['period']): string {
  const point = points[index];
  return point ? showTick(point.start, period, points.length > 25) : '';
}
