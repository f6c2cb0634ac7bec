import { escapeText } from '../text/escape.ts';

/** A value; `json` is text that is escaped already. */
export type Cell = string | number | boolean | null | { json: string };

/** What a spreadsheet takes for a formula, in full width too. */
const FORMULA = /^[\t\r]|^\s*[=+\-@＝＋－＠]/u;
/** What has to be quoted; the empty text too, so that it is not `null`. */
const NEEDS_QUOTES = /[",\r\n]|^ | $|^$/;

/** CSV as in RFC 4180: CRLF at the end of lines. `null` is empty. */
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
