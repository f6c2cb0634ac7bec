import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Measures, Order, TopResult, TopRow } from '../api/types.ts';
import { type KeyText, keyTexts } from '../format/keys.ts';
import { idOf, shareOf, showFull, showShare, showValue, worth } from '../format/measures.ts';
import { compact, integer, othersText } from '../format/numbers.ts';
import { ORDER_LABELS } from '../state/view.ts';
import { Icon } from './icons.tsx';
import { KeyCell } from './key-cell.tsx';

interface KeysProps {
  result: TopResult;
  label: string;
  onOrder(order: Order): void;
  onNote(note: string): void;
}

/** Rows of a panel, and the sum of the remaining ones. */
export function Keys({ result, label, onOrder, onNote }: KeysProps) {
  const { rows, others, all, order, count, summary } = result;
  const texts = keyTexts(
    summary,
    rows.map(({ key }) => key),
  );
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
              <span class="sort">
                {ORDER_LABELS[order]}
                <Icon name="down" />
              </span>
            </th>
          )}
          <th scope="col" class="number" aria-sort={order === 'hits' ? 'descending' : undefined}>
            {order === 'hits' ? (
              <span class="sort">
                {MEASURE_LABELS.hits}
                <Icon name="down" />
              </span>
            ) : (
              <button type="button" class="sort" onClick={() => onOrder('hits')}>
                {MEASURE_LABELS.hits}
              </button>
            )}
          </th>
          {order !== 'average' && (
            <th scope="col" class="number share">
              <span title={`Share of ${ORDER_LABELS[order]}`}>{MEASURE_LABELS.share}</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <Row key={idOf(row)} {...{ row, order, most, onNote, summary, all }} text={texts[index]!} />
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
            <Share {...{ row: others, all, order }} />
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
  /** Sum of all keys. */
  all: Measures;
  summary: string;
  text: KeyText;
  onNote(note: string): void;
}

function Row({ row, order, most, all, summary, text, onNote }: RowProps) {
  const value = worth(row, order);
  return (
    <tr>
      <KeyCell {...{ summary, text, onNote }} keyOf={row.key} part={most === 0 ? 0 : value / most} />
      {order !== 'hits' && (
        <td class="number" title={showFull(value, order)}>
          {showValue(value, order)}
        </td>
      )}
      <td class="number" title={integer(row.hits)}>
        {compact(row.hits)}
      </td>
      <Share {...{ row, all, order }} />
    </tr>
  );
}

function Share({ row, all, order }: { row: Measures; all: Measures; order: Order }) {
  if (order === 'average') return null;
  return <td class="number share">{showShare(shareOf(row, all, order))}</td>;
}
