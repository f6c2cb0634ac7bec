import { offsetOf } from '../../formats/numbers.ts';
import type { Column } from './table.ts';

/**
 * Returns the column of a date. An offset that all dates share is in the heading. Otherwise each date has its
 * own, because the clock shows an hour twice when it goes back.
 * @param date Returns a row's date as ISO 8601 text.
 * @param text Formats it without the offset.
 */
export function dateColumn<Row>(
  rows: readonly Row[],
  date: (row: Row) => string,
  text: (date: string) => string,
): Column<Row> {
  const offsets = new Set(rows.map((row) => offsetOf(date(row))));
  const [offset] = offsets;
  return offsets.size === 1
    ? { heading: `Date (${offset})`, text: (row) => text(date(row)) }
    : { heading: 'Date', text: (row) => `${text(date(row))} ${offsetOf(date(row))}` };
}
