import { useState } from 'preact/hooks';
import { pathOf } from '../api/paths.ts';
import type { Expired, TopResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { usePage } from '../state/context.ts';
import { DEFAULT_PANEL, ORDER_LABELS, type PanelView, withPanel } from '../state/view.ts';
import { CoverageNote } from './coverage-note.tsx';
import { Icon } from './icons.tsx';
import { Keys } from './keys.tsx';
import { Pager } from './pager.tsx';
import type { PanelInfo } from './panel-list.ts';
import { Problem } from './problem.tsx';
import { whyNoResult } from './reasons.ts';
import { SearchBox } from './search-box.tsx';
import { BoneRows } from './skeleton.tsx';
import { Tabs } from './tabs.tsx';

const ROWS = 8;

interface PanelProps {
  info: PanelInfo;
  /** Expired data that the totals describe. */
  known: readonly Expired[] | undefined;
}

/** Top keys of a summary, with tabs for related summaries. */
export function Panel({ info, known }: PanelProps) {
  const { site, view, change, tick } = usePage();
  const panel = view.panels[info.name] ?? DEFAULT_PANEL;
  const tab = info.tabs.find(({ summary }) => summary === panel.tab) ?? info.tabs[0]!;
  const [note, setNote] = useState('');
  const set = (next: Partial<PanelView>, how?: 'push' | 'replace') => {
    setNote('');
    change((now) => withPanel(now, info.name, { page: 1, ...next }), how);
  };
  const reason = whyNoResult(site, view, tab.summary);
  const isOpen = view.open === info.name;
  const { order, search } = panel;
  const page = isOpen ? 1 : panel.page;
  const path = pathOf(`summaries/${encodeURIComponent(tab.summary)}`, view, {
    order,
    search: search || undefined,
    limit: ROWS,
    page,
  });
  const state = useQuery<TopResult>(reason === null ? path : null, tick);
  const data = state.data?.summary === tab.summary ? state.data : undefined;
  const title = `panel-${info.name}`;
  return (
    <section class="card panel" aria-labelledby={title}>
      <div class="panel-head">
        <h2 id={title}>{info.title}</h2>
        <Tabs info={info} shown={tab.summary} onTab={(to) => set({ tab: to, search: '' })} />
        <button
          type="button"
          class="square quiet"
          title={`Show all ${tab.label}`}
          aria-label={`Show all ${tab.label}`}
          onClick={() => change((now) => ({ ...withPanel(now, info.name, { page: 1 }), open: info.name }))}
        >
          <Icon name="expand" />
        </button>
      </div>
      <div class="panel-body">
        {reason !== null ? (
          <p class="nothing">{reason}</p>
        ) : state.error ? (
          <Problem error={state.error} onRetry={state.retry} />
        ) : data ? (
          <div class={state.isLoading ? 'stale' : ''}>
            <Keys result={data} label={tab.label} onOrder={(to) => set({ order: to })} onNote={setNote} />
          </div>
        ) : (
          <BoneRows count={ROWS + 1} />
        )}
      </div>
      {data && reason === null && <CoverageNote result={data} label={tab.label} known={known} />}
      <p class="note" role="status">
        {note}
      </p>
      <div class="panel-foot">
        <SearchBox
          value={search}
          label={`Search ${tab.label}`}
          onSearch={(text) => set({ search: text }, 'replace')}
        />
        <label class="order">
          <span class="hidden">Sort {tab.label} by</span>
          <select
            value={order}
            onChange={(event) => set({ order: event.currentTarget.value as PanelView['order'] })}
          >
            {Object.entries(ORDER_LABELS).map(([value, label]) => (
              <option key={value} value={value}>
                By {label}
              </option>
            ))}
          </select>
        </label>
        {data && reason === null && (
          <Pager
            label={tab.label}
            page={page}
            size={ROWS}
            count={data.count}
            onPage={(to) => set({ page: to })}
          />
        )}
      </div>
    </section>
  );
}
