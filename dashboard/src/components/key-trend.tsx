import { useMemo } from 'preact/hooks';
import { comparedPathOf } from '../api/paths.ts';
import type { Order, SeriesResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { Chart } from '../charts/chart.tsx';
import { measureOfOrder } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { Problem } from './problem.tsx';

interface KeyTrendProps {
  summary: string;
  keyOf: string | null;
  order: Order;
}

/** Trend of one key. */
export function KeyTrend({ summary, keyOf, order }: KeyTrendProps) {
  const { view, tick } = usePage();
  const measure = useMemo(() => measureOfOrder(order), [order]);
  const path = comparedPathOf('series', view, { summary, key: keyOf, period: view.period });
  const { data, error, retry } = useQuery<SeriesResult>(path, tick);
  if (error) return <Problem error={error} onRetry={retry} />;
  if (!data) return <div class="bone bone-small-plot" />;
  return <Chart result={data} measure={measure} range={view.range} height={150} />;
}
