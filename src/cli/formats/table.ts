import { styleText } from 'node:util';
import stringWidth from 'string-width';
import { escapeText } from '../../text/escape.ts';
import type { Io } from '../io.ts';

type Style = 'bold' | 'dim' | 'red' | 'yellow';

export interface Column<Row> {
  heading: string;
  /** Returns the cell's text, which is escaped later. `null` is shown as `(none)`. */
  text: (row: Row) => string | null;
  /** True if the column is right-aligned. */
  right?: true;
  /** Maximum number of characters shown. */
  max?: number;
  style?: (row: Row) => Style | undefined;
}

interface Cell {
  text: string;
  width: number;
  style: Style | undefined;
}

const GAP = '  ';
const ELLIPSIS = '…';
/** Minimum width of the last column, however narrow the terminal is. */
const MIN_WIDTH = 12;
const segmenter = new Intl.Segmenter();

/**
 * Returns aligned lines, by the display width of characters. The last column is truncated to the terminal's
 * width. Returns no lines without rows.
 * @param footer Texts of a final line.
 */
export function* table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  io: Pick<Io, 'isTTY' | 'columns' | 'env'>,
  footer?: readonly string[],
): Generator<string> {
  if (rows.length === 0) return;
  const lines = [
    columns.map(({ heading }) => cell(heading, 'bold')),
    ...rows.map((row) => columns.map((column) => cellOf(column, row))),
    ...(footer ? [footer.map((text) => cell(text, 'bold'))] : []),
  ];
  const widths = columns.map((_, index) =>
    lines.reduce((width, line) => Math.max(width, line[index]!.width), 0),
  );
  const last = columns.length - 1;
  const taken = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
  if (io.columns !== undefined) widths[last] = Math.max(io.columns - taken, MIN_WIDTH);
  const coloured = hasColour(io);
  for (const line of lines) {
    const shown = line.map((each, index) => {
      const { text, width, style } = each.width > widths[index]! ? cut(each, widths[index]!) : each;
      const blank = ' '.repeat(widths[index]! - width);
      const styled =
        coloured && style && text !== '' ? styleText(style, text, { validateStream: false }) : text;
      if (columns[index]!.right) return `${blank}${styled}`;
      return index === last ? styled : `${styled}${blank}`;
    });
    yield `${shown.join(GAP).trimEnd()}\n`;
  }
}

function cellOf<Row>({ text, style, max }: Column<Row>, row: Row): Cell {
  const value = text(row);
  if (value === null) return cell('(none)', 'dim');
  const whole = cell(escapeText(value), style?.(row));
  return max !== undefined && whole.width > max ? cut(whole, max) : whole;
}

function cell(text: string, style?: Style): Cell {
  return { text, width: stringWidth(text), style };
}

/** Returns the start of the text that fits in `width` columns, including the ellipsis. */
function cut({ text, style }: Cell, width: number): Cell {
  let kept = '';
  let keptWidth = 0;
  for (const { segment } of segmenter.segment(text)) {
    const segmentWidth = stringWidth(segment);
    if (keptWidth + segmentWidth > width - 1) break;
    kept += segment;
    keptWidth += segmentWidth;
  }
  return { text: `${kept}${ELLIPSIS}`, width: keptWidth + 1, style };
}

/** Returns whether to use color: https://no-color.org */
function hasColour({ isTTY, env }: Pick<Io, 'isTTY' | 'env'>): boolean {
  return isTTY && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}
