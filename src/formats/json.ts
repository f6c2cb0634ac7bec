import { escapeJson } from '../text/escape.ts';

/**
 * Formats JSON on one line that is safe for a terminal: dangerous characters that `JSON.stringify` leaves raw
 * are escaped too.
 */
export function json(value: unknown): string {
  return escapeJson(JSON.stringify(value));
}

/** Formats an array with each row on a separate line. */
export function* jsonArray(rows: readonly unknown[]): Generator<string> {
  if (rows.length === 0) {
    yield '[]\n';
    return;
  }
  for (const [index, row] of rows.entries()) yield `${index === 0 ? '[\n' : ',\n'}${json(row)}`;
  yield '\n]\n';
}
