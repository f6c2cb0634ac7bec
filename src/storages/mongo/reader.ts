import type { UsageRecord } from '../../record.ts';
import type {
  Condition,
  Keys as FoundKeys,
  FoundRecords,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { ANY_DATE, cursorParts, invalidCursor } from '../../storage/cursor.ts';
import { COLUMNS, type FoldedColumn, type FoldedRow, RecordFolds } from '../../storage/fold-records.ts';
import { recordOf } from '../../storage/record-row.ts';
import { searchRecords } from '../../storage/search-records.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import { type Collections, limited } from './collections.ts';
import { rowOf } from './records.ts';

/** Number of documents per read. */
const DOCUMENTS_PER_READ = 1_000;

export class MongoReader implements StorageReader {
  readonly #collections: Collections;
  readonly #folds = new RecordFolds((request, columns) => this.#rows(request, columns));

  constructor(collections: Collections) {
    this.#collections = collections;
  }

  async timeZone(site: string): Promise<string | undefined> {
    const found = await limited(this.#collections.sites.findOne({ _id: site }));
    return found?.time_zone as string | undefined;
  }

  async summaries(site: string): Promise<string[]> {
    const found = await limited(this.#collections.sites.findOne({ _id: site }));
    return ((found?.summaries ?? []) as string[]).sort();
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const documents = await limited(
      this.#collections
        .sums(summary, period)
        // A sum without hits was created for a batch that is still in progress.
        .find({
          site,
          date: range(from, to),
          ...(target !== undefined && { key: target }),
          hits: { $gt: 0 },
        })
        .sort({ date: -1, hits: -1, none: 1, key: 1 })
        .skip(offset)
        .limit(limit)
        .project({ applied: 0 })
        .allowDiskUse(true)
        .toArray(),
    );
    return documents.map(({ date, key, ...sums }) => sumRowOf((date as Date).getTime(), key, sums));
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const documents = await limited(
      this.#collections.records
        .find({ site, date: range(from, to) })
        .sort({ date: -1, _id: -1 })
        .skip(offset)
        .limit(limit)
        .toArray(),
    );
    return documents.map((document) => recordOf(rowOf(document)));
  }

  matchingRecords(request: MatchingRecordsRequest): Promise<FoundRecords> {
    const { site, from, to } = request;
    return searchRecords(async (after, limit) => {
      const { date, id } = after === undefined ? START : parseCursor(after);
      const further = date ? { $or: [{ date: { $lt: date } }, { date, _id: { $lt: id } }] } : {};
      const last = date ? Math.min(to, date.getTime()) : to;
      const documents = await limited(
        this.#collections.records
          .find({ site, date: range(from, last), ...further })
          .sort({ date: -1, _id: -1 })
          .limit(limit)
          .toArray(),
      );
      return documents.map((document) => {
        const row = rowOf(document);
        return { row, cursor: `${row.ms} ${document._id}` };
      });
    }, request);
  }

  matchingKeys(request: MatchingKeysRequest): Promise<FoundKeys> {
    return this.#folds.matchingKeys(request);
  }

  matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    return this.#folds.matchingSeries(request);
  }

  /** Returns the matching rows. The server applies the conditions, and returns only the needed fields. */
  async *#rows(
    { site, from, to, where }: Matching,
    columns: readonly FoldedColumn[],
  ): AsyncGenerator<FoldedRow[]> {
    const conditions = where.map(conditionOf);
    if (conditions.includes(NONE)) return;
    const cursor = this.#collections.records
      .find({ site, date: range(from, to), ...(conditions.length > 0 && { $and: conditions }) })
      .project({ _id: 0, date: 1, ...Object.fromEntries(columns.map((column) => [column, 1])) })
      .batchSize(DOCUMENTS_PER_READ);
    try {
      while (await limited(cursor.hasNext())) {
        const documents = cursor.readBufferedDocuments() as ({ date: Date } & FoldedRow)[];
        yield documents.map((document) => ({ ...document, ms: document.date.getTime() }));
      }
    } finally {
      await cursor.close().catch(() => {});
    }
  }

  async scan({ site, after, limit, from, to }: ScanRequest): Promise<Scanned> {
    const { date, id } = after === undefined ? START : parseCursor(after);
    const further = date ? { $or: [{ date: { $gt: date } }, { date, _id: { $gt: id } }] } : {};
    const isAll = from === undefined && to === undefined;
    const within = isAll ? {} : { date: range(from ?? ANY_DATE.from, to ?? ANY_DATE.to) };
    const documents = await limited(
      this.#collections.records
        .find({ site, ...within, ...further })
        .sort({ date: 1, _id: 1 })
        .limit(limit)
        .toArray(),
    );
    const records = documents.map(rowOf);
    const last = documents.length < limit ? undefined : documents.at(-1)!;
    return { records, next: last && `${records.at(-1)!.ms} ${last._id}` };
  }

  async close(): Promise<void> {
    await this.#collections.close();
  }
}

function range(from: number, to: number): { $gte: Date; $lte: Date } {
  return {
    $gte: new Date(Math.max(Math.ceil(from), ANY_DATE.from)),
    $lte: new Date(Math.min(Math.floor(to), ANY_DATE.to)),
  };
}

/** Condition that no record can meet. */
const NONE = {};

function conditionOf({ column, value }: Condition): object {
  if (column === 'state') {
    return value !== null && /^(?:0|[1-9]\d{0,8})$/.test(value) ? { status: Number(value) } : NONE;
  }
  if (column === 'botName') {
    // Same rule as in `RecordFolds`: a bot's own name, otherwise its user agent.
    return value === null
      ? { $or: [{ bot: { $ne: true } }, { browser: null, user_agent: null }] }
      : { bot: true, $or: [{ browser: value }, { browser: null, user_agent: value }] };
  }
  // Null also matches missing fields.
  return { [COLUMNS[column]]: value };
}

/** Starting position, without a cursor. */
const START = { date: undefined, id: '' };

/** Parses a cursor: the date and the `_id` of the last record before. */
function parseCursor(after: string): { date: Date; id: string } {
  const [ms, id = ''] = cursorParts(after, /^(-?\d{1,16}) ([0-9a-f]{1,64})$/);
  const date = new Date(Number(ms));
  if (Number.isNaN(date.getTime())) throw invalidCursor(after);
  return { date, id };
}
