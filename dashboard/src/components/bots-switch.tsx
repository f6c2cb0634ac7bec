import type { Bots } from '../api/types.ts';
import { usePage } from '../state/context.ts';
import { BOTS_LABELS, firstPages } from '../state/view.ts';

/** Chooses the requests to count: all, those of people, or those of bots. */
export function BotsSwitch() {
  const { view, change } = usePage();
  return (
    <fieldset class="segments">
      <legend class="hidden">Requests to count</legend>
      {Object.entries(BOTS_LABELS).map(([bots, label]) => (
        <button
          key={bots}
          type="button"
          class="segment"
          aria-pressed={view.bots === bots}
          onClick={() => change((before) => ({ ...firstPages(before), bots: bots as Bots }))}
        >
          {label}
        </button>
      ))}
    </fieldset>
  );
}
