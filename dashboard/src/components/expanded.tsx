import { useEffect, useRef, useState } from 'preact/hooks';
import { comparedPathOf, pathOf } from '../api/paths.ts';
import type { SummaryInfo, TopResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { usePage } from '../state/context.ts';
import { DEFAULT_PANEL, type PanelView, withPanel } from '../state/view.ts';
import { CoverageNote } from './coverage-note.tsx';
import { Downloads } from './downloads.tsx';
import { Icon } from './icons.tsx';
import { Pager } from './pager.tsx';
import { panelsOf } from './panel-list.ts';
import { Problem } from './problem.tsx';
import { whyNoResult } from './reasons.ts';
import { SearchBox } from './search-box.tsx';
import { BoneRows } from './skeleton.tsx';
import { Tabs } from './tabs.tsx';
import { WideKeys } from './wide-keys.tsx';

const ROWS = 50;

/** Returns whether the durations of a summary's keys may be kept. Only the app knows that of custom summaries. */
function hasLatency(summaries: readonly SummaryInfo[], summary: string): boolean {
  return (
    summary === 'server' ||
    summary === 'routes' ||
    summaries.some(({ name, custom }) => custom && name === summary)
  );
}

/** A panel that fills the window, with all data about its keys. */
export function Expanded({ name }: { name: string }) {
  const { site, view, change, tick } = usePage();
  const dialog = useRef<HTMLDialogElement>(null);
  const [note, setNote] = useState('');
  const info = panelsOf(site.summaries).find((panel) => panel.name === name);
  const panel = view.panels[name] ?? DEFAULT_PANEL;
  const tab = info?.tabs.find(({ summary }) => summary === panel.tab) ?? info?.tabs[0];
  const resource = `summaries/${encodeURIComponent(tab?.summary ?? '')}`;
  const rows = { order: panel.order, search: panel.search || undefined };
  const reason = tab ? whyNoResult(site, view, tab.summary) : null;
  const path =
    tab && reason === null
      ? comparedPathOf(resource, view, {
          ...rows,
          limit: ROWS,
          page: panel.page,
          latency: hasLatency(site.summaries, tab.summary),
        })
      : null;
  const state = useQuery<TopResult>(path, tick);
  const data = state.data?.summary === tab?.summary ? state.data : undefined;

  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, [info]);
  if (!info || !tab) return null;

  const close = () => change((now) => ({ ...withPanel(now, name, { page: 1 }), open: null, key: undefined }));
  const set = (next: Partial<PanelView>, how?: 'push' | 'replace') => {
    setNote('');
    change((now) => ({ ...withPanel(now, name, { page: 1, ...next }), key: undefined }), how);
  };
  const all = pathOf(resource, view, { ...rows, limit: 0 });
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: browsers close a dialog on Escape
    <dialog
      ref={dialog}
      class="expanded"
      aria-labelledby="expanded"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="expanded-inner">
        <div class="panel-head">
          <h2 id="expanded">{tab.label}</h2>
          <Tabs info={info} shown={tab.summary} onTab={(to) => set({ tab: to, search: '' })} />
          <button type="button" class="square quiet" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        <div class="expanded-tools">
          <SearchBox
            value={panel.search}
            label={`Search ${tab.label}`}
            onSearch={(text) => set({ search: text }, 'replace')}
          />
          <div class="links">
            <Downloads path={all} />
          </div>
        </div>
        {data && reason === null && <CoverageNote result={data} label={tab.label} />}
        <p class="note" role="status">
          {note}
        </p>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: makes the table scrollable with the keyboard */}
        <section class="expanded-body" tabIndex={0} aria-label={`All ${tab.label}`}>
          {reason !== null ? (
            <p class="nothing">{reason}</p>
          ) : state.error ? (
            <Problem error={state.error} onRetry={state.retry} />
          ) : data ? (
            <div class={state.isLoading ? 'stale' : ''}>
              <WideKeys
                result={data}
                label={tab.label}
                onOrder={(order) => set({ order })}
                onNote={setNote}
              />
            </div>
          ) : (
            <BoneRows count={12} />
          )}
        </section>
        <div class="panel-foot">
          {data && (
            <Pager
              label={tab.label}
              page={panel.page}
              size={ROWS}
              count={data.count}
              onPage={(page) => set({ page })}
            />
          )}
        </div>
      </div>
    </dialog>
  );
}
