import type { Position } from '../../journal/position.ts';
import type { PositionRequest } from '../../storage/contract.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';
import { JOURNAL_PERIOD } from './tables.ts';

/** Returns the highest position stored of a journal, from `FORGOTTEN` on if it is forgotten. */
export async function storedPosition(
  statements: Statements,
  { everySums }: Tables,
  { site, journal }: PositionRequest,
): Promise<Position | undefined> {
  const [row] = await statements.rows<Record<'rows' | 'position' | 'ordinal', string | number>>(
    `SELECT count() AS rows, max(s.position) AS position, max(s.ordinal) AS ordinal
     FROM ${everySums} AS s
     WHERE site = ${literal(site)} AND summary = '' AND period = ${literal(JOURNAL_PERIOD)}
       AND s.key = ${literal(journal)}`,
  );
  if (!row || Number(row.rows) === 0) return undefined;
  return { position: Number(row.position), ordinal: Number(row.ordinal) };
}
