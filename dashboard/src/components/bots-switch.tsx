import type { Bots } from '../api/types.ts';
import { usePage } from '../state/context.ts';
import { BOTS_LABELS, firstPages } from '../state/view.ts';
import { Segments } from './segments.tsx';

const OPTIONS = Object.entries(BOTS_LABELS).map(([value, label]) => ({ value: value as Bots, label }));

/** Chooses the requests to count: all, those of people, or those of bots. */
export function BotsSwitch() {
  const { view, change } = usePage();
  return (
    <Segments
      label="Requests to count"
      class="segments"
      optionClass="segment"
      options={OPTIONS}
      value={view.bots}
      onChoose={(bots) => change((before) => ({ ...firstPages(before), bots }))}
    />
  );
}
