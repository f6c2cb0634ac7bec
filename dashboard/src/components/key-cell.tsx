import { type KeyText, linkOf } from '../format/keys.ts';
import { usePage } from '../state/context.ts';
import { withFilter, withoutFilter } from '../state/view.ts';
import { Icon } from './icons.tsx';
import { KeyLabel } from './key-label.tsx';
import { whyNoFilter } from './reasons.ts';

interface KeyCellProps {
  summary: string;
  keyOf: string | null;
  text: KeyText;
  /** Length of the bar, 0 to 1. */
  part: number;
  /** Called with the reason why a row cannot filter. */
  onNote(note: string): void;
  /** Called after filtering. */
  onDone?(): void;
}

/** Cell with a key and its bar. Clicking the key adds or removes a filter of the page. */
export function KeyCell({ summary, keyOf, text, part, onNote, onDone }: KeyCellProps) {
  const { site, view, change } = usePage();
  const reason = whyNoFilter(site, summary);
  const canFilter = reason === null;
  const isOn = view.filters.some((filter) => filter.summary === summary && filter.key === keyOf);
  const link = summary === 'referrers' ? linkOf(keyOf) : null;
  const press = () => {
    if (reason !== null) {
      onNote(reason);
      return;
    }
    change((now) => (isOn ? withoutFilter(now, summary) : withFilter(now, { summary, key: keyOf })));
    onDone?.();
  };
  return (
    <th scope="row" class="key">
      <span class="bar" style={{ width: `${Math.max(part * 100, 0.5)}%` }} />
      <span class="key-line">
        <button
          type="button"
          class={`key-button ${keyOf === null || keyOf === '' ? 'none' : ''}`}
          aria-pressed={canFilter ? isOn : undefined}
          aria-disabled={!canFilter}
          onClick={press}
        >
          <KeyLabel {...text} />
        </button>
        {link !== null && (
          <a
            class="out"
            href={link}
            target="_blank"
            rel="noreferrer noopener"
            aria-label={`Open ${link.slice(0, 80)}`}
          >
            <Icon name="out" />
          </a>
        )}
      </span>
    </th>
  );
}
