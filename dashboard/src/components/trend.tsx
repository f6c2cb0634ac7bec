import { comparedPathOf } from '../api/paths.ts';
import type { Expired, Period, SeriesResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { Chart } from '../charts/chart.tsx';
import { ChartTable } from '../charts/chart-table.tsx';
import { hasValues } from '../charts/data.ts';
import { showRange } from '../format/dates.ts';
import { measureOf } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { PERIOD_LABELS } from '../state/view.ts';
import { ExpiredNote } from './coverage-note.tsx';
import { Downloads } from './downloads.tsx';
import { Problem } from './problem.tsx';
import { Segments } from './segments.tsx';

/** Maximum number of days that are charted by the hour: the API returns up to 10,000 buckets. */
const MAX_DAYS_BY_HOUR = 400;

function isTooLong({ from, to }: SeriesResult['range']): boolean {
  return Date.parse(to) - Date.parse(from) > MAX_DAYS_BY_HOUR * 86_400_000;
}

/** Trend of the selected measure, as a chart or a table. */
export function Trend({ known = [] }: { known: readonly Expired[] | undefined }) {
  const { view, change, tick } = usePage();
  const path = comparedPathOf('series', view, { period: view.period });
  const { data, error, isLoading, retry } = useQuery<SeriesResult>(path, tick);
  const measure = measureOf(view.measure);
  return (
    <div class="trend">
      <div class="trend-head">
        <p class="muted legend">
          {data ? (
            <span>
              <span class="now-line" /> {showRange(data.range)}
            </span>
          ) : (
            <span class="bone bone-text" />
          )}
          {data?.previous && hasValues(data.previous.buckets) && (
            <span>
              <span class="before-line" /> {showRange(data.previous.range)}
            </span>
          )}
        </p>
        <div class="links">
          <Segments
            label="Interval"
            class="tabs"
            optionClass="tab"
            options={Object.entries(PERIOD_LABELS).map(([value, label]) => ({
              value: value as Period,
              label,
              isDisabled: value === 'hour' && data !== undefined && isTooLong(data.range),
            }))}
            value={data?.period ?? view.period}
            onChoose={(period) => change((now) => ({ ...now, period }))}
          />
          <button
            type="button"
            class="quiet"
            aria-pressed={view.table}
            onClick={() => change((now) => ({ ...now, table: !now.table }))}
          >
            Table
          </button>
          <Downloads path={path} />
        </div>
      </div>
      {error ? (
        <Problem error={error} onRetry={retry} />
      ) : data ? (
        <div class={isLoading ? 'stale' : ''}>
          {view.table ? (
            <ChartTable result={data} measure={measure} />
          ) : (
            <Chart result={data} measure={measure} range={view.range} height={260} />
          )}
        </div>
      ) : (
        <div class="bone bone-plot" />
      )}
      {data && <ExpiredNote expired={data.expired} known={known} />}
    </div>
  );
}
