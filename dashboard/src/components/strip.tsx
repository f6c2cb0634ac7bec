import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { TotalsResult } from '../api/types.ts';
import type { QueryState } from '../api/use-query.ts';
import { difference } from '../format/change.ts';
import { MEASURES, type Measure } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { ChangeMark } from './change-mark.tsx';
import { CoverageNote } from './coverage-note.tsx';
import { Problem } from './problem.tsx';
import { type Option, Segments } from './segments.tsx';

/** Totals. Clicking one shows its trend below. */
export function Strip({ totals }: { totals: QueryState<TotalsResult> }) {
  const { view, change } = usePage();
  if (totals.error) return <Problem error={totals.error} onRetry={totals.retry} />;
  return (
    <>
      <Segments
        label="Measure of the chart"
        class={`strip ${totals.isLoading && totals.data ? 'stale' : ''}`}
        optionClass="total"
        options={MEASURES.map((measure) => optionOf(measure, totals.data))}
        value={view.measure}
        onChoose={(measure) => change((now) => ({ ...now, measure }))}
      />
      {totals.data?.dailyVisitors && isLongerThanDay(totals.data) && (
        <p class="note muted">
          Visitors are the sum of daily visitors: a person who returns on another day counts again.
        </p>
      )}
      {totals.data && <CoverageNote result={totals.data} label={MEASURE_LABELS.visitors} />}
    </>
  );
}

function isLongerThanDay({ range: { from, to } }: TotalsResult): boolean {
  return from.slice(0, 10) !== to.slice(0, 10);
}

function optionOf(measure: Measure, result: TotalsResult | undefined): Option<Measure['id']> {
  const value = result ? measure.of(result.totals) : null;
  // Without hits in the other period, every value would be new.
  const before = result?.previous?.totals.hits ? measure.of(result.previous.totals) : null;
  const isMissing = result !== undefined && value === null && measure.needs !== null;
  return {
    value: measure.id,
    title: isMissing
      ? `Requires ${measure.needs} among the hooks`
      : value === null
        ? ''
        : measure.full(value),
    isDisabled: isMissing,
    label: (
      <>
        <span class="total-label">{measure.label}</span>
        <span class="total-value">
          {result ? value === null ? '–' : measure.short(value) : <span class="bone bone-text" />}
        </span>
        <span class="total-change">
          {result?.previous && <ChangeMark difference={difference(value, before, measure)} />}
        </span>
      </>
    ),
  };
}
