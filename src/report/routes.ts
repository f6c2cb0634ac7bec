import { MEASURE_LABELS, PANEL_LABELS } from '../formats/labels.ts';
import { integer } from '../formats/numbers.ts';
import type { TopResult, TopRow } from '../query/query.ts';
import { type KeyText, keyText, percentOf, timeText } from './labels.ts';
import type { Report } from './report.ts';

/** A table of routes, shared by all formats. */
export interface RouteTable {
  title: string;
  /** Explains which routes are listed, in what order. */
  note: string;
  /** Columns after the route. The last one has a meter. */
  columns: { label: string; isMinor: boolean }[];
  rows: { key: KeyText; cells: string[]; meter: number }[];
}

/** Returns the tables of slow and of failing routes that have rows. */
export function routeTables({ performance, errors }: Report): RouteTable[] {
  return [...(performance ? performanceTable(performance) : []), ...(errors ? errorTable(errors) : [])];
}

const errorRate = (row: TopRow) => (row.hits === 0 ? 0 : row.errors / row.hits);

function performanceTable({ rows, total }: TopResult): RouteTable[] {
  if (total.duration === 0) return [];
  const hasLatency = rows.some(({ latency }) => latency);
  const first = rows[0]!.duration;
  return [
    {
      title: PANEL_LABELS.performance,
      note: 'Routes with the most total time, and their share of it.',
      columns: [
        { label: MEASURE_LABELS.hits, isMinor: false },
        ...(hasLatency
          ? [
              { label: 'p50', isMinor: true },
              { label: 'p95', isMinor: false },
              { label: 'p99', isMinor: true },
            ]
          : [{ label: MEASURE_LABELS.average, isMinor: false }]),
        { label: MEASURE_LABELS.errorRate, isMinor: true },
        { label: MEASURE_LABELS.total, isMinor: false },
      ],
      rows: rows.map((row) => ({
        key: keyText('routes', row.key),
        cells: [
          integer(row.hits),
          ...(hasLatency
            ? (['p50', 'p95', 'p99'] as const).map((name) => timeText(row.latency?.[name] ?? 0))
            : [timeText(row.hits === 0 ? 0 : row.duration / row.hits)]),
          percentOf(row.errors, row.hits),
          percentOf(row.duration, total.duration),
        ],
        meter: row.duration / first,
      })),
    },
  ];
}

function errorTable({ rows }: TopResult): RouteTable[] {
  const failing = rows
    .filter(({ errors }) => errors > 0)
    .sort((a, b) => errorRate(b) - errorRate(a) || b.errors - a.errors);
  const [first] = failing;
  if (first === undefined) return [];
  return [
    {
      title: PANEL_LABELS.errors,
      note: 'Routes with the most errors, by error rate.',
      columns: [
        { label: MEASURE_LABELS.hits, isMinor: true },
        { label: MEASURE_LABELS.errors, isMinor: false },
        { label: MEASURE_LABELS.errorRate, isMinor: false },
      ],
      rows: failing.map((row) => ({
        key: keyText('routes', row.key),
        cells: [integer(row.hits), integer(row.errors), percentOf(row.errors, row.hits)],
        meter: errorRate(row) / errorRate(first),
      })),
    },
  ];
}
