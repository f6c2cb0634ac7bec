import { downloadOf, pathOf } from '../api/paths.ts';
import type { SeriesResult } from '../api/types.ts';
import { useAnswer } from '../api/use-answer.ts';
import { Chart } from '../charts/chart.tsx';
import { ChartTable } from '../charts/chart-table.tsx';
import { showRange } from '../format/dates.ts';
import { measureOf } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { Problem } from './problem.tsx';

/** Trend of the selected measure, as a chart or a table. */
export function Course() {
  const { view, change, tick, scheme } = usePage();
  const path = pathOf('series', view, { compare: view.compare });
  const { data, error, isLoading, retry } = useAnswer<SeriesResult>(path, tick);
  const measure = measureOf(view.measure);
  return (
    <div class="course">
      <div class="course-head">
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
            <ChartTable answer={data} measure={measure} />
          ) : (
            <Chart answer={data} measure={measure} scheme={scheme} height={260} />
          )}
        </div>
      ) : (
        <div class="bone bone-plot" />
      )}
    </div>
  );
}
