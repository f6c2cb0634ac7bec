import type { TotalsResult } from '../api/types.ts';
import type { Asked } from '../api/use-answer.ts';
import { difference } from '../format/change.ts';
import { MEASURES, type Measure } from '../format/measures.ts';
import { usePage } from '../state/context.ts';
import { ChangeMark } from './change-mark.tsx';
import { CoverageNote } from './coverage-note.tsx';
import { Problem } from './problem.tsx';

/** Totals. Clicking one shows its trend below. */
export function Strip({ totals }: { totals: Asked<TotalsResult> }) {
  if (totals.error) return <Problem error={totals.error} onRetry={totals.retry} />;
  return (
    <>
      <div class={`strip ${totals.isLoading && totals.data ? 'stale' : ''}`}>
        {MEASURES.map((measure) => (
          <Total key={measure.id} measure={measure} answer={totals.data} />
        ))}
      </div>
      {totals.data && <CoverageNote coverage={totals.data.coverage} labelOf={labelOf} />}
    </>
  );
}

function labelOf(summary: string): string {
  return summary === 'visitors' ? 'Visitors' : 'Bots';
}

function Total({ measure, answer }: { measure: Measure; answer: TotalsResult | undefined }) {
  const { view, change } = usePage();
  const value = answer ? measure.of(answer.totals) : null;
  // If nothing was stored in the previous period, every value would be new.
  const before = answer?.previous?.totals.hits ? measure.of(answer.previous.totals) : null;
  const isMissing = answer !== undefined && value === null && measure.needs !== null;
  const title = isMissing ? `Kept by the hook ${measure.needs}` : value === null ? '' : measure.full(value);
  return (
    <button
      type="button"
      class="total"
      title={title}
      aria-pressed={view.measure === measure.id}
      disabled={isMissing}
      onClick={() => change((now) => ({ ...now, measure: measure.id }))}
    >
      <span class="total-label">{measure.label}</span>
      <span class="total-value">
        {answer ? value === null ? '–' : measure.short(value) : <span class="bone bone-text" />}
      </span>
      <span class="total-change">
        {answer?.previous && <ChangeMark difference={difference(value, before, measure.better)} />}
      </span>
    </button>
  );
}
