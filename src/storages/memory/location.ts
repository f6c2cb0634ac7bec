import type { Position } from '../../journal/position.ts';
import { wallClock } from '../../platform/clock.ts';
import type { UsageRecord } from '../../record.ts';
import { recordRows } from '../../storage/batch-rows.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type {
  Batch,
  FoundRecords,
  Keys,
  LeaseRequest,
  Matching,
  MatchingKeysRequest,
  MatchingRecordsRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Person,
  PositionRequest,
  PruneRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
  StorageMaintenance,
  StorageReader,
  StorageSize,
  StorageWriter,
  SumRow,
  SumsRequest,
  TimeZoneRequest,
  UsageRequest,
  VisitorKeyRequest,
  WriterContext,
} from '../../storage/contract.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { pageOf, pageOfKeys } from '../../storage/fold-sums.ts';
import { admitted, admittedCompanions, maxKeysIn } from '../../storage/key-budget.ts';
import { MEASURES, noMeasures } from '../../storage/measures.ts';
import { compareSums, pageOfMatching, pageOfScan, pageOfUsage, type StoredRow } from '../../storage/pages.ts';
import { isOf } from '../../storage/person.ts';
import type { RecordRow } from '../../storage/record-row.ts';
import { recountIn } from '../../storage/recount.ts';
import { PARTS, type StoredRetention } from '../../storage/retention.ts';
import { unknownPart } from '../../storage/size.ts';
import { COVERAGE, OTHERS } from '../../summaries/coverage.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Period } from '../../summaries/periods.ts';

/** Number of records that are folded together. */
const RECORDS_PER_FOLD = 1_000;

/** Sums of a bucket by key. */
type Bucket = Map<string | null, SumRow>;

/** Memory that a `MemoryStorage` writes to and reads from. */
export class MemoryLocation implements StorageReader {
  readonly #maxRecords: number;
  readonly #timeZones = new Map<string, string>();
  readonly #positions = new Map<string, Position>();
  /** Records by site, sorted by date when they are read. */
  readonly #records = new Map<string, StoredRow[]>();
  /** Sums by site and summary, then by period and bucket, then by key. */
  readonly #sums = new Map<string, Map<string, Bucket>>();
  readonly #retention = new Map<string, StoredRetention>();
  /** Exclusive end of the records of a site that were removed because there were too many. In ms since 1970. */
  readonly #trimmed = new Map<string, number>();
  /** Leases by site and task. */
  readonly #leases = new Map<string, { holder: string; until: number }>();
  /** Keys of visitor IDs by site and day. */
  readonly #visitorKeys = new Map<string, Map<string, Uint8Array>>();
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
      apply: async (batch) => this.#apply(context, batch),
      forget: async (journal) => void this.#positions.delete(journal),
      maintenance: this.#maintenanceOf(site),
      visitorKey: async (request) => this.#visitorKey(site, request),
      refuses: () => false,
      close: async () => {},
    };
  }

  #visitorKey(site: string, { day, oldest, proposal }: VisitorKeyRequest): Uint8Array {
    const keys = this.#visitorKeys.get(site) ?? new Map<string, Uint8Array>();
    this.#visitorKeys.set(site, keys);
    for (const stored of keys.keys()) if (stored < oldest) keys.delete(stored);
    const key = keys.get(day) ?? proposal;
    keys.set(day, key);
    return key;
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
    const rows: SumRow[] = [];
    for (const [bucket, keys] of this.#bucketsOf(site, summary)) {
      const [of, start] = partsOf(bucket);
      if (of !== period || start < from || start > to) continue;
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

  async retention(site: string): Promise<StoredRetention> {
    const stored = structuredClone(this.#retention.get(site) ?? {});
    const trimmed = this.#trimmed.get(site);
    if (trimmed === undefined) return stored;
    const { keep = 'forever', before = null } = stored.records ?? {};
    return { ...stored, records: { keep, before: laterOf(before, trimmed) } };
  }

  async position({ journal }: PositionRequest): Promise<Position | undefined> {
    return this.#positions.get(journal);
  }

  async recount(request: RecountRequest): Promise<Recount> {
    const { site, period, from, to } = request;
    // Copied before anything is awaited, so that both are of the same point in time.
    const found = this.#recordsOf({ site }).filter(({ row }) => row.ms >= from && row.ms <= to);
    const records = found.map(({ row }) => row);
    const sums = new Map(
      [request.summary.name, COVERAGE.name].map((name) => [
        name,
        structuredClone([...(this.#bucketsOf(site, name).get(nameOf(period, from))?.values() ?? [])]),
      ]),
    );
    const folds = new RecordFolds(async function* () {
      yield records;
    });
    return recountIn(
      {
        keys: async ({ summary, ...page }) =>
          pageOfKeys(
            sums.get(summary)!.map(({ bucket: _, ...row }) => row),
            page,
          ),
        matchingKeys: (matching) => folds.matchingKeys(matching),
        scan: async (page) => pageOfScan(found, page),
      },
      request,
    );
  }

  async size(): Promise<StorageSize> {
    const counts = { records: 0, hour: 0, day: 0, month: 0 };
    for (const rows of this.#records.values()) counts.records += rows.length;
    for (const buckets of this.#sums.values()) {
      for (const [bucket, keys] of buckets) counts[partsOf(bucket)[0]] += keys.size;
    }
    const parts = PARTS.map((part) => [part, { ...unknownPart(), rows: counts[part] }] as const);
    return {
      ...(Object.fromEntries(parts) as Pick<StorageSize, (typeof PARTS)[number]>),
      texts: unknownPart(),
      free: null,
      total: null,
    };
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

  #bucketsOf(site: string, summary: string): Map<string, Bucket> {
    return this.#sums.get(JSON.stringify([site, summary])) ?? new Map<string, Bucket>();
  }

  #apply(context: WriterContext, batch: Batch): boolean {
    const { site, maxKeys } = context;
    const { journal, from, to, records, deltas } = batch;
    checkTimeZone(context, this.#timeZones.get(site)!, 'memory');
    if ((this.#positions.get(journal)?.position ?? 0) !== from.position) return false;
    const kept = this.#recordsOf({ site });
    for (const row of recordRows(batch)) kept.push({ row, sequence: ++this.#sequence });
    // The sort is stable: records of the same millisecond stay in stored order.
    kept.sort((a, b) => a.row.ms - b.row.ms);
    const trimmed = kept.splice(0, Math.max(0, kept.length - this.#maxRecords)).at(-1);
    // Records of the same millisecond may be left.
    if (trimmed) this.#trimmed.set(site, laterOf(this.#trimmed.get(site), trimmed.row.ms + 1)!);
    this.#records.set(site, kept);
    const changed = new Map<DeltaGroup, DeltaGroup>();
    for (const group of deltas) {
      const keys: ReadonlyMap<string | null, SumRow> =
        this.#bucketsOf(site, group.summary.name).get(nameOf(group.period, group.bucket)) ?? new Map();
      const max = maxKeysIn(maxKeys, group.summary.name, group.period);
      const count = keys.size - Number(keys.has(null)) - Number(keys.has(OTHERS));
      const has = (local: number) => keys.has(records.strings[local]!);
      changed.set(group, admitted(group, records, max, { count, has }));
    }
    for (const group of admittedCompanions(deltas, records, changed)) {
      if (group.key.length === 0) continue;
      const buckets = getOr(this.#sums, JSON.stringify([site, group.summary.name]), () => new Map());
      const name = nameOf(group.period, group.bucket);
      const keys = getOr(buckets, name, () => new Map<string | null, SumRow>());
      add(keys, group, records.strings);
      if (keys.size === 0) buckets.delete(name);
    }
    this.#positions.set(journal, to);
    return true;
  }

  #maintenanceOf(site: string): StorageMaintenance {
    return {
      lease: async (request) => this.#lease(site, request),
      times: async () => ({
        now: undefined,
        newest: this.#recordsOf({ site }).at(-1)?.row.ms,
        retention: this.#retention.get(site) ?? {},
      }),
      retain: async (retention, replaces) => this.#retain(site, retention, replaces),
      prune: async (request) => this.#prune(site, request),
      // Nothing is shared, and what is deleted is gone.
      sweep: async () => false,
      scrub: async () => {},
      erase: async (person, limit) => this.#erase(site, person, limit),
      setTimeZone: async (request) => this.#setTimeZone(site, request),
    };
  }

  #setTimeZone(site: string, { from, to }: TimeZoneRequest): boolean {
    if (![from, to].includes(this.#timeZones.get(site)!)) return false;
    this.#timeZones.set(site, to);
    return true;
  }

  #lease(site: string, { task, holder, ms }: LeaseRequest): boolean {
    const name = JSON.stringify([site, task]);
    const now = wallClock.now();
    const found = this.#leases.get(name);
    if (found && found.holder !== holder && found.until > now) return false;
    this.#leases.set(name, { holder, until: now + ms });
    return true;
  }

  #retain(site: string, retention: StoredRetention, replaces = false): void {
    const stored = this.#retention.get(site) ?? {};
    const merged = PARTS.map((part) => {
      const [old, now] = [stored[part], retention[part]];
      const before = replaces ? now?.before : laterOf(old?.before, now?.before ?? null);
      return [part, now && { keep: now.keep, before: before ?? null }] as const;
    });
    this.#retention.set(site, {
      ...stored,
      ...Object.fromEntries(merged.filter(([, kept]) => kept !== undefined)),
    });
  }

  #prune(site: string, { part, before, limit }: PruneRequest): number {
    if (part === 'records')
      return this.#recordsOf({ site }).splice(0, this.#before(site, before, limit)).length;
    const old = [...this.#sums]
      .filter(([name]) => siteOf(name) === site)
      .flatMap(([, buckets]) => [...buckets].map(([name, keys]) => ({ buckets, name, keys })))
      .filter(({ name }) => partsOf(name)[0] === part && partsOf(name)[1] < before)
      .sort((a, b) => partsOf(a.name)[1] - partsOf(b.name)[1]);
    let deleted = 0;
    for (const { buckets, name, keys } of old) {
      for (const key of [...keys.keys()].slice(0, limit - deleted)) {
        keys.delete(key);
        deleted += 1;
      }
      if (keys.size === 0) buckets.delete(name);
    }
    return deleted;
  }

  /** Returns the number of records before an instant, at most `limit`. */
  #before(site: string, before: number, limit: number): number {
    const first = this.#recordsOf({ site }).findIndex(({ row }) => row.ms >= before);
    return Math.min(first < 0 ? this.#recordsOf({ site }).length : first, limit);
  }

  #erase(site: string, person: Person, limit: number): number {
    let deleted = 0;
    const kept = this.#recordsOf({ site }).filter(({ row }) => {
      if (deleted === limit || !isOf(person, row)) return true;
      deleted += 1;
      return false;
    });
    this.#records.set(site, kept);
    return deleted;
  }
}

/** Adds sums to the keys of a bucket. Removes the keys that then have no hits. */
function add(keys: Bucket, { bucket, ...group }: DeltaGroup, strings: readonly (string | null)[]): void {
  for (let i = 0; i < group.key.length; i++) {
    const key = strings[group.key[i]!]!;
    const row = getOr(keys, key, () => ({ bucket, key, ...noMeasures() }));
    for (const measure of MEASURES) row[measure] += group[measure][i]!;
    if (row.hits === 0) keys.delete(key);
  }
}

/** Returns the name of a bucket. */
function nameOf(period: Period, bucket: number): string {
  return `${period} ${bucket}`;
}

/** Returns the period and the start of a bucket from its name. */
function partsOf(name: string): [period: Period, start: number] {
  const [period, start] = name.split(' ');
  return [period as Period, Number(start)];
}

/** Returns the site of a summary's name in `#sums`. */
function siteOf(name: string): string {
  return (JSON.parse(name) as [string, string])[0];
}

function laterOf(a: number | null | undefined, b: number | null): number | null {
  if (a === null || a === undefined) return b;
  return b === null ? a : Math.max(a, b);
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
