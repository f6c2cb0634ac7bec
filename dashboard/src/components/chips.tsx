import { keyText } from '../format/keys.ts';
import { usePage } from '../state/context.ts';
import { withoutFilter } from '../state/view.ts';
import { Icon } from './icons.tsx';
import { KeyLabel } from './key-label.tsx';
import { tabLabel } from './panel-list.ts';

/** Active filters of the page. */
export function Chips() {
  const { view, change } = usePage();
  if (view.filters.length === 0) return null;
  return (
    <ul class="chips" aria-label="Filters">
      {view.filters.map(({ summary, key }) => (
        <li key={summary} class="chip">
          <span class="muted">{tabLabel(summary)}</span>
          <KeyLabel {...keyText(summary, key)} />
          <button
            type="button"
            aria-label={`Remove the filter ${tabLabel(summary)}`}
            onClick={() => change((before) => withoutFilter(before, summary))}
          >
            <Icon name="close" />
          </button>
        </li>
      ))}
      {view.filters.length > 1 && (
        <li>
          <button
            type="button"
            class="quiet"
            onClick={() => change((before) => ({ ...before, filters: [] }))}
          >
            Clear filters
          </button>
        </li>
      )}
    </ul>
  );
}
