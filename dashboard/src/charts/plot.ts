import uPlot from 'uplot';
import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { SeriesResult } from '../api/types.ts';
import { type ChartMeasure, ceilingOf, isUnderWay, type Point, ticksOf, tickText } from './data.ts';

/** Width of one label below the chart, in px. */
const LABEL = 76;
/** Steps of an axis of counts, which are integers. */
const WHOLE = Array.from({ length: 13 }, (_, zeros) => [1, 2, 5].map((step) => step * 10 ** zeros)).flat();

/** Data that a plot reads at each drawing, so that new data needs no new plot. */
export interface Shown {
  result: SeriesResult;
  measure: ChartMeasure;
  points: readonly Point[];
}

/**
 * Returns the values of each line: completed buckets, the line to an incomplete last bucket, and the previous
 * period.
 */
export function dataOf({ points, result }: Shown): uPlot.AlignedData {
  const values = points.map(({ value }) => value);
  const indices = points.map((_, index) => index);
  const last = points.length - 1;
  const isOpen = last > 1 && isUnderWay(result);
  const over = isOpen ? [...values.slice(0, last), null] : values;
  const open = values.map((value, index) => (isOpen && index >= last - 1 ? value : null));
  const before = result.previous ? [points.map((point) => point.before?.value ?? null)] : [];
  return [indices, over, open, ...before];
}

/**
 * Returns the options of a plot.
 * @param shown Returns the current data.
 * @param onCursor Called with the bucket at the cursor and its position in the element; `null` for none.
 */
export function optionsOf(
  element: HTMLElement,
  height: number,
  shown: () => Shown,
  onCursor: (index: number | null, left: number) => void,
): uPlot.Options {
  const color = (name: string) => getComputedStyle(element).getPropertyValue(name).trim();
  const accent = color('--accent');
  const muted = color('--muted');
  const font = `12px ${getComputedStyle(element).fontFamily}`;
  const isCount = ['hits', 'visitors', 'bots', 'errors'].includes(shown().measure.id);
  const isRate = shown().measure.id === 'errors' && shown().measure.label === MEASURE_LABELS.errorRate;
  const paths = uPlot.paths.spline!();
  const isLone = shown().points.length < 2;
  const trend: uPlot.Series = {
    stroke: accent,
    width: 2,
    // Buckets without requests have no average; the line continues across them.
    spanGaps: true,
    fill: (plot) => {
      const { top, height: tall } = plot.bbox;
      const gradient = plot.ctx.createLinearGradient(0, top, 0, top + tall);
      gradient.addColorStop(0, color('--area'));
      gradient.addColorStop(1, 'transparent');
      return gradient;
    },
  };
  const series: uPlot.Series[] = [
    {},
    { ...trend, paths, points: { show: isLone, size: 7, fill: accent } },
    { ...trend, dash: [3, 4], points: { show: false } },
  ];
  if (shown().result.previous) {
    series.push({
      stroke: color('--before'),
      width: 1.5,
      dash: [5, 5],
      spanGaps: true,
      paths,
      points: { show: isLone, size: 5 },
    });
  }
  return {
    width: element.clientWidth,
    height,
    padding: [10, 34, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      points: { size: 9, width: 2, fill: color('--surface') },
    },
    scales: {
      x: { time: false, range: (_, min, max) => (min === max ? [min - 0.5, max + 0.5] : [min, max]) },
      y: {
        range: () => {
          const { points, measure } = shown();
          return [
            0,
            ceilingOf(
              points.flatMap(({ value, before }) => [value, before?.value ?? null]),
              measure.id,
            ),
          ];
        },
      },
    },
    axes: [
      {
        stroke: muted,
        font,
        grid: { show: false },
        ticks: { show: false },
        gap: 8,
        size: 34,
        splits: (plot) =>
          ticksOf(shown().points.length, Math.floor(plot.bbox.width / devicePixelRatio / LABEL)),
        values: (_, splits) => splits.map((index) => tickText(shown().result, index)),
      },
      {
        stroke: muted,
        font,
        size: 60,
        gap: 8,
        space: 46,
        grid: { stroke: color('--line'), width: 1 },
        ticks: { show: false },
        ...(isCount && !isRate ? { incrs: WHOLE } : {}),
        values: (_, splits) => splits.map((value) => shown().measure.short(value)),
      },
    ],
    series,
    hooks: {
      setCursor: [
        ({ cursor, over }) => {
          const { idx, left } = cursor;
          onCursor(left === undefined || left < 0 ? null : (idx ?? null), (left ?? 0) + over.offsetLeft);
        },
      ],
    },
  };
}
