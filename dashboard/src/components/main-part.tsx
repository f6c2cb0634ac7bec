import { comparedPathOf } from '../api/paths.ts';
import type { TotalsResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { quantity } from '../format/numbers.ts';
import { usePage } from '../state/context.ts';
import { Boundary } from './boundary.tsx';
import { Chips } from './chips.tsx';
import { Expanded } from './expanded.tsx';
import { Panels } from './panels.tsx';
import { Requests } from './requests.tsx';
import { Strip } from './strip.tsx';
import { Trend } from './trend.tsx';

/** Totals, their trend, the panels and the latest requests. */
export function Main() {
  const { view, tick } = usePage();
  const totals = useQuery<TotalsResult>(comparedPathOf('totals', view), tick);
  return (
    <>
      <Chips />
      <section class="card overview" aria-labelledby="overview">
        <h2 id="overview" class="hidden">
          Overview
        </h2>
        <Strip totals={totals} />
        <Boundary>
          <Trend known={totals.data?.expired} />
        </Boundary>
      </section>
      <Panels known={totals.data?.expired} />
      <Boundary>
        <Requests />
      </Boundary>
      {view.open !== null && <Expanded name={view.open} />}
      <p class="hidden" role="status">
        {totals.data && quantity(totals.data.totals.hits, 'hit')}
      </p>
    </>
  );
}
