import type { Point, Unit } from './data.ts';

/** Maximum number of intervals on the axis. */
const MAX_INTERVALS = 4;
/** Widest bar, as a part of the chart. */
const MAX_BAR = 0.05;
/** Part of its place that a bar fills. */
const FILLED = 0.76;
/** Number of bars from which there is no gap between them. */
const DENSE = 200;
const SECOND = 1_000_000;
/** Steps of an axis of durations from a second on, in µs. */
const LONG_TIMES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600].map((s) => s * SECOND);

/** Returns the labeled values of an axis from 0, the last of which is not below the maximum. */
export function axisOf(most: number, unit: Unit): number[] {
  const max = most > 0 ? most : { count: 4, bytes: 1_000, time: 1_000, share: 0.01 }[unit];
  const step = stepFor(max / MAX_INTERVALS, unit);
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** Returns the smallest round step that is not below `least`. */
function stepFor(least: number, unit: Unit): number {
  const long = unit === 'time' && least > SECOND / 2 ? LONG_TIMES.find((step) => step >= least) : undefined;
  if (long !== undefined) return long;
  const scale = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].find((each) => each * scale >= least * (1 - 1e-9))! * scale;
  return unit === 'share' ? step : Math.max(1, step);
}

type Values = readonly (number | null | undefined)[];

/** Returns the path of bars in a box whose width is the number of values, and whose height is 1. */
export function barsPath(values: Values, most: number): string {
  const count = values.length;
  const width = Math.min(count > DENSE ? 1 : FILLED, Math.max(count * MAX_BAR, 0.01));
  return values
    .map((value, index) => {
      if (!value) return '';
      const left = round(index + (1 - width) / 2);
      return `M${left} 1V${heightOf(value, most)}h${round(width)}V1z`;
    })
    .join('');
}

/** Returns the path of a line in the same box: a level for each value, and a gap where there is none. */
export function stepsPath(values: Values, most: number): string {
  let path = '';
  for (const [index, value] of values.entries()) {
    if (value === null || value === undefined) continue;
    const height = heightOf(value, most);
    const isConnected = index > 0 && values[index - 1] !== null && values[index - 1] !== undefined;
    path += `${isConnected ? 'V' : `M${index} `}${height}H${index + 1}`;
  }
  return path;
}

/** Returns the points whose bucket is over, and the one that is not. Other values are `null`. */
export function splitAtNow(points: readonly Point[]): { over: Values; underWay: Values } {
  const values = (isUnderWay: boolean) =>
    points.map((point) => (point.isUnderWay === isUnderWay ? point.value : null));
  return { over: values(false), underWay: values(true) };
}

/** Distance from the top. A value that is not 0 remains visible. */
function heightOf(value: number, most: number): number {
  return round(1 - Math.max(value / most, value > 0 ? 0.004 : 0));
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
