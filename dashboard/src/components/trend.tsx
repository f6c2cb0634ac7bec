import { downloadOf, pathOf } from '../api/paths.ts';
import type { Expired, SeriesResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { Chart } from '../charts/chart.tsx';
import { ChartTable } from '../charts/chart-table.tsx';
import { showRange } from '../format/dates.ts';
import { measureOf } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { ExpiredNote } from './coverage-note.tsx';
import { Problem } from './problem.tsx';

/** Trend of the selected measure, as a chart or a table. */
export function Trend({ known = [] }: { known: readonly Expired[] | undefined }) {
  const { view, change, tick, scheme } = usePage();
  const path = pathOf('series', view, { compare: view.compare });
  const { data, error, isLoading, retry } = useQuery<SeriesResult>(path, tick);
  const measure = measureOf(view.measure);
  return (
    <div class="trend">
      <div class="trend-head">
        <p class="muted">
          {data ? showRange(data.range) : <span class="bone bone-text" />}
          {data?.previous && <span class="before"> compared with {showRange(data.previous.range)}</span>}
        </p>
        <div class="links">
          <button
            type="button"
            class="quiet"
            aria-pressed={view.table}
            onClick={() => change((now) => ({ ...now, table: !now.table }))}
          >
            Show as table
          </button>
          <a class="quiet" href={downloadOf(path, 'csv')} download>
            CSV
          </a>
          <a class="quiet" href={downloadOf(path, 'ndjson')} download>
            NDJSON
          </a>
        </div>
      </div>
      {error ? (
        <Problem error={error} onRetry={retry} />
      ) : data ? (
        <div class={isLoading ? 'stale' : ''}>
          {view.table ? (
            <ChartTable result={data} measure={measure} />
          ) : (
            <Chart result={data} measure={measure} scheme={scheme} height={260} />
          )}
        </div>
      ) : (
        <div class="bone bone-plot" />
      )}
      {data && <ExpiredNote expired={data.expired} known={known} />}
    </div>
  );
}
