import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Measures, Order, TopResult, TopRow } from '../api/types.ts';
import { difference } from '../format/change.ts';
import { keyText, sharedOrigin } from '../format/keys.ts';
import { idOf, showFull, showValue, worth } from '../format/measures.ts';
import { othersText, percent } from '../format/numbers.ts';
import { usePage } from '../state/context.ts';
import { ORDER_LABELS } from '../state/view.ts';
import { ChangeMark } from './change-mark.tsx';
import { Icon } from './icons.tsx';
import { KeyCell } from './key-cell.tsx';
import { KeyTrend } from './key-trend.tsx';

const COLUMNS = Object.keys(ORDER_LABELS) as Order[];
const BETTER = { hits: 'up', transfer: null, errors: 'down', duration: null, average: 'down' } as const;

interface WideKeysProps {
  result: TopResult;
  label: string;
  onOrder(order: Order): void;
  onNote(note: string): void;
}

/** Table of keys with all measures, sortable by each. */
export function WideKeys({ result, label, onOrder, onNote }: WideKeysProps) {
  const { view } = usePage();
  const { rows, order, total, others, count } = result;
  const origin = result.summary === 'urls' ? sharedOrigin(rows.map(({ key }) => key)) : null;
  const most = Math.max(...rows.map((row) => worth(row, order)), 0);
  if (rows.length === 0) return <p class="nothing">No hits in this range.</p>;
  return (
    <table class="keys wide">
      <caption class="hidden">{label}</caption>
      <thead>
        <tr>
          <th scope="col">{label}</th>
          {COLUMNS.map((column) => (
            <th key={column} scope="col" class="number" aria-sort={column === order ? 'descending' : 'none'}>
              <button type="button" class="sort" onClick={() => onOrder(column)}>
                {ORDER_LABELS[column]}
                {column === order && <Icon name="down" />}
              </button>
            </th>
          ))}
          <th scope="col" class="number">
            {MEASURE_LABELS.share}
          </th>
          {view.compare && (
            <th scope="col" class="number">
              {MEASURE_LABELS.change}
            </th>
          )}
          <th scope="col">
            <span class="hidden">Trend</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <WideRow
            key={idOf(row)}
            {...{ result, row, origin, onNote }}
            part={most === 0 ? 0 : worth(row, order) / most}
          />
        ))}
      </tbody>
      {others.hits > 0 && (
        <tfoot>
          <tr>
            <th scope="row">{othersText(count - rows.length)}</th>
            <Numbers row={others} total={total.hits} />
            {view.compare && <td />}
            <td />
          </tr>
        </tfoot>
      )}
    </table>
  );
}

interface WideRowProps {
  result: TopResult;
  row: TopRow;
  origin: string | null;
  part: number;
  onNote(note: string): void;
}

function WideRow({ result, row, origin, part, onNote }: WideRowProps) {
  const { view, change } = usePage();
  const { summary, order, total } = result;
  const isOpen = view.key !== undefined && view.key === row.key;
  const before = row.previous ? worth(row.previous, order) : null;
  const name = keyText(summary, row.key, origin).text;
  return (
    <>
      <tr>
        <KeyCell
          {...{ summary, origin, part, onNote }}
          keyOf={row.key}
          onDone={() => change((now) => ({ ...now, open: null, key: undefined }), 'replace')}
        />
        <Numbers row={row} total={total.hits} />
        {view.compare && (
          <td class="number">
            <ChangeMark difference={difference(worth(row, order), before, BETTER[order])} />
          </td>
        )}
        <td class="number">
          <button
            type="button"
            class="square quiet"
            aria-expanded={isOpen}
            aria-label={`Trend of ${name.slice(0, 80)}`}
            title="Show trend"
            onClick={() => change((now) => ({ ...now, key: isOpen ? undefined : row.key }))}
          >
            <Icon name="line" />
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr class="key-trend">
          <td colSpan={COLUMNS.length + (view.compare ? 4 : 3)}>
            <KeyTrend summary={summary} keyOf={row.key} order={order} />
          </td>
        </tr>
      )}
    </>
  );
}

function Numbers({ row, total }: { row: Measures; total: number }) {
  return (
    <>
      {COLUMNS.map((column) => {
        const value = worth(row, column);
        return (
          <td key={column} class="number" title={showFull(value, column)}>
            {showValue(value, column)}
          </td>
        );
      })}
      <td class="number">{percent(row.hits / total)}</td>
    </>
  );
}
