import type { FoundRecords, Matching, MatchingRecordsRequest, StorageReader } from './contract.ts';
import { ANY_DATE, cursorNumbers } from './cursor.ts';
import { matches } from './fold-records.ts';
import { type RecordRow, recordOf, rowOfRecord } from './record-row.ts';

/** Number of records read per call if few of them may match. */
const READ_AT_ONCE = 1_000;
/** Maximum number of records read per page. The page ends there, however many were found. */
const READ_AT_MOST = 20_000;
const COUNT = { from: 0, to: Number.MAX_SAFE_INTEGER };

export interface PlacedRow {
  row: RecordRow;
  /** Position that identifies the record in a cursor. */
  place: string;
}

/** Reads records of a range after a position, newest first. */
export type OlderRecords = (after: string | undefined, limit: number) => Promise<PlacedRow[]>;

/** Implements `matchingRecords` for an engine that can only read records by date. */
export async function searchRecords(
  older: OlderRecords,
  { where, after, limit }: MatchingRecordsRequest,
): Promise<FoundRecords> {
  const size = where.length === 0 ? Math.max(limit, 1) : READ_AT_ONCE;
  const found: RecordRow[] = [];
  const answer = (next: string | undefined) => ({ records: found.map(recordOf), next });
  let last = after;
  for (let read = 0; read < READ_AT_MOST; read += size) {
    const piece = await older(last, size);
    for (const { row, place } of piece) {
      last = place;
      if (!matches(row, where)) continue;
      found.push(row);
      if (found.length === limit) return answer(place);
    }
    if (piece.length < size) return answer(undefined);
  }
  return answer(last);
}

/**
 * Implements positions for an engine without them: a date and the number of its records that were returned.
 * If more records of that millisecond are stored meanwhile, one may be returned twice.
 */
export function olderByDate(
  reader: Pick<StorageReader, 'usage'>,
  { site, from, to }: MatchingRecordsRequest,
): OlderRecords {
  return async (after, limit) => {
    let [date = to, given = 0] = after === undefined ? [] : cursorNumbers(after, ANY_DATE, COUNT);
    const records = await reader.usage({ site, from, to: Math.min(date, to), limit, offset: given });
    return records.map((record) => {
      given = record.date === date ? given + 1 : 1;
      date = record.date;
      return { row: rowOfRecord(record, null), place: `${date} ${given}` };
    });
  };
}

/** Returns all matching records, page by page. */
export async function* foundRows(
  find: (request: MatchingRecordsRequest) => Promise<FoundRecords>,
  request: Matching,
): AsyncGenerator<RecordRow[]> {
  let after: string | undefined;
  do {
    const { records, next } = await find({ ...request, after, limit: READ_AT_ONCE });
    yield records.map((record) => rowOfRecord(record, null));
    after = next;
  } while (after !== undefined);
}
