import type { RecordBatch } from '../batch.ts';
import type { Cursor } from '../journal/reader.ts';
import type { TextColumn, UsageRecord } from '../record.ts';
import type { Deltas } from '../summaries/fold.ts';
import type { Period } from '../summaries/periods.ts';
import type { RecordRow } from './record-row.ts';

/** A run of records of one journal, and what they add to the summaries. */
export interface Batch {
  /** The journal's id. */
  journal: string;
  from: Cursor;
  to: Cursor;
  records: RecordBatch;
  deltas: Deltas;
}

/** What the writing end of a storage is told when it is opened. */
export interface WriterContext {
  site: string;
  timeZone: string;
  /** Whether a commit must survive a power failure, not only the end of the process. */
  durable: boolean;
}

/**
 * The writing end of a storage. Its calls never overlap. It connects by itself, again and again where need be: a call
 * that fails is made again.
 */
export interface StorageWriter {
  /**
   * Whether it needs the very batch again after a failure, since its engine cannot commit a batch as one: then each is
   * written down before `apply` gets it, and comes again unchanged until `apply` resolves, in the next process if need
   * be. Defaults to false: the next try may hold more records.
   */
  readonly replays?: boolean;
  /** Where the journal was left, or `undefined` for one that is new here. */
  position(journal: string): Promise<Cursor | undefined>;
  /**
   * Stores the batch and `to` as the journal's position, both or neither, and only where the position is `from`;
   * false where it is not, because somebody else was faster.
   */
  apply(batch: Batch): Promise<boolean>;
  /** The journal exists no longer. */
  forget(journal: string): Promise<void>;
  /**
   * Returns whether the database that it writes to is no longer the one at its place: a file that was removed or
   * replaced. Called about once a second, and before a flush is answered, also while another call is under way: must
   * be cheap. It is then opened again, as after a `StorageReplaced` that a call throws.
   */
  isReplaced?(): boolean;
  /**
   * Needed where it `replays` and a database can be emptied, or made anew, while it writes. Called when `position`
   * does not know a journal that was stored up to `at`. Checks and sets up the database as at opening, and enters the
   * journal at `at`; the batch that begins there may be stored in part, and comes again unchanged. Returns false where
   * it turns out that the database was there all the time, and nothing had been stored.
   */
  resume?(journal: string, at: Cursor): Promise<boolean>;
  /**
   * Whether `apply` failed because of what it was given, so that trying again is useless and the record at fault
   * has to be found and set aside. Everything else (down, locked, full, a table missing) is tried again for ever.
   */
  refuses(error: unknown): boolean;
  close(): Promise<void>;
}

/** The measures that are added up. Exact up to 2^53 (8 PiB, or 285 years), rounded beyond. */
export interface Measures {
  hits: number;
  /** Bytes. */
  transfer: number;
  /** Responses with a status of 500 or more. */
  errors: number;
  /** µs, all requests together. */
  duration: number;
}

/** One key of one bucket, as the storage knows it. */
export interface SumRow extends Measures {
  /** ms since 1970: the bucket's start. */
  bucket: number;
  key: string | null;
}

/** Both ends inclusive, in ms since 1970. */
export interface Range {
  from: number;
  to: number;
}

export interface SumsRequest extends Range {
  site: string;
  summary: string;
  period: Period;
  /** An exact key; `undefined` for all. */
  target: string | null | undefined;
  /** 0 for all. */
  limit: number;
  offset: number;
}

export interface UsageRequest extends Range {
  site: string;
  limit: number;
  offset: number;
}

/** The buckets of one period whose start lies within. Several that share no instant make up a range of time. */
export interface Span extends Range {
  period: Period;
}

/** What keys are ordered by, the largest first; `average` is the time of a request. */
export const ORDERS = ['hits', 'transfer', 'errors', 'duration', 'average'] as const;
export type Order = (typeof ORDERS)[number];

/** Which of the keys that were found are wanted. Ties: hits (most first), then key (UTF-8 bytes, `null` last). */
interface KeysPage {
  order: Order;
  /**
   * Part of the key: A to Z are found in either case, every other character as it is, byte by byte; `undefined` for all
   * keys.
   */
  search: string | undefined;
  /** 0 for all. */
  limit: number;
  offset: number;
}

/** The keys of a summary, each added up over all spans. */
export interface KeysRequest extends KeysPage {
  site: string;
  summary: string;
  spans: readonly Span[];
}

export interface KeyRow extends Measures {
  key: string | null;
}

export interface Keys {
  /** Those of the page. */
  rows: KeyRow[];
  /** How many keys match, `null` among them. */
  count: number;
  /** All keys that match together. */
  total: Measures;
}

/** A summary, added up over all spans. */
export interface TotalRequest {
  site: string;
  summary: string;
  spans: readonly Span[];
  /** An exact key; `undefined` for all. */
  target: string | null | undefined;
}

export interface Total extends Measures {
  /** How many different keys there are in all spans together, `null` not among them. */
  keys: number;
}

/** The buckets of a summary, all keys of each together. */
export interface SeriesRequest extends Range {
  site: string;
  summary: string;
  period: Period;
  /** An exact key; `undefined` for all. */
  target: string | null | undefined;
}

export interface SeriesRow extends Total {
  /** ms since 1970: the bucket's start. */
  bucket: number;
}

/** What a record must have in a column. */
export interface Condition {
  column: TextColumn;
  value: string | null;
}

/** Records of a site whose date lies within and which meet all conditions. */
export interface Matching extends Range {
  site: string;
  where: readonly Condition[];
}

/** As `KeysRequest`, from the records that match. */
export interface MatchingKeysRequest extends Matching, KeysPage {
  column: TextColumn;
}

/** Of the records that match, what falls between each bound and the next; the last bound is the end of the last. */
export interface MatchingSeriesRequest extends Matching {
  /** ms since 1970, ascending, at least two. */
  bounds: readonly number[];
}

export interface MatchingRow extends Measures {
  /** ms since 1970: the bound at which it begins. */
  bucket: number;
  /** How many different cookie visitors there are. */
  visitors: number;
  /** Requests of robots. */
  bots: number;
}

/** Records that match, newest first, a piece at a time. */
export interface MatchingRecordsRequest extends Matching {
  /** The `next` of the piece before; `undefined` for the first. */
  after: string | undefined;
  limit: number;
}

export interface FoundRecords {
  /** Up to as many as were asked for; fewer, or none, does not mean that there are no more. */
  records: UsageRecord[];
  /** Where the next piece begins; `undefined` when there are no more. */
  next: string | undefined;
}

/** A piece of all records of a site, oldest first. */
export interface ScanRequest {
  site: string;
  /** The `next` of the piece before; `undefined` for the first. */
  after: string | undefined;
  limit: number;
}

export interface Scanned {
  records: RecordRow[];
  /** `undefined` when there are no more. */
  next: string | undefined;
}

/** The reading end of a storage. */
export interface StorageReader {
  /**
   * Returns whether its place leads to another database now. Called before each query, must be cheap; it is then closed
   * and opened again.
   */
  isReplaced?(): boolean;
  /** The time zone in which a site is kept; `undefined` where nothing of it is stored yet. */
  timeZone(site: string): Promise<string | undefined>;
  /** The names of the summaries of which something is stored for a site, in the order of their bytes. */
  summaries(site: string): Promise<string[]>;
  /** By bucket (newest first), hits (most first), key (UTF-8 bytes, `null` last). */
  sums(request: SumsRequest): Promise<SumRow[]>;
  /** Newest first. */
  usage(request: UsageRequest): Promise<UsageRecord[]>;
  /** All records of a site in pieces, each once, oldest first and otherwise as they were stored: for copies. */
  scan(request: ScanRequest): Promise<Scanned>;
  /** Where it is left out, the rows of `sums` are added up. */
  keys?(request: KeysRequest): Promise<Keys>;
  /** Where it is left out, the rows of `sums` are added up. */
  total?(request: TotalRequest): Promise<Total>;
  /** Oldest first, without the buckets that are empty. Where it is left out, the rows of `sums` are added up. */
  series?(request: SeriesRequest): Promise<SeriesRow[]>;
  /** The three that search the records. Where one is left out, the records are read, and added up as they come. */
  matchingKeys?(request: MatchingKeysRequest): Promise<Keys>;
  /** Oldest first, without those that are empty. */
  matchingSeries?(request: MatchingSeriesRequest): Promise<MatchingRow[]>;
  matchingRecords?(request: MatchingRecordsRequest): Promise<FoundRecords>;
  close(): Promise<void>;
}

/** What a module that a storage names must export. The options are plain data: they cross to another thread. */
export interface StorageModule {
  openWriter(options: unknown, context: WriterContext): Promise<StorageWriter>;
  /** A writer in the parent's sense has none. */
  openReader?(options: unknown): Promise<StorageReader>;
}
