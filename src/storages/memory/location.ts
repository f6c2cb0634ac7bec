import { TrackUsageError } from '../../errors.ts';
import type { Cursor } from '../../journal/position.ts';
import type { UsageRecord } from '../../record.ts';
import { compareKeys } from '../../storage/compare-keys.ts';
import type {
  Batch,
  FoundRecords,
  Keys,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Range,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageWriter,
  SumRow,
  SumsRequest,
  UsageRequest,
  WriterContext,
} from '../../storage/contract.ts';
import { ANY_DATE, cursorNumbers } from '../../storage/cursor.ts';
import { matches, RecordFolds } from '../../storage/fold-records.ts';
import { type RecordRow, rowOfRecord } from '../../storage/record-row.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';

/** Number of records that are folded together. */
const PIECE = 1_000;

interface Kept {
  /** Sequence number of the record. Sorts records of the same millisecond. */
  place: number;
  record: UsageRecord;
  extra: string | null;
}

/** Memory that a `MemoryStorage` writes to and reads from. */
export class MemoryLocation implements StorageReader {
  readonly #maxRecords: number;
  readonly #timeZones = new Map<string, string>();
  readonly #positions = new Map<string, Cursor>();
  /** Records by site, sorted by date when they are read. */
  readonly #records = new Map<string, Kept[]>();
  /** Sums by site and summary, then by period and bucket, then by key. */
  readonly #sums = new Map<string, Map<string, Map<string | null, SumRow>>>();
  readonly #folds = new RecordFolds((request) => this.#rows(request));
  #places = 0;

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  openWriter({ site, timeZone }: WriterContext): StorageWriter {
    const found = this.#timeZones.get(site) ?? timeZone;
    if (found !== timeZone) {
      throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: 'memory', found, wanted: timeZone });
    }
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
    rows.sort((a, b) => b.bucket - a.bucket || b.hits - a.hits || compareKeys(a.key, b.key));
    return structuredClone(page(rows, limit, offset));
  }

  async usage({ site, from, to, limit, offset }: UsageRequest): Promise<UsageRecord[]> {
    const records = this.#dated({ site, from, to }).map(({ record }) => record);
    return structuredClone(page(records.reverse(), limit, offset));
  }

  async scan({ site, after, limit }: ScanRequest): Promise<Scanned> {
    const place = after === undefined ? undefined : placeAt(after);
    const kept = this.#records.get(site) ?? [];
    const behind = place ? kept.filter((each) => compare(each, place) > 0) : kept;
    const found = behind.slice(0, limit);
    return { records: found.map(rowOf), next: found.length < behind.length ? cursorOf(found) : undefined };
  }

  async matchingKeys(request: MatchingKeysRequest): Promise<Keys> {
    return this.#folds.matchingKeys(request);
  }

  async matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    return this.#folds.matchingSeries(request);
  }

  async matchingRecords(request: MatchingRecordsRequest): Promise<FoundRecords> {
    const { where, after, limit } = request;
    const place = after === undefined ? undefined : placeAt(after);
    const behind = this.#dated(request)
      .filter((each) => matches(rowOf(each), where) && (!place || compare(each, place) < 0))
      .reverse();
    const found = behind.slice(0, limit);
    return {
      records: structuredClone(found.map(({ record }) => record)),
      next: found.length < behind.length ? cursorOf(found) : undefined,
    };
  }

  /** Closes the reading end. The memory stays. */
  async close(): Promise<void> {}

  async *#rows(request: Matching): AsyncGenerator<RecordRow[]> {
    const kept = this.#dated(request);
    for (let at = 0; at < kept.length; at += PIECE) yield kept.slice(at, at + PIECE).map(rowOf);
  }

  /** Returns the records in a range, oldest first. */
  #dated({ site, from, to }: { site: string } & Range): Kept[] {
    return (this.#records.get(site) ?? []).filter(({ record: { date } }) => date >= from && date <= to);
  }

  #apply(site: string, { journal, from, to, records, deltas }: Batch): boolean {
    if ((this.#positions.get(journal)?.position ?? 0) !== from.position) return false;
    const kept = this.#records.get(site) ?? [];
    for (let i = 0; i < records.length; i++) {
      const record = records.record(i);
      kept.push({
        place: ++this.#places,
        record: { ...record, date: Math.floor(record.date) },
        extra: records.extra.get(i) ?? null,
      });
    }
    // The sort is stable: records of the same millisecond stay in stored order.
    kept.sort((a, b) => a.record.date - b.record.date);
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

type Place = [date: number, place: number];

/** Returns the cursor of the last record. */
function cursorOf(found: readonly Kept[]): string {
  const { record, place } = found.at(-1)!;
  return `${record.date} ${place}`;
}

function placeAt(after: string): Place {
  return cursorNumbers(after, ANY_DATE, { from: 1, to: Number.MAX_SAFE_INTEGER }) as Place;
}

function rowOf({ record, extra }: Kept): RecordRow {
  return rowOfRecord(record, extra);
}

function compare({ record, place }: Kept, [date, other]: Place): number {
  return record.date - date || place - other;
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function page<T>(rows: T[], limit: number, offset: number): T[] {
  return rows.slice(offset, limit === 0 ? undefined : offset + limit);
}
