import type { PanelInfo } from './panel-list.ts';

interface TabsProps {
  info: PanelInfo;
  /** The summary that is shown. */
  shown: string;
  /** Told the summary, or `null` for the first, which needs no word in the URL. */
  onTab(summary: string | null): void;
}

/** The summaries of a panel; nothing where there is one alone. */
export function Tabs({ info: { tabs }, shown, onTab }: TabsProps) {
  if (tabs.length <= 1) return null;
  return (
    <div class="tabs">
      {tabs.map(({ summary, label }) => (
        <button
          key={summary}
          type="button"
          class="tab"
          aria-pressed={summary === shown}
          onClick={() => onTab(summary === tabs[0]!.summary ? null : summary)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
