import type { RecordBatch } from '../batch.ts';
import type { Position } from '../journal/position.ts';
import type { TextColumn, UsageRecord } from '../record.ts';
import type { Summary } from '../summaries/define.ts';
import type { Deltas } from '../summaries/fold.ts';
import type { Period } from '../summaries/periods.ts';
import type { RecordRow } from './record-row.ts';
import type { Part, Retention, StoredRetention } from './retention.ts';

/**
 * Consecutive records of one journal, and what they add to the summaries.
 *
 * Some batches have no records: a restored export adds sums, a rebuild adds the differences between the records and the
 * sums, and the deletion of a person moves sums from one key to another. Deltas may be negative. A row whose
 * hits become 0 must be removed, so that neither query results nor the database's files still contain its key.
 */
export interface Batch {
  /** ID of the journal. */
  journal: string;
  /** Position of the first record: the one that the storage must have stored. */
  from: Position;
  /** Position after the last record, to be stored with the batch. */
  to: Position;
  /** Records as columns. `recordRows` returns them as rows. */
  records: RecordBatch;
  /** Sums to add, as columns. `deltaRows` returns them as rows. */
  deltas: Deltas;
}

/** Maximum number of keys in a bucket of each summary and period: see `MaxKeysOptions`. */
export interface MaxKeys {
  /** Limits of all summaries. */
  readonly all: Readonly<Record<Period, number>>;
  /** Limits of individual summaries, by name. */
  readonly summaries: Readonly<Record<string, Readonly<Record<Period, number>>>>;
}

/** Settings passed to the writing end of a storage when it is opened. */
export interface WriterContext {
  /** Name of the site to which records and sums belong. */
  site: string;
  /** IANA time zone of the buckets. While it is being changed, the stored text, which begins with `>`: see `calendar`. */
  timeZone: string;
  /** True if a commit must survive a power failure, not only the end of the process. */
  durable: boolean;
  /**
   * Maximum number of keys per bucket. `undefined` for no limit: copies, restored exports and rebuilds add keys that
   * were already admitted.
   */
  maxKeys?: MaxKeys | undefined;
  /**
   * Retention of the storage, for engines that set an expiry when they write. `undefined` keeps everything. Other
   * engines delete in `maintenance.prune`.
   */
  retention?: Retention | undefined;
}

/**
 * Writing end of a storage. Its calls never overlap. It connects and reconnects by itself. A failed call is
 * retried.
 */
export interface StorageWriter {
  /**
   * Set if a retry must use the identical batch, because the engine cannot commit a batch atomically. Each
   * batch is then saved before `apply`, and repeated unchanged until `apply` resolves, if necessary in the
   * next process. Defaults to false: a retry may contain more records.
   */
  readonly replays?: boolean;
  /** Returns the stored position of a journal, or `undefined` if the journal is new. */
  position(journal: string): Promise<Position | undefined>;
  /**
   * Stores the batch and sets the journal's position to `to`, atomically, if the position is `from`.
   * Otherwise stores nothing and returns false: another process stored the batch.
   */
  apply(batch: Batch): Promise<boolean>;
  /**
   * Replaces the keys for which the batch's buckets have no room with `OTHERS`. Required if `replays` is set. Called
   * before the batch is saved, so that a repeated batch has the same keys. Other engines do this in `apply`, in the same
   * transaction.
   */
  admit?(batch: Batch): Promise<Batch>;
  /** Deletes data, for retention and for people. Omitted by a writer that cannot delete data. */
  readonly maintenance?: StorageMaintenance;
  /**
   * Returns the key of a day's visitor IDs. Stores the proposal if the day has no key, so that all processes get the
   * same one. Deletes the keys of days before `oldest`. Omitted if the storage cannot keep keys: visitors then need the
   * option `daily.secret`.
   */
  visitorKey?(request: VisitorKeyRequest): Promise<Uint8Array>;
  /** Removes the position of a journal that no longer exists. */
  forget(journal: string): Promise<void>;
  /**
   * Returns whether the database was removed or replaced at its location. Called about once per second and
   * before a flush completes, possibly during another call, so it must be cheap. If it returns true, the
   * storage is reopened, as after a `StorageReplaced` error.
   */
  isReplaced?(): boolean;
  /**
   * Required if `replays` is set and a database can be emptied or recreated while the writer is open. Called
   * if `position` does not know a journal that was stored up to `at`. Checks and sets up the database as when
   * opening, and adds the journal at `at`. The batch that starts there may be partly stored, and is repeated
   * unchanged. Returns false if the database was never gone and nothing had been stored.
   */
  resume?(journal: string, at: Position): Promise<boolean>;
  /**
   * Returns whether `apply` failed because of its input, so that a retry is useless. The invalid record is
   * then located and set aside. All other errors (offline, locked, full, missing table) are retried
   * indefinitely.
   */
  refuses(error: unknown): boolean;
  /** Closes the connection or file. May be called twice. */
  close(): Promise<void>;
}

/** Requests the key of a day's visitor IDs, for the writer's site: see the option `visitors`. */
export interface VisitorKeyRequest {
  /** Date in the site's time zone, for example `2026-11-30`. */
  day: string;
  /** First date whose key is kept. */
  oldest: string;
  /** Random key of 32 bytes. */
  proposal: Uint8Array;
}

/**
 * Requests a lease, so that only one process at a time performs a task on a site. An engine whose sites share texts may
 * grant `prune` to one process per database.
 */
export interface LeaseRequest {
  /** Name of the task, `prune` or `rebuild`. */
  task: string;
  /** Random ID of the process. The holder renews its lease by requesting it again. */
  holder: string;
  /** Time after which the lease expires, in ms; 0 releases it immediately. */
  ms: number;
}

/** Deletes a limited number of the rows of one part that start before an instant, oldest first. */
export interface PruneRequest {
  /** Records, or the buckets of a period. */
  part: Part;
  /** Exclusive end of the deleted data, in ms since 1970. */
  before: number;
  /** Maximum number of rows to delete, at least 1. An engine that drops a whole partition or bucket may delete more. */
  limit: number;
}

/** Times by which a wrong clock is recognized before it deletes data that has not expired. In ms since 1970. */
export interface StorageTimes {
  /** Time of the server's clock. `undefined` if the storage has no clock other than that of this process. */
  now: number | undefined;
  /** Date of the newest record, at least approximately. `undefined` without records. */
  newest: number | undefined;
  /** Retention in force, as `retain` has stored it. */
  retention: StoredRetention;
}

/** Changes the stored time zone of a site. */
export interface TimeZoneRequest {
  /** Time zone that must be stored, unless `to` is stored already. */
  from: string;
  /**
   * Time zone to store. Begins with `>` while the sums are rebuilt, so that no app can open the site: see `changingTo`.
   * Texts that depend on the previous zone, such as local dates, must then be deleted.
   */
  to: string;
}

/** Person whose records are deleted. */
export interface Person {
  /** Column that identifies the person. */
  column: 'visitor' | 'remoteAddr' | 'username';
  /** Exact value. An address also matches as an element of `forwardedFor`. */
  value: string;
}

/**
 * Deletes data of the writer's site, and changes its time zone. Its calls overlap neither each other nor those of the
 * writer. Each call except `scrub` and `setTimeZone` must be short (about 50 ms), because batches wait meanwhile. All are
 * idempotent.
 */
export interface StorageMaintenance {
  /** Requests a lease. Returns false if another process holds it. */
  lease(request: LeaseRequest): Promise<boolean>;
  /** Returns what the storage knows about the time. */
  times(): Promise<StorageTimes>;
  /**
   * Stores the retention in force, for queries. Called before `prune`.
   * @param replaces True to store the starts of the kept data even if they decrease, because a process with a wrong clock
   * stored the previous ones. Defaults to false: they never decrease.
   */
  retain(retention: StoredRetention, replaces?: boolean): Promise<void>;
  /**
   * Deletes rows. Returns the number of deleted rows; 0 if none are left. Rows of one period never affect those of
   * another.
   */
  prune(request: PruneRequest): Promise<number>;
  /**
   * Deletes a limited number of unreferenced texts, agents, endpoints and bucket dates, and returns freed space to the
   * file system where the engine supports that. Continues where the previous call stopped. Returns false when a pass is
   * complete.
   */
  sweep(): Promise<boolean>;
  /**
   * Stores another time zone, for `track-usage rebuild --time-zone`. Returns false if neither `from` nor `to` is stored.
   * Once it returns true, no batch of a writer with another zone may be in progress. From then on, `apply` of such a
   * writer must throw the error of `checkTimeZone`, even if the writer was opened before. Rejects with `TIME_ZONE_BUSY`,
   * and changes nothing, if a batch remains in progress.
   */
  setTimeZone(request: TimeZoneRequest): Promise<boolean>;
  /** Deletes at most `limit` records of a person. Returns the number of deleted records; 0 if none are left. */
  erase(person: Person, limit: number): Promise<number>;
  /**
   * Removes deleted data from the files of the database, for example from free pages and the write-ahead log. Takes as
   * long as necessary. Called after `sweep` when a person is deleted.
   */
  scrub(): Promise<void>;
}

/** Measures that are added up. Exact up to 2^53 (8 PiB, or 285 years), rounded beyond. */
export interface Measures {
  /** Number of requests. */
  hits: number;
  /** Number of body bytes. */
  transfer: number;
  /** Number of responses with a status of 500 or more. */
  errors: number;
  /** Total duration of all requests, in µs. */
  duration: number;
}

/** Sums of one key in one bucket, as stored. */
export interface SumRow extends Measures {
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
  /** Key, or `null` for the requests without one. */
  key: string | null;
}

/** Range of time. Both ends are inclusive, in ms since 1970. */
export interface Range {
  /** First instant of the range, in ms since 1970. */
  from: number;
  /** Last instant of the range, in ms since 1970. */
  to: number;
}

/** Selects sums of a summary whose buckets start in the range. */
export interface SumsRequest extends Range {
  /** Name of the site. */
  site: string;
  /** Name of the summary, for example `urls`. */
  summary: string;
  /** Period of the buckets. */
  period: Period;
  /** Exact key; `undefined` for all. */
  target: string | null | undefined;
  /** Maximum number of rows; 0 for all. */
  limit: number;
  /** Number of rows to skip. */
  offset: number;
}

/** Selects records of a site whose date is in the range. */
export interface UsageRequest extends Range {
  /** Name of the site. */
  site: string;
  /** Maximum number of records; 0 for all. */
  limit: number;
  /** Number of records to skip. */
  offset: number;
}

/**
 * Buckets of one period whose start is within the range. A time range consists of several spans that do not
 * overlap.
 */
export interface Span extends Range {
  /** Period of the buckets. */
  period: Period;
}

/** Measures by which keys are sorted, in descending order. `average` is the duration per request. */
export const ORDERS = ['hits', 'transfer', 'errors', 'duration', 'average'] as const;
/**
 * Measure by which keys are sorted, in descending order. `average` is the duration per request.
 * @useDeclaredType
 */
export type Order = (typeof ORDERS)[number];

/** Page of the keys found. Ties are sorted by hits (descending), then key (UTF-8 bytes, `null` last). */
export interface KeysPage {
  /** Measure by which the keys are sorted. */
  order: Order;
  /**
   * Part of the key; `undefined` for all keys. A to Z match in either case, all other characters byte by
   * byte.
   */
  search: string | undefined;
  /** Maximum number of keys; 0 for all. */
  limit: number;
  /** Number of keys to skip. */
  offset: number;
}

/** Page of all keys. */
export const EVERY_KEY: KeysPage = { order: 'hits', search: undefined, limit: 0, offset: 0 };

/** Selects the keys of a summary, each added up over all spans. */
export interface KeysRequest extends KeysPage {
  /** Name of the site. */
  site: string;
  /** Name of the summary, for example `urls`. */
  summary: string;
  /** Spans to add up, which do not overlap. */
  spans: readonly Span[];
  /**
   * Start of the days that are kept, in ms since 1970. Earlier days must not be read in place of their month. Defaults
   * to all days.
   */
  daysFrom?: number;
}

/** Sums of one key over a range. */
export interface KeyRow extends Measures {
  /** Key, or `null` for the requests without one. */
  key: string | null;
}

/** Page of keys, with the count and the total of all pages. */
export interface Keys {
  /** Keys of the page. */
  rows: KeyRow[];
  /** Number of matching keys, including `null`. */
  count: number;
  /** Total of all matching keys. */
  total: Measures;
}

/** Selects the total of a summary over all spans. */
export interface TotalRequest {
  /** Name of the site. */
  site: string;
  /** Name of the summary, for example `urls`. */
  summary: string;
  /** Spans to add up, which do not overlap. */
  spans: readonly Span[];
  /** Exact key; `undefined` for all. */
  target: string | null | undefined;
  /** Start of the days that are kept, as in `KeysRequest`. */
  daysFrom?: number;
}

/** Sums of a summary, and the number of its keys. */
export interface Total extends Measures {
  /** Number of distinct keys in all spans, excluding `null`. */
  keys: number;
}

/** Selects the buckets of a summary, each added up over all keys. */
export interface SeriesRequest extends Range {
  /** Name of the site. */
  site: string;
  /** Name of the summary, for example `urls`. */
  summary: string;
  /** Period of the buckets. */
  period: Period;
  /** Exact key; `undefined` for all. */
  target: string | null | undefined;
}

/** Sums of one bucket over all keys, and the number of its keys. */
export interface SeriesRow extends Total {
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
}

/** Required value of a record's column. */
export interface Condition {
  /** Column to compare. `urlKey` is the key in `sumUrls`: the URL, unless the record has another one. */
  column: TextColumn;
  /** Exact value, or `null` for records without one. */
  value: string | null;
  /** True to select the records with any other value. Defaults to false. */
  not?: boolean;
}

/** Selects the records of a site in a range that meet all conditions. */
export interface Matching extends Range {
  /** Name of the site. */
  site: string;
  /** Conditions that all must be met. An empty list matches every record. */
  where: readonly Condition[];
}

/** Selects keys like `KeysRequest`, from the matching records. */
export interface MatchingKeysRequest extends Matching, KeysPage {
  /** Column whose values are the keys. */
  column: TextColumn;
}

/** Selects sums of the matching records for each interval between two bounds. */
export interface MatchingSeriesRequest extends Matching {
  /**
   * Bounds of the intervals in ms since 1970, ascending, at least two. The last is the end of the last
   * interval.
   */
  bounds: readonly number[];
}

/** Sums of the matching records in one interval. */
export interface MatchingRow extends Measures {
  /** Start of the interval, in ms since 1970. */
  bucket: number;
  /** Number of distinct visitors. */
  visitors: number;
  /** Number of requests of bots. */
  bots: number;
}

/** Selects a page of the matching records, newest first. */
export interface MatchingRecordsRequest extends Matching {
  /** `next` of the previous page; `undefined` for the first. */
  after: string | undefined;
  /** Maximum number of records, at least 1. */
  limit: number;
}

/** Page of the matching records, newest first. */
export interface FoundRecords {
  /** At most the requested number of records. A smaller page, even an empty one, need not be the last. */
  records: UsageRecord[];
  /** Start of the next page; `undefined` if there are no more records. */
  next: string | undefined;
}

/** Selects a page of the records of a site, oldest first. */
export interface ScanRequest {
  /** Name of the site. */
  site: string;
  /** First instant of the range, in ms since 1970. Defaults to the oldest record. */
  from?: number | undefined;
  /** Last instant of the range, inclusive, in ms since 1970. Defaults to the newest record. */
  to?: number | undefined;
  /** `next` of the previous page; `undefined` for the first. */
  after: string | undefined;
  /** Maximum number of records, at least 1. */
  limit: number;
}

/** Page of all records, oldest first. */
export interface Scanned {
  /** At most the requested number of records, as rows. */
  records: RecordRow[];
  /** `next` for the following page; `undefined` if there are no more records. */
  next: string | undefined;
}

/** Selects one bucket of a summary, to compare its sums with the records. */
export interface RecountRequest extends Range {
  /** Name of the site. */
  site: string;
  /** Summary, without functions. Its key is a column, a module's function, or was captured with the record. */
  summary: Pick<Summary, 'name' | 'title' | 'column' | 'module' | 'export'>;
  /** Period of the bucket. */
  period: Period;
  // `from` is the start of the bucket, and `to` the last ms before the next one.
}

/** Keys of a bucket as stored and as counted from the records, at one point in time. */
export interface Recount {
  /** Stored sums. */
  stored: KeyRow[];
  /** Sums of the records. */
  counted: KeyRow[];
  /** Stored sums of `COVERAGE`: see there. */
  coverage: KeyRow[];
  /** Number of records in the bucket. */
  records: number;
}

/** Selects the stored position of a journal. */
export interface PositionRequest {
  /** Name of the site whose records the journal contains. */
  site: string;
  /** ID of the journal. */
  journal: string;
}

/** Size of a storage by part, in bytes and rows. Unknown values are `null`. */
export interface StorageSize {
  /** Records, without their texts. */
  records: PartSize;
  /** Hourly sums. */
  hour: PartSize;
  /** Daily sums. */
  day: PartSize;
  /** Monthly sums. */
  month: PartSize;
  /** Texts, user agents and other rows that records and sums share. */
  texts: PartSize;
  /** Free space within the files. */
  free: number | null;
  /** Total, including indexes. */
  total: number | null;
}

/** Size of one part of a storage. Unknown values are `null`. */
export interface PartSize {
  /** Number of rows, possibly estimated. */
  rows: number | null;
  /** Size without indexes, in bytes. */
  bytes: number | null;
  /** Size of the indexes, in bytes. */
  indexes: number | null;
}

/** Reading end of a storage. */
export interface StorageReader {
  /**
   * Returns whether the location of the storage now leads to another database. Called before each query, so it must be
   * cheap. If true, the reading end is closed and reopened.
   */
  isReplaced?(): boolean;
  /**
   * Returns the stored time zone of a site, or `undefined` if it has no stored data yet. Not cached, because it can be
   * changed.
   */
  timeZone(site: string): Promise<string | undefined>;
  /** Returns the names of the stored summaries of a site, sorted by their bytes. */
  summaries(site: string): Promise<string[]>;
  /** Returns rows sorted by bucket (newest first), hits (descending), key (UTF-8 bytes, `null` last). */
  sums(request: SumsRequest): Promise<SumRow[]>;
  /** Returns records, newest first. */
  usage(request: UsageRequest): Promise<UsageRecord[]>;
  /**
   * Returns the records of a site as rows, page by page, for copies and recounts. Each is returned once, oldest first,
   * with ties in stored order.
   */
  scan(request: ScanRequest): Promise<Scanned>;
  /** Returns the retention in force. Optional. Defaults to keeping everything. */
  retention?(site: string): Promise<StoredRetention>;
  /**
   * Returns the stored sums of a bucket, and the sums of its records. Both must be read at the same point in time: each
   * batch is contained completely in both, or in neither. Optional. Defaults to reading them one after the other, which
   * is exact only while nothing is written.
   */
  recount?(request: RecountRequest): Promise<Recount>;
  /** Returns the size of the storage, for all sites. Optional. Defaults to unknown. */
  size?(): Promise<StorageSize>;
  /**
   * Returns whether a text of records or keys of any site contains a search: see `KeysPage.search`. May return true for a
   * text that is no longer in use. Optional. Defaults to true.
   */
  hasText?(search: string): Promise<boolean>;
  /**
   * Returns the stored position of a journal; `undefined` if the journal is new, and `null` if it is unknown. Optional.
   * Defaults to `null`: `storageStatus` then calls the writing end.
   */
  position?(request: PositionRequest): Promise<Position | null | undefined>;
  /** Optional. Defaults to adding up the rows of `sums`. */
  keys?(request: KeysRequest): Promise<Keys>;
  /** Optional. Defaults to adding up the rows of `sums`. */
  total?(request: TotalRequest): Promise<Total>;
  /** Returns nonempty buckets, oldest first. Optional. Defaults to adding up the rows of `sums`. */
  series?(request: SeriesRequest): Promise<SeriesRow[]>;
  /** Returns a page of the matching records, newest first. Records stored between two pages must not move the next one. */
  matchingRecords(request: MatchingRecordsRequest): Promise<FoundRecords>;
  /** Optional. Defaults to reading the matching records and adding them up one by one. */
  matchingKeys?(request: MatchingKeysRequest): Promise<Keys>;
  /** Returns nonempty intervals, oldest first. Optional, with the same default as `matchingKeys`. */
  matchingSeries?(request: MatchingSeriesRequest): Promise<MatchingRow[]>;
  /** Closes the database. May be called twice. */
  close(): Promise<void>;
}

/** Exports of a storage's module. The options are plain data, because they are sent to another thread. */
export interface StorageModule {
  /** Opens the writing end, in the writer's thread. A rejection is reported, and retried with backoff. */
  openWriter(options: unknown, context: WriterContext): Promise<StorageWriter>;
  /** Opens the reading end, in a thread of its own. Omitted by a writer, which cannot be queried. */
  openReader?(options: unknown): Promise<StorageReader>;
}
