import type { UsageRecord } from '../record.ts';
import type { FoundRecords, MatchingRecordsRequest, StorageReader } from './contract.ts';
import { ANY_DATE, cursorNumbers } from './cursor.ts';
import { matches } from './fold-records.ts';

/** Records that are read at once where few of them may match. */
const READ_AT_ONCE = 1_000;
const COUNT = { from: 0, to: Number.MAX_SAFE_INTEGER };
/** Records that are read for one piece: then it ends, however many were found. */
const READ_AT_MOST = 20_000;

export interface PlacedRecord {
  record: UsageRecord;
  /** Tells those that come after it. */
  place: string;
}

/** Records of a range, newest first, from behind a place on. */
export type OlderRecords = (after: string | undefined, limit: number) => Promise<PlacedRecord[]>;

/** `matchingRecords` for an engine that can only read records by their dates. */
export async function searchRecords(
  older: OlderRecords,
  { where, after, limit }: MatchingRecordsRequest,
): Promise<FoundRecords> {
  const size = where.length === 0 ? Math.max(limit, 1) : READ_AT_ONCE;
  const records: UsageRecord[] = [];
  let last = after;
  for (let read = 0; read < READ_AT_MOST; read += size) {
    const piece = await older(last, size);
    for (const { record, place } of piece) {
      last = place;
      if (!matches(record, where)) continue;
      records.push(record);
      if (records.length === limit) return { records, next: place };
    }
    if (piece.length < size) return { records, next: undefined };
  }
  return { records, next: last };
}

/**
 * For an engine that has no places for its records: behind so many of a date. Where more of that millisecond are stored
 * meanwhile, one of them may come twice.
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
      return { record, place: `${date} ${given}` };
    });
  };
}
