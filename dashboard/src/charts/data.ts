import type { SeriesAnswer } from '../api/types.ts';
import { showBucket, showTick } from '../format/dates.ts';

/** The last of a range is named by its beginning. */
const HOUR = 3_600_000;

type Buckets = SeriesAnswer['buckets'];

/** What a chart draws of a bucket. */
export interface ChartMeasure {
  id: string;
  label: string;
  of(bucket: Buckets[number]): number | null;
  short(value: number): string;
  full(value: number): string;
}

export interface Point {
  date: string;
  value: number | null;
  before: { date: string; value: number | null } | null;
}

/** Each bucket beside the one of the period before that has its place. */
export function pointsOf(answer: SeriesAnswer, measure: ChartMeasure): Point[] {
  const { buckets, previous, period } = answer;
  const last = buckets.length - 1;
  return buckets.map((bucket, index) => {
    const before = previous?.buckets[index];
    return {
      date: `${showBucket(bucket.date, period)}${index === last && isUnderWay(answer) ? ', so far' : ''}`,
      value: measure.of(bucket),
      before: before ? { date: showBucket(before.date, period), value: measure.of(before) } : null,
    };
  });
}

/** Whether the range lasts until now, so that its last bucket has not all it will have. */
export function isUnderWay({ range }: SeriesAnswer): boolean {
  return Date.parse(range.to) + HOUR > Date.now();
}

/** The buckets that have a label below the chart: as many as there is room for, evenly, the last preferred. */
export function ticksOf(count: number, room: number): number[] {
  const step = Math.max(1, Math.ceil(count / Math.max(1, room)));
  const ticks: number[] = [];
  for (let at = (count - 1) % step; at < count; at += step) ticks.push(at);
  return ticks;
}

export function tickText({ buckets, period }: SeriesAnswer, index: number): string {
  const bucket = buckets[index];
  return bucket ? showTick(bucket.date, period, buckets.length > 24) : '';
}

/** The largest value of the axis: something above all values, and never nothing. */
export function ceilingOf(values: readonly (number | null)[], id: string): number {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  if (most > 0) return most * 1.08;
  return id === 'errors' ? 0.01 : id === 'average' || id === 'duration' ? 1_000 : 4;
}
