import { styleText } from 'node:util';
import stringWidth from 'string-width';
import { NO_KEY } from '../../formats/labels.ts';
import { escapeText } from '../../text/escape.ts';
import type { Io } from '../io.ts';

type Style = 'bold' | 'dim' | 'red' | 'yellow';

export interface Column<Row> {
  /** Heading. Line breaks divide it into lines. */
  heading: string;
  /** Returns the cell's text, which is escaped later. `null` is displayed as `(none)`. */
  text: (row: Row) => string | null;
  /** True if the column is right-aligned. */
  right?: true;
  /** Maximum number of characters shown. */
  max?: number;
  /** True if the column is omitted where the last column would have less than `USEFUL_WIDTH`. */
  optional?: true;
  style?: (row: Row) => Style | undefined;
}

interface Cell {
  text: string;
  width: number;
  style: Style | undefined;
}

const GAP = '  ';
const ELLIPSIS = '…';
/** Minimum width of the last column while there are optional columns to omit. */
const USEFUL_WIDTH = 20;
/** Minimum width of the last column, however narrow the terminal is. */
const MIN_WIDTH = 12;
const segmenter = new Intl.Segmenter();

/**
 * Returns aligned lines, by the display width of characters. To fit into the terminal, omits optional columns,
 * the rightmost first, and truncates the last column. Returns no lines without rows.
 * @param footer Texts of a final line.
 */
export function* table<Row>(
  all: readonly Column<Row>[],
  rows: readonly Row[],
  io: Pick<Io, 'isTTY' | 'columns' | 'env'>,
  footer?: readonly string[],
): Generator<string> {
  if (rows.length === 0) return;
  const body = [
    ...rows.map((row) => all.map((column) => cellOf(column, row))),
    ...(footer ? [footer.map((text) => cell(text, 'bold'))] : []),
  ];
  const allWidths = all.map((_, index) =>
    [...headingLines(all), ...body].reduce((width, line) => Math.max(width, line[index]!.width), 0),
  );
  const kept = fitting(all, allWidths, io.columns);
  const pick = <T>(values: readonly T[]) => kept.map((index) => values[index]!);
  const [columns, widths] = [pick(all), pick(allWidths)];
  const lines = [...headingLines(columns), ...body.map(pick)];
  const last = columns.length - 1;
  if (io.columns !== undefined) {
    widths[last] = Math.min(widths[last]!, Math.max(io.columns - widthBefore(widths), MIN_WIDTH));
  }
  const isColored = hasColor(io);
  for (const line of lines) {
    const shown = line.map((each, index) => {
      const { text, width, style } = each.width > widths[index]! ? cut(each, widths[index]!) : each;
      const blank = ' '.repeat(widths[index]! - width);
      const styled =
        isColored && style && text !== '' ? styleText(style, text, { validateStream: false }) : text;
      if (columns[index]!.right) return `${blank}${styled}`;
      return index === last ? styled : `${styled}${blank}`;
    });
    yield `${shown.join(GAP).trimEnd()}\n`;
  }
}

/** Returns the lines of the headings, aligned at the bottom. */
function headingLines<Row>(columns: readonly Column<Row>[]): Cell[][] {
  const headings = columns.map(({ heading }) => heading.split('\n'));
  const height = Math.max(...headings.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) =>
    headings.map((parts) => cell(parts[line - height + parts.length] ?? '', 'bold')),
  );
}

/** Returns the indexes of the columns that fit into the terminal. */
function fitting<Row>(
  columns: readonly Column<Row>[],
  widths: readonly number[],
  terminal: number | undefined,
): number[] {
  const kept = [...columns.keys()];
  while (terminal !== undefined) {
    const isUseful = terminal - widthBefore(kept.map((index) => widths[index]!)) >= USEFUL_WIDTH;
    const omitted = kept.findLastIndex((index) => columns[index]!.optional);
    if (isUseful || omitted < 0) break;
    kept.splice(omitted, 1);
  }
  return kept;
}

/** Returns the width of all columns but the last one, with the gaps behind them. */
function widthBefore(widths: readonly number[]): number {
  return widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
}

function cellOf<Row>({ text, style, max }: Column<Row>, row: Row): Cell {
  const value = text(row);
  if (value === null) return cell(NO_KEY, 'dim');
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

/** Returns true if the output may contain colors: https://no-color.org */
function hasColor({ isTTY, env }: Pick<Io, 'isTTY' | 'env'>): boolean {
  return isTTY && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}
