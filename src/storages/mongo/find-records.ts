import { isClassColumn } from '../../record.ts';
import type { Condition, Matching, Scanned, ScanRequest } from '../../storage/contract.ts';
import { ANY_DATE, cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { COLUMNS, type FoldedColumn, type FoldedRow } from '../../storage/fold-records.ts';
import { type Collections, limited } from './collections.ts';
import { rowOf } from './records.ts';

/** Number of documents per read. */
const DOCUMENTS_PER_READ = 1_000;

/**
 * Returns the matching records. The server applies the conditions, and returns only the needed fields.
 * @param isIncluded Selects records by `_id`. Defaults to all.
 */
export async function* matchingRows(
  { records }: Collections,
  { site, from, to, where }: Matching,
  columns: readonly FoldedColumn[],
  isIncluded?: (id: string) => boolean,
): AsyncGenerator<FoldedRow[]> {
  const conditions = where.map(conditionOf);
  if (conditions.includes(NONE)) return;
  const fields = Object.fromEntries(columns.map((column) => [column, 1]));
  const cursor = records
    .find({ site, date: range(from, to), ...(conditions.length > 0 && { $and: conditions }) })
    .project({ _id: isIncluded === undefined ? 0 : 1, date: 1, ...fields })
    .batchSize(DOCUMENTS_PER_READ);
  try {
    while (await limited(cursor.hasNext())) {
      const documents = cursor.readBufferedDocuments() as ({ _id: string; date: Date } & FoldedRow)[];
      const included = isIncluded ? documents.filter(({ _id }) => isIncluded(_id)) : documents;
      yield included.map((document) => ({ ...document, ms: document.date.getTime() }));
    }
  } finally {
    await cursor.close().catch(() => {});
  }
}

/**
 * Returns a page of all records, oldest first.
 * @param isIncluded Selects records by `_id`. Defaults to all.
 */
export async function scanRecords(
  { records }: Collections,
  { site, after, limit, from, to }: ScanRequest,
  isIncluded: (id: string) => boolean = () => true,
): Promise<Scanned> {
  const { date, id } = after === undefined ? START : parseCursor(after);
  const further = date ? { $or: [{ date: { $gt: date } }, { date, _id: { $gt: id } }] } : {};
  const isAll = from === undefined && to === undefined;
  const within = isAll ? {} : { date: range(from ?? ANY_DATE.from, to ?? ANY_DATE.to) };
  const documents = await limited(
    records
      .find({ site, ...within, ...further })
      .sort({ date: 1, _id: 1 })
      .limit(limit)
      .toArray(),
  );
  const last = documents.length < limit ? undefined : documents.at(-1)!;
  return {
    records: documents.filter(({ _id }) => isIncluded(_id as string)).map(rowOf),
    next: last && `${(last.date as Date).getTime()} ${last._id}`,
  };
}

/** Starting position, without a cursor. */
export const START = { date: undefined, id: '' };

/** Parses a cursor: the date and the `_id` of the last record before. */
export function parseCursor(after: string): { date: Date; id: string } {
  const [ms, id = ''] = cursorParts(after, /^(-?\d{1,16}) ([0-9a-f]{1,64})$/);
  const date = new Date(Number(ms));
  if (Number.isNaN(date.getTime())) throw invalidCursor(after);
  return { date, id };
}

/** Returns the condition that a date is in a range. */
export function range(from: number, to: number): { $gte: Date; $lte: Date } {
  return {
    $gte: new Date(Math.max(Math.ceil(from), ANY_DATE.from)),
    $lte: new Date(Math.min(Math.floor(to), ANY_DATE.to)),
  };
}

/** Condition that no record can meet. */
const NONE = {};

function conditionOf({ not = false, ...same }: Condition): object {
  const condition = equality(same);
  if (!not) return condition;
  return condition === NONE ? {} : { $nor: [condition] };
}

function equality({ column, value }: Pick<Condition, 'column' | 'value'>): object {
  if (column === 'state') {
    return value !== null && /^(?:0|[1-9]\d{0,8})$/.test(value) ? { status: Number(value) } : NONE;
  }
  if (column === 'botName') {
    // Same rule as in `RecordFolds`: a bot's own name, otherwise its user agent.
    return value === null
      ? { $or: [{ bot: { $ne: true } }, { browser: null, user_agent: null }] }
      : { bot: true, $or: [{ browser: value }, { browser: null, user_agent: value }] };
  }
  // A record has the field only if the key is not the URL, which every record has.
  if (column === 'urlKey') {
    return value === null ? NONE : { $or: [{ url_key: value }, { url_key: null, url: value }] };
  }
  if (column === 'notFound') {
    return value === null
      ? { status: { $ne: 404 } }
      : { status: 404, $or: [{ url_key: value }, { url_key: null, url: value }] };
  }
  if (isClassColumn(column)) {
    return value === null
      ? { $or: [{ class: { $ne: column } }, { path: null }] }
      : { class: column, path: value };
  }
  // Null also matches missing fields.
  return { [COLUMNS[column]]: value };
}
