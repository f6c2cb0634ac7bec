import { pathOf } from '../api/paths.ts';
import type { Order, SeriesResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { Chart } from '../charts/chart.tsx';
import { showFull, showValue, worth } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { ORDER_LABELS } from '../state/view.ts';
import { Problem } from './problem.tsx';

interface KeyTrendProps {
  summary: string;
  keyOf: string | null;
  order: Order;
}

/** Trend of one key. */
export function KeyTrend({ summary, keyOf, order }: KeyTrendProps) {
  const { view, tick, scheme } = usePage();
  const path = pathOf('series', view, { summary, key: keyOf, compare: view.compare });
  const { data, error, retry } = useQuery<SeriesResult>(path, tick);
  if (error) return <Problem error={error} onRetry={retry} />;
  if (!data) return <div class="bone bone-small-plot" />;
  const measure = {
    id: order,
    label: ORDER_LABELS[order],
    of: (bucket: SeriesResult['buckets'][number]) => worth(bucket, order),
    short: (value: number) => showValue(value, order),
    full: (value: number) => showFull(value, order),
  };
  return <Chart result={data} measure={measure} scheme={scheme} height={150} />;
}
