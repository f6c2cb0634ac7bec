import type { TextColumn } from '../record.ts';
import { COVERAGE } from '../summaries/coverage.ts';
import type { KeysPage, Recount, RecountRequest, StorageReader } from './contract.ts';

const EVERY_KEY: KeysPage = { order: 'hits', search: undefined, limit: 0, offset: 0 };

/**
 * Compares a bucket with its records. Exact only if both are read at the same point in time: an engine calls it in a
 * transaction that sees one state of the database.
 */
export async function recountIn(
  reader: Required<Pick<StorageReader, 'keys' | 'matchingKeys'>>,
  request: RecountRequest,
): Promise<Recount> {
  const { site, summary, period, from, to } = request;
  const spans = [{ period, from, to: from }];
  const sums = async (name: string) => (await reader.keys({ site, summary: name, spans, ...EVERY_KEY })).rows;
  const matching = (column: TextColumn) =>
    reader.matchingKeys({ site, from, to, where: [], column, ...EVERY_KEY });
  const stored = await sums(summary.name);
  const coverage = await sums(COVERAGE.name);
  const { column } = summary;
  // The keys of other summaries are not in the records' columns.
  const counted = column === undefined ? [] : (await matching(column)).rows;
  const { total } = await matching('serverName');
  return { stored, counted, coverage, records: total.hits };
}
