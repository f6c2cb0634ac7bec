import type { Position } from '../../journal/position.ts';
import type { UsageRecord } from '../../record.ts';
import { recordRows } from '../../storage/batch-rows.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type {
  Batch,
  FoundRecords,
  Keys,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageWriter,
  SumRow,
  SumsRequest,
  UsageRequest,
  WriterContext,
} from '../../storage/contract.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { pageOf } from '../../storage/fold-sums.ts';
import { compareSums, pageOfMatching, pageOfScan, pageOfUsage, type StoredRow } from '../../storage/pages.ts';
import type { RecordRow } from '../../storage/record-row.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';

/** Number of records that are folded together. */
const RECORDS_PER_FOLD = 1_000;

/** Memory that a `MemoryStorage` writes to and reads from. */
export class MemoryLocation implements StorageReader {
  readonly #maxRecords: number;
  readonly #timeZones = new Map<string, string>();
  readonly #positions = new Map<string, Position>();
  /** Records by site, sorted by date when they are read. */
  readonly #records = new Map<string, StoredRow[]>();
  /** Sums by site and summary, then by period and bucket, then by key. */
  readonly #sums = new Map<string, Map<string, Map<string | null, SumRow>>>();
  readonly #folds = new RecordFolds((request) => this.#rows(request));
  #sequence = 0;

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  openWriter(context: WriterContext): StorageWriter {
    const { site, timeZone } = context;
    checkTimeZone(context, this.#timeZones.get(site) ?? timeZone, 'memory');
    this.#timeZones.set(site, timeZone);
    return {
      position: async (journal) => this.#positions.get(journal),
      apply: async (batch) => this.#apply(site, batch),
      forget: async (journal) => void this.#positions.delete(journal),
      refuses: () => false,
      close: async () => {},
    };
  }

  async timeZone(site: string): Promise<string | undefined> {
    return this.#timeZones.get(site);
  }

  async summaries(site: string): Promise<string[]> {
    const names = [...this.#sums.keys()].map((key) => JSON.parse(key) as [string, string]);
    return names
      .filter(([of]) => of === site)
      .map(([, name]) => name)
      .sort();
  }

  async sums(request: SumsRequest): Promise<SumRow[]> {
    const { site, summary, period, from, to, target, limit, offset } = request;
    const buckets = this.#sums.get(JSON.stringify([site, summary])) ?? new Map();
    const rows: SumRow[] = [];
    for (const [bucket, keys] of buckets as Map<string, Map<string | null, SumRow>>) {
      const [of, start] = bucket.split(' ');
      if (of !== period || Number(start) < from || Number(start) > to) continue;
      if (target === undefined) rows.push(...keys.values());
      else if (keys.has(target)) rows.push(keys.get(target)!);
    }
    return structuredClone(pageOf(rows.sort(compareSums), limit, offset));
  }

  async usage(request: UsageRequest): Promise<UsageRecord[]> {
    return pageOfUsage(this.#recordsOf(request), request);
  }

  async scan(request: ScanRequest): Promise<Scanned> {
    return pageOfScan(this.#recordsOf(request), request);
  }

  async matchingRecords(request: MatchingRecordsRequest): Promise<FoundRecords> {
    return pageOfMatching(this.#recordsOf(request), request);
  }

  async matchingKeys(request: MatchingKeysRequest): Promise<Keys> {
    return this.#folds.matchingKeys(request);
  }

  async matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    return this.#folds.matchingSeries(request);
  }

  /** Closes the reading end. The memory stays. */
  async close(): Promise<void> {}

  async *#rows({ site, from, to }: Matching): AsyncGenerator<RecordRow[]> {
    const rows = this.#recordsOf({ site })
      .map(({ row }) => row)
      .filter(({ ms }) => ms >= from && ms <= to);
    for (let at = 0; at < rows.length; at += RECORDS_PER_FOLD) yield rows.slice(at, at + RECORDS_PER_FOLD);
  }

  #recordsOf({ site }: { site: string }): StoredRow[] {
    return this.#records.get(site) ?? [];
  }

  #apply(site: string, batch: Batch): boolean {
    const { journal, from, to, records, deltas } = batch;
    if ((this.#positions.get(journal)?.position ?? 0) !== from.position) return false;
    const kept = this.#recordsOf({ site });
    for (const row of recordRows(batch)) kept.push({ row, sequence: ++this.#sequence });
    // The sort is stable: records of the same millisecond stay in stored order.
    kept.sort((a, b) => a.row.ms - b.row.ms);
    kept.splice(0, Math.max(0, kept.length - this.#maxRecords));
    this.#records.set(site, kept);
    for (const group of deltas) this.#add(site, group, records.strings);
    this.#positions.set(journal, to);
    return true;
  }

  #add(site: string, group: DeltaGroup, strings: readonly (string | null)[]): void {
    if (group.key.length === 0) return;
    const buckets = getOr(this.#sums, JSON.stringify([site, group.summary.name]), () => new Map());
    const keys = getOr(buckets, `${group.period} ${group.bucket}`, () => new Map<string | null, SumRow>());
    for (let i = 0; i < group.key.length; i++) {
      const key = strings[group.key[i]!]!;
      const row = getOr(keys, key, () => ({
        bucket: group.bucket,
        key,
        hits: 0,
        transfer: 0,
        errors: 0,
        duration: 0,
      }));
      row.hits += group.hits[i]!;
      row.transfer += group.transfer[i]!;
      row.errors += group.errors[i]!;
      row.duration += group.duration[i]!;
    }
  }
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
