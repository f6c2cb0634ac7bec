import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Order, TopResult, TopRow } from '../api/types.ts';
import { sharedOrigin } from '../format/keys.ts';
import { idOf, showFull, showValue, worth } from '../format/measures.ts';
import { compact, integer, othersText, percent } from '../format/numbers.ts';
import { ORDER_LABELS } from '../state/view.ts';
import { KeyCell } from './key-cell.tsx';

interface KeysProps {
  result: TopResult;
  label: string;
  onOrder(order: Order): void;
  onNote(note: string): void;
}

/** Rows of a panel, and the sum of the remaining ones. */
export function Keys({ result, label, onOrder, onNote }: KeysProps) {
  const { rows, others, total, order, count, summary } = result;
  const origin = sharedOrigin(rows.map(({ key }) => key));
  const most = Math.max(...rows.map((row) => worth(row, order)), 0);
  const rest = count - rows.length;
  if (rows.length === 0) return <p class="nothing">No hits in this range.</p>;
  return (
    <table class="keys">
      <caption class="hidden">
        {label} by {ORDER_LABELS[order]}
      </caption>
      <thead>
        <tr>
          <th scope="col">{label}</th>
          {order !== 'hits' && (
            <th scope="col" class="number" aria-sort="descending">
              {ORDER_LABELS[order]}
            </th>
          )}
          <th scope="col" class="number" aria-sort={order === 'hits' ? 'descending' : undefined}>
            <button type="button" class="sort" onClick={() => onOrder('hits')}>
              {MEASURE_LABELS.hits}
            </button>
          </th>
          <th scope="col" class="number share">
            {MEASURE_LABELS.share}
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row key={idOf(row)} {...{ row, order, most, onNote, summary, origin }} hits={total.hits} />
        ))}
      </tbody>
      {others.hits > 0 && (
        <tfoot>
          <tr>
            <th scope="row">{othersText(rest)}</th>
            {order !== 'hits' && <td class="number">{showValue(worth(others, order), order)}</td>}
            <td class="number" title={integer(others.hits)}>
              {compact(others.hits)}
            </td>
            <td class="number share">{percent(others.hits / total.hits)}</td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}

interface RowProps {
  row: TopRow;
  order: Order;
  most: number;
  hits: number;
  summary: string;
  origin: string | null;
  onNote(note: string): void;
}

function Row({ row, order, most, hits, summary, origin, onNote }: RowProps) {
  const value = worth(row, order);
  return (
    <tr>
      <KeyCell {...{ summary, origin, onNote }} keyOf={row.key} part={most === 0 ? 0 : value / most} />
      {order !== 'hits' && (
        <td class="number" title={showFull(value, order)}>
          {showValue(value, order)}
        </td>
      )}
      <td class="number" title={integer(row.hits)}>
        {compact(row.hits)}
      </td>
      <td class="number share">{percent(row.hits / hits)}</td>
    </tr>
  );
}
