import type { Measures, Order, Totals } from '../api/types.ts';
import type { MeasureId } from '../state/view.ts';
import { bytes, compact, duration, full, percent } from './numbers.ts';

export interface Measure {
  id: MeasureId;
  label: string;
  /** Returns the value, or `null` if it is unknown. */
  of(totals: Totals): number | null;
  short(value: number): string;
  full(value: number): string;
  /** Direction that is an improvement; `null` for neither. */
  better: 'up' | 'down' | null;
  /** Summary that provides the value, if any. */
  needs: string | null;
}

const count = { short: compact, full };
const time = { short: duration, full: (µs: number) => `${full(Math.round(µs) / 1_000)} ms` };

export const MEASURES: readonly Measure[] = [
  { id: 'hits', label: 'Hits', of: ({ hits }) => hits, ...count, better: 'up', needs: null },
  {
    id: 'visitors',
    label: 'Visitors',
    of: ({ visitors }) => visitors,
    ...count,
    better: 'up',
    needs: 'sumVisitors',
  },
  {
    id: 'transfer',
    label: 'Transfer',
    of: ({ transfer }) => transfer,
    short: bytes,
    full: (value) => `${full(value)} bytes`,
    better: null,
    needs: null,
  },
  {
    id: 'errors',
    label: 'Error rate',
    of: ({ errors, hits }) => (hits === 0 ? null : errors / hits),
    short: percent,
    full: (value) => `${full(Math.round(value * 1e6) / 1e4)}%`,
    better: 'down',
    needs: null,
  },
  {
    id: 'average',
    label: 'Average time',
    of: (totals) => (totals.hits === 0 ? null : averageOf(totals)),
    ...time,
    better: 'down',
    needs: null,
  },
  { id: 'bots', label: 'Bots', of: ({ bots }) => bots, ...count, better: null, needs: 'sumBots' },
];

export function measureOf(id: MeasureId): Measure {
  return MEASURES.find((measure) => measure.id === id) ?? MEASURES[0]!;
}

/** Average duration of a request, in µs. */
export function averageOf({ hits, duration: total }: Measures): number {
  return hits === 0 ? 0 : total / hits;
}

/** Returns the value by which a row is sorted. */
export function worth(row: Measures, order: Order): number {
  return order === 'average' ? averageOf(row) : row[order];
}

export function showValue(value: number, order: Order): string {
  if (order === 'transfer') return bytes(value);
  return order === 'duration' || order === 'average' ? duration(value) : compact(value);
}

export function showFull(value: number, order: Order): string {
  if (order === 'transfer') return `${full(value)} bytes`;
  if (order === 'duration' || order === 'average') return time.full(value);
  return full(value);
}
