import type { Position } from '../../journal/position.ts';
import type { UsageRecord } from '../../record.ts';
import type {
  Keys as FoundKeys,
  FoundRecords,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  PositionRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageSize,
  SumRow,
  SumsRequest,
  UsageRequest,
} from '../../storage/contract.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { recordOf } from '../../storage/record-row.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { searchRecords } from '../../storage/search-records.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import { type Collections, limited } from './collections.ts';
import { matchingRows, parseCursor, range, START, scanRecords } from './find-records.ts';
import { rowOf } from './records.ts';
import { recountBetweenBatches } from './recount.ts';
import { sizeOf } from './size.ts';
import { storedRetention } from './stored-retention.ts';

export class MongoReader implements StorageReader {
  readonly #collections: Collections;
  readonly #folds = new RecordFolds((request, columns) => matchingRows(this.#collections, request, columns));

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

  async position({ journal }: PositionRequest): Promise<Position | undefined> {
    const found = await limited(this.#collections.journals.findOne({ _id: journal }));
    return found ? { position: Number(found.position), ordinal: Number(found.ordinal) } : undefined;
  }

  scan(request: ScanRequest): Promise<Scanned> {
    return scanRecords(this.#collections, request);
  }

  retention(site: string): Promise<StoredRetention> {
    return storedRetention(this.#collections, site);
  }

  recount(request: RecountRequest): Promise<Recount> {
    return recountBetweenBatches(this.#collections, request);
  }

  size(): Promise<StorageSize> {
    return sizeOf(this.#collections);
  }

  async close(): Promise<void> {
    await this.#collections.close();
  }
}
