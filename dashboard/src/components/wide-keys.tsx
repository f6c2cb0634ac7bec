import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Measures, Order, TopResult, TopRow } from '../api/types.ts';
import { difference } from '../format/change.ts';
import { type KeyText, keyTexts } from '../format/keys.ts';
import { idOf, shareOf, showFull, showShare, showValue, worth } from '../format/measures.ts';
import { othersText } from '../format/numbers.ts';
import { usePage } from '../state/context.ts';
import { ORDER_LABELS } from '../state/view.ts';
import { ChangeMark } from './change-mark.tsx';
import { Icon } from './icons.tsx';
import { KeyCell } from './key-cell.tsx';
import { KeyTrend } from './key-trend.tsx';

const COLUMNS = Object.keys(ORDER_LABELS) as Order[];
/** Percentiles of durations, for summaries that keep their distribution. */
const PERCENTILES = ['p50', 'p95', 'p99'] as const;
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
  const { rows, order, all, others, count } = result;
  const texts = keyTexts(
    result.summary,
    rows.map(({ key }) => key),
  );
  const most = Math.max(...rows.map((row) => worth(row, order)), 0);
  const hasLatency = rows.some(({ latency }) => latency);
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
          {hasLatency &&
            PERCENTILES.map((name) => (
              <th key={name} scope="col" class="number">
                <abbr title={`${name.slice(1)} % of the requests took no longer`}>{name}</abbr>
              </th>
            ))}
          <th scope="col" class="number">
            <span title={order === 'average' ? undefined : `Share of ${ORDER_LABELS[order]}`}>
              {MEASURE_LABELS.share}
            </span>
          </th>
          {view.compare !== false && (
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
        {rows.map((row, index) => (
          <WideRow
            key={idOf(row)}
            {...{ result, row, hasLatency, onNote }}
            text={texts[index]!}
            part={most === 0 ? 0 : worth(row, order) / most}
          />
        ))}
      </tbody>
      {others.hits > 0 && (
        <tfoot>
          <tr>
            <th scope="row">{othersText(count - rows.length)}</th>
            <Numbers row={others} {...{ all, order, hasLatency }} />
            {view.compare !== false && <td />}
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
  text: KeyText;
  part: number;
  /** True if the table has columns for percentiles. */
  hasLatency: boolean;
  onNote(note: string): void;
}

function WideRow({ result, row, text, part, hasLatency, onNote }: WideRowProps) {
  const { view, change } = usePage();
  const { summary, order, all } = result;
  const isOpen = view.key !== undefined && view.key === row.key;
  const before = row.previous ? worth(row.previous, order) : null;
  return (
    <>
      <tr>
        <KeyCell
          {...{ summary, text, part, onNote }}
          keyOf={row.key}
          onDone={() => change((now) => ({ ...now, open: null, key: undefined }), 'replace')}
        />
        <Numbers {...{ row, all, order, hasLatency }} />
        {view.compare !== false && (
          <td class="number">
            <ChangeMark difference={difference(worth(row, order), before, { better: BETTER[order] })} />
          </td>
        )}
        <td class="number">
          <button
            type="button"
            class="square quiet"
            aria-expanded={isOpen}
            aria-label={`Trend of ${text.text.slice(0, 80)}`}
            title="Show trend"
            onClick={() => change((now) => ({ ...now, key: isOpen ? undefined : row.key }))}
          >
            <Icon name="line" />
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr class="key-trend">
          <td
            colSpan={
              COLUMNS.length + (hasLatency ? PERCENTILES.length : 0) + (view.compare === false ? 3 : 4)
            }
          >
            <KeyTrend summary={summary} keyOf={row.key} order={order} />
          </td>
        </tr>
      )}
    </>
  );
}

interface NumbersProps {
  row: Measures & Pick<TopRow, 'latency'>;
  all: Measures;
  order: Order;
  hasLatency: boolean;
}

function Numbers({ row, all, order, hasLatency }: NumbersProps) {
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
      {hasLatency &&
        PERCENTILES.map((name) => (
          <td
            key={name}
            class="number"
            title={row.latency ? showFull(row.latency[name], 'average') : undefined}
          >
            {row.latency ? showValue(row.latency[name], 'average') : '–'}
          </td>
        ))}
      <td class="number">{showShare(shareOf(row, all, order))}</td>
    </>
  );
}
