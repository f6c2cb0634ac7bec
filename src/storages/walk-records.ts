import type { UsageRecord } from '../record.ts';
import type { FoundRecords, MatchingRecordsRequest, StorageReader } from './contract.ts';
import { matches } from './fold-records.ts';

/** Records that are read at once where few of them may match. */
const READ_AT_ONCE = 1_000;
/** Records that are read for one piece: then it ends, however many were found. */
const READ_AT_MOST = 20_000;

/** A place among the records of a range, newest first: behind so many of those with this date. */
interface Place {
  date: number;
  given: number;
}

/**
 * `matchingRecords` for an engine that can only read records by their dates. A piece begins at the date of the last
 * record before it, and leaves out as many of that date as were passed already: what is stored meanwhile moves nothing.
 */
export async function walkRecords(
  reader: Pick<StorageReader, 'usage'>,
  { site, from, to, where, after, limit }: MatchingRecordsRequest,
): Promise<FoundRecords> {
  const size = where.length === 0 ? limit : READ_AT_ONCE;
  const records: UsageRecord[] = [];
  let place = placeOf(after) ?? { date: to, given: 0 };
  for (let read = 0; read < READ_AT_MOST; read += size) {
    const { date, given } = place;
    const piece = await reader.usage({ site, from, to: Math.min(date, to), limit: size, offset: given });
    for (const record of piece) {
      place =
        record.date === place.date ? { ...place, given: place.given + 1 } : { date: record.date, given: 1 };
      if (!matches(record, where)) continue;
      records.push(record);
      if (records.length === limit) return { records, next: textOf(place) };
    }
    if (piece.length < size) return { records, next: undefined };
  }
  return { records, next: textOf(place) };
}

function placeOf(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined;
  const [date, given] = text.split(' ').map(Number) as [number, number];
  return { date, given };
}

function textOf({ date, given }: Place): string {
  return `${date} ${given}`;
}
