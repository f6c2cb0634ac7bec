import type { SeriesResult } from '../api/types.ts';
import { showBucket, showTick } from '../format/dates.ts';

/** Length of an hour in ms. The last hour of a range is identified by its start. */
const HOUR = 3_600_000;

type Buckets = SeriesResult['buckets'];

/** Measure that a chart draws for each bucket. */
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

/** Pairs each bucket with the corresponding one of the previous period. */
export function pointsOf(result: SeriesResult, measure: ChartMeasure): Point[] {
  const { buckets, previous, period } = result;
  const last = buckets.length - 1;
  return buckets.map((bucket, index) => {
    const before = previous?.buckets[index];
    return {
      date: `${showBucket(bucket.date, period)}${index === last && isUnderWay(result) ? ', so far' : ''}`,
      value: measure.of(bucket),
      before: before ? { date: showBucket(before.date, period), value: measure.of(before) } : null,
    };
  });
}

/** Returns whether the range extends until now, so that its last bucket is incomplete. */
export function isUnderWay({ range }: SeriesResult): boolean {
  return Date.parse(range.to) + HOUR > Date.now();
}

/**
 * Returns the buckets that are labeled below the chart. They are evenly spaced, as many as fit, preferably
 * including the last.
 */
export function ticksOf(count: number, room: number): number[] {
  const step = Math.max(1, Math.ceil(count / Math.max(1, room)));
  const ticks: number[] = [];
  for (let at = (count - 1) % step; at < count; at += step) ticks.push(at);
  return ticks;
}

export function tickText({ buckets, period }: SeriesResult, index: number): string {
  const bucket = buckets[index];
  return bucket ? showTick(bucket.date, period, buckets.length > 24) : '';
}

/** Returns the maximum of the axis: above all values, and never 0. */
export function ceilingOf(values: readonly (number | null)[], id: string): number {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  if (most > 0) return most * 1.08;
  return id === 'errors' ? 0.01 : id === 'average' || id === 'duration' ? 1_000 : 4;
}
