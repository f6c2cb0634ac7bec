import type { FoundRecords, Matching, MatchingRecordsRequest, Scanned, ScanRequest } from './contract.ts';
import { matches } from './fold-records.ts';
import { type RecordRow, recordOf, rowOfRecord } from './record-row.ts';

/** Number of records read per call if few of them may match. */
const PAGE_SIZE = 1_000;
/** Maximum number of records read per page. The page ends there, however many were found. */
const MAX_RECORDS_READ = 20_000;

/** Record read by an engine, with the cursor of the records that follow it. */
export interface RowWithCursor {
  /** Record as a row. */
  row: RecordRow;
  /** Position that identifies the record in a cursor. */
  cursor: string;
}

/** Reads records of a range after a position, newest first. */
export type OlderRecords = (after: string | undefined, limit: number) => Promise<RowWithCursor[]>;

/**
 * Implements `StorageReader.matchingRecords` for an engine that can only read records by date.
 * @param older Reads records of the requested site and range.
 * @param request Conditions and page of the records to return.
 */
export async function searchRecords(
  older: OlderRecords,
  { where, after, limit }: MatchingRecordsRequest,
): Promise<FoundRecords> {
  const size = where.length === 0 ? Math.max(limit, 1) : PAGE_SIZE;
  const found: RecordRow[] = [];
  const answer = (next: string | undefined) => ({ records: found.map(recordOf), next });
  let last = after;
  for (let read = 0; read < MAX_RECORDS_READ; read += size) {
    const piece = await older(last, size);
    for (const { row, cursor } of piece) {
      last = cursor;
      if (!matches(row, where)) continue;
      found.push(row);
      if (found.length === limit) return answer(cursor);
    }
    if (piece.length < size) return answer(undefined);
  }
  return answer(last);
}

/** Returns all matching records, page by page. */
export async function* foundRows(
  find: (request: MatchingRecordsRequest) => Promise<FoundRecords>,
  request: Matching,
): AsyncGenerator<RecordRow[]> {
  let after: string | undefined;
  do {
    const { records, next } = await find({ ...request, after, limit: PAGE_SIZE });
    yield records.map((record) => rowOfRecord(record, null));
    after = next;
  } while (after !== undefined);
}

/** Returns the records of a range, page by page, with the data that a `UsageRecord` lacks. */
export async function* scannedRows(
  scan: (request: ScanRequest) => Promise<Scanned>,
  { site, from, to }: Matching,
): AsyncGenerator<RecordRow[]> {
  let after: string | undefined;
  do {
    const { records, next } = await scan({ site, from, to, after, limit: PAGE_SIZE });
    // The reader of a custom storage may not support the range.
    yield records.filter(({ ms }) => ms >= from && ms <= to);
    after = next;
  } while (after !== undefined);
}
