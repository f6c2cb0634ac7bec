import type { PanelInfo } from './panel-list.ts';

interface TabsProps {
  info: PanelInfo;
  /** Name of the selected summary. */
  shown: string;
  /** Called with the name of the summary, or `null` for the first, which is the default in the URL. */
  onTab(summary: string | null): void;
}

/** Tabs for the summaries of a panel. Renders nothing for a single one. */
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
