import type { PanelInfo } from './panel-list.ts';
import { Segments } from './segments.tsx';

interface TabsProps {
  info: PanelInfo;
  /** Name of the selected summary. */
  shown: string;
  /** Called with the name of the summary, or `null` for the first, which is the default in the URL. */
  onTab(summary: string | null): void;
}

/** Tabs for the summaries of a panel. Renders nothing for a single one. */
export function Tabs({ info: { title, tabs }, shown, onTab }: TabsProps) {
  if (tabs.length <= 1) return null;
  return (
    <Segments
      label={`Lists of ${title}`}
      class="tabs"
      optionClass="tab"
      options={tabs.map(({ summary, label }) => ({ value: summary, label }))}
      value={shown}
      onChoose={(summary) => onTab(summary === tabs[0]!.summary ? null : summary)}
    />
  );
}
