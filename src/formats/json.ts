import { escapeJson } from '../text/escape.ts';

/** JSON on one line that a terminal can show: what `JSON.stringify` leaves raw and is dangerous is escaped too. */
export function json(value: unknown): string {
  return escapeJson(JSON.stringify(value));
}

/** An array with each row on a line of its own. */
export function* jsonArray(rows: readonly unknown[]): Generator<string> {
  if (rows.length === 0) {
    yield '[]\n';
    return;
  }
  for (const [index, row] of rows.entries()) yield `${index === 0 ? '[\n' : ',\n'}${json(row)}`;
  yield '\n]\n';
}
