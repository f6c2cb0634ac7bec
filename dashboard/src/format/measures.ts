import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Measures, Order, TopRow, Totals } from '../api/types.ts';
import type { ChartMeasure, Unit } from '../charts/data.ts';
import { type MeasureId, ORDER_LABELS } from '../state/view.ts';
import type { Comparable } from './change.ts';
import { bytes, compact, duration, integer, percent, quantity } from './numbers.ts';

export interface Measure extends Comparable {
  id: MeasureId;
  label: string;
  /** Returns the value, or `null` if it is unknown. */
  of(totals: Totals): number | null;
  unit: Unit;
  /** True for averages and rates, whose values do not add up. */
  isMean: boolean;
  short(value: number): string;
  full(value: number): string;
  /** Summary that provides the value, if any. */
  needs: string | null;
}

const count = { short: compact, full: integer, unit: 'count', isMean: false } as const;
const exact = new Intl.NumberFormat('en-US');
const time = {
  short: duration,
  full: (µs: number) => `${exact.format(Math.round(µs) / 1_000)} ms`,
  unit: 'time',
} as const;

export const MEASURES: readonly Measure[] = [
  { id: 'hits', label: MEASURE_LABELS.hits, of: ({ hits }) => hits, ...count, better: 'up', needs: null },
  {
    id: 'visitors',
    label: MEASURE_LABELS.visitors,
    of: ({ visitors }) => visitors,
    ...count,
    better: 'up',
    needs: 'sumVisitors',
  },
  {
    id: 'transfer',
    label: MEASURE_LABELS.transfer,
    of: ({ transfer }) => transfer,
    short: bytes,
    full: (value) => quantity(value, 'byte'),
    unit: 'bytes',
    isMean: false,
    better: null,
    needs: null,
  },
  {
    id: 'errors',
    label: MEASURE_LABELS.errorRate,
    of: ({ errors, hits }) => (hits === 0 ? null : errors / hits),
    short: percent,
    unit: 'share',
    isMean: true,
    full: (value) => `${exact.format(Math.round(value * 1e6) / 1e4)}%`,
    better: 'down',
    isRate: true,
    needs: null,
  },
  {
    id: 'average',
    label: MEASURE_LABELS.average,
    of: (totals) => (totals.hits === 0 ? null : averageOf(totals)),
    ...time,
    isMean: true,
    better: 'down',
    needs: null,
  },
  {
    id: 'bots',
    label: MEASURE_LABELS.bots,
    of: ({ bots }) => bots,
    ...count,
    better: null,
    needs: null,
  },
];

export function measureOf(id: MeasureId): Measure {
  return MEASURES.find((measure) => measure.id === id) ?? MEASURES[0]!;
}

/** Returns a text that identifies a row in its list: `null` and every text differ. */
export function idOf({ key }: TopRow): string {
  return key === null ? 'none' : `:${key}`;
}

/** Average duration of a request, in µs. */
export function averageOf({ hits, duration: total }: Measures): number {
  return hits === 0 ? 0 : total / hits;
}

/** Returns the value by which a row is sorted. */
export function worth(row: Measures, order: Order): number {
  return order === 'average' ? averageOf(row) : row[order];
}

/** Returns the share of a row in a sum of the measure by which rows are sorted; `null` if it has none. */
export function shareOf(row: Measures, all: Measures, order: Order): number | null {
  return order === 'average' || all[order] === 0 ? null : row[order] / all[order];
}

/** Formats a share; an empty text for `null`. */
export function showShare(share: number | null): string {
  return share === null ? '' : percent(share);
}

/** Returns the chart's measure of an order. */
export function measureOfOrder(order: Order): ChartMeasure {
  return {
    id: order,
    label: ORDER_LABELS[order],
    unit: order === 'transfer' ? 'bytes' : order === 'duration' || order === 'average' ? 'time' : 'count',
    isMean: order === 'average',
    of: (bucket) => (order === 'average' && bucket.hits === 0 ? null : worth(bucket, order)),
    short: (value) => showValue(value, order),
    full: (value) => showFull(value, order),
  };
}

export function showValue(value: number, order: Order): string {
  if (order === 'transfer') return bytes(value);
  return order === 'duration' || order === 'average' ? duration(value) : compact(value);
}

export function showFull(value: number, order: Order): string {
  if (order === 'transfer') return quantity(value, 'byte');
  if (order === 'duration' || order === 'average') return time.full(value);
  return integer(value);
}
