import { integer } from '../format/numbers.ts';
import { Icon } from './icons.tsx';

interface PagerProps {
  label: string;
  page: number;
  size: number;
  count: number;
  onPage(page: number): void;
}

/** Page navigation of a table. */
export function Pager({ label, page, size, count, onPage }: PagerProps) {
  const pages = Math.max(1, Math.ceil(count / size));
  if (pages === 1 && page === 1) return null;
  const first = (page - 1) * size + 1;
  return (
    <nav class="pager" aria-label={`Pages of ${label}`}>
      <button
        type="button"
        class="square quiet"
        aria-label="Previous page"
        disabled={page <= 1}
        onClick={() => onPage(page - 1)}
      >
        <Icon name="left" />
      </button>
      <span>
        {integer(first)}–{integer(Math.min(count, page * size))}{' '}
        <span class="muted">of {integer(count)}</span>
      </span>
      <button
        type="button"
        class="square quiet"
        aria-label="Next page"
        disabled={page >= pages}
        onClick={() => onPage(page + 1)}
      >
        <Icon name="right" />
      </button>
    </nav>
  );
}
