import { escapeText } from '../text/escape.ts';

/** A value; `json` is text that is already escaped. */
export type Cell = string | number | boolean | null | { json: string };

/** Matches text that a spreadsheet would treat as a formula, including full-width characters. */
const FORMULA = /^[\t\r]|^\s*[=+\-@＝＋－＠]/u;
/** Matches text that must be quoted, including the empty text, to distinguish it from `null`. */
const NEEDS_QUOTES = /[",\r\n]|^ | $|^$/;

/** Formats CSV as in RFC 4180, with CRLF line ends. `null` is empty. */
export function* csv(headings: readonly string[], rows: Iterable<readonly Cell[]>): Generator<string> {
  yield `${headings.join(',')}\r\n`;
  for (const row of rows) yield `${row.map(cell).join(',')}\r\n`;
}

function cell(value: Cell): string {
  if (value === null) return '';
  if (typeof value === 'object') return quote(value.json);
  if (typeof value !== 'string') return String(value);
  return quote(`${FORMULA.test(value) ? "'" : ''}${escapeText(value)}`);
}

function quote(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
