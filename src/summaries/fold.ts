import { type CustomKeys, FLAG_BOT, type RecordBatch } from '../batch.ts';
import { COVERAGE, coverageKey } from './coverage.ts';
import type { Summary } from './define.ts';
import { binOf, companionBase, latencyKey, MAX_BINS, withCompanions } from './latency.ts';
import type { Calendar, Period } from './periods.ts';

/**
 * Sums to add to the keys of one bucket of a summary, as columns. `key` contains IDs in the batch's `strings`.
 */
export interface DeltaGroup {
  /** Summary to which the keys belong. */
  summary: Summary;
  /** Period of the bucket. */
  period: Period;
  /** Start of the bucket, in ms since 1970. */
  bucket: number;
  /** Key of each sum, as an ID in the batch's `strings`. */
  key: Int32Array;
  /** Number of requests to add to each key. */
  hits: Float64Array;
  /** Number of body bytes to add to each key. */
  transfer: Float64Array;
  /** Number of responses with a status of 500 or more to add to each key. */
  errors: Float64Array;
  /** Duration to add to each key, in µs. */
  duration: Float64Array;
}

/** Sums that a batch adds, one group for each summary and bucket. */
export type Deltas = readonly DeltaGroup[];

/**
 * Adds up a batch: records to hours, hours to days, and days to months. So each record is processed once, not
 * three times. `COVERAGE`, and the companions of summaries with `latency`, are added to the summaries.
 */
export function fold(records: RecordBatch, summaries: readonly Summary[], calendar: Calendar): DeltaGroup[] {
  if (records.length === 0) return [];
  const hours = indexesByHour(records, calendar);
  const all = withCompanions(summaries);
  // Interned before the rows are created, which have room for all texts of the batch.
  const coverage = coverageOf(records, all);
  const latencyKeys = new LatencyKeys(records);
  const keys = all.map((summary) => latencyKeys.of(summary) ?? keysOf(records, summary));
  const rows = new Rows(records.strings.length);
  const groups: DeltaGroup[] = [];
  for (const [i, summary] of [...all, COVERAGE].entries()) {
    const of = keys[i] ?? coverage;
    const ofHours = hours.map(([bucket, indexes]) => foldHour(records, summary, of, bucket, indexes, rows));
    const ofDays = rollUp(ofHours, 'day', (bucket) => calendar.dayOf(bucket), rows);
    const ofMonths = rollUp(ofDays, 'month', (bucket) => calendar.monthOf(bucket), rows);
    groups.push(...ofHours, ...ofDays, ...ofMonths);
  }
  return groups;
}

function indexesByHour(records: RecordBatch, calendar: Calendar): [hour: number, indexes: Int32Array][] {
  const { length } = records;
  const counts = new Map<number, number>();
  const hourOf = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const hour = calendar.hourOf(records.date[i]!);
    hourOf[i] = hour;
    counts.set(hour, (counts.get(hour) ?? 0) + 1);
  }
  const byHour = new Map<number, Int32Array>();
  for (const [hour, count] of counts) byHour.set(hour, new Int32Array(count));
  for (let i = length - 1; i >= 0; i--) {
    const hour = hourOf[i]!;
    const at = counts.get(hour)! - 1;
    counts.set(hour, at);
    byHour.get(hour)![at] = i;
  }
  return [...byHour].sort(([a], [b]) => a - b);
}

function foldHour(
  records: RecordBatch,
  summary: Summary,
  { first: keys, more }: CustomKeys,
  bucket: number,
  indexes: Int32Array,
  rows: Rows,
): DeltaGroup {
  const { contentLength, duration, status } = records;
  rows.clear();
  if (companionBase(summary.name) !== undefined) {
    for (const index of indexes) {
      rows.add(keys[index]!, 1, 0, 0, 0);
      for (const key of more.get(index) ?? []) rows.add(key, 1, 0, 0, 0);
    }
    return rows.group(summary, 'hour', bucket);
  }
  for (let i = 0; i < indexes.length; i++) {
    const index = indexes[i]!;
    rows.add(keys[index]!, 1, contentLength[index]!, status[index]! >= 500 ? 1 : 0, duration[index]!);
  }
  if (more.size > 0) {
    for (const index of indexes) {
      for (const key of more.get(index) ?? []) {
        rows.add(key, 1, contentLength[index]!, status[index]! >= 500 ? 1 : 0, duration[index]!);
      }
    }
  }
  return rows.group(summary, 'hour', bucket);
}

const NO_MORE: CustomKeys['more'] = new Map();

/** Returns the key of each record. Without keys in a user-defined summary, every key is `null`. */
function keysOf(records: RecordBatch, { name, column }: Summary): CustomKeys {
  if (column === 'urlKey') return { first: urlKeysOf(records), more: NO_MORE };
  if (column !== undefined) return { first: records.text[column], more: NO_MORE };
  return records.customKeys.get(name) ?? sameKey(records, 0);
}

/** Returns the key of each record in `sumUrls`: its `urlKey`, or the URL. By default, no record has a `urlKey`. */
function urlKeysOf({ length, text: { url, urlKey } }: RecordBatch): Int32Array {
  let i = 0;
  while (i < length && urlKey[i] === 0) i++;
  if (i === length) return url;
  const keys = url.slice(0, length);
  for (; i < length; i++) if (urlKey[i] !== 0) keys[i] = urlKey[i]!;
  return keys;
}

/** Keys of a batch's records in companions: the bin of the duration, and the key in the summary. */
class LatencyKeys {
  readonly #records: RecordBatch;
  #bins: Int32Array | undefined;

  constructor(records: RecordBatch) {
    this.#records = records;
  }

  /** Returns the key of each record in a companion; `undefined` for any other summary. */
  of(summary: Summary): CustomKeys | undefined {
    const base = companionBase(summary.name);
    if (base === undefined) return undefined;
    const records = this.#records;
    const { length } = records;
    const { first, more } = keysOf(records, { ...summary, name: base });
    this.#bins ??= Int32Array.from({ length }, (_, i) => binOf(records.duration[i]!));
    const bins = this.#bins;
    // Few requests have a bin and key that no other one has, so their texts are rarely built.
    const ids = new Map<number, number>();
    const idOf = (bin: number, key: number): number => {
      const pair = key * MAX_BINS + bin;
      let id = ids.get(pair);
      if (id === undefined) {
        id = records.intern(latencyKey(bin, records.strings[key]!));
        ids.set(pair, id);
      }
      return id;
    };
    const found: CustomKeys = { first: new Int32Array(length), more: new Map() };
    for (let i = 0; i < length; i++) found.first[i] = idOf(bins[i]!, first[i]!);
    for (const [i, keys] of more)
      found.more.set(
        i,
        keys.map((key) => idOf(bins[i]!, key)),
      );
    return found;
  }
}

/** Returns the key of each record in `COVERAGE`. */
function coverageOf(records: RecordBatch, summaries: readonly Summary[]): CustomKeys {
  const keys = sameKey(records, records.intern(coverageKey(summaries, false)));
  const { flags, length } = records;
  let ofBots = 0;
  for (let i = 0; i < length; i++) {
    if ((flags[i]! & FLAG_BOT) === 0) continue;
    // Most batches of a quiet app have no bots. The engine would store a text without use.
    if (ofBots === 0) ofBots = records.intern(coverageKey(summaries, true));
    keys.first[i] = ofBots;
  }
  return keys;
}

function sameKey({ length }: RecordBatch, key: number): CustomKeys {
  return { first: new Int32Array(length).fill(key), more: NO_MORE };
}

function rollUp(
  groups: readonly DeltaGroup[],
  period: Period,
  bucketOf: (bucket: number) => number,
  rows: Rows,
): DeltaGroup[] {
  const byBucket = new Map<number, DeltaGroup[]>();
  for (const group of groups) {
    const bucket = bucketOf(group.bucket);
    const members = byBucket.get(bucket);
    if (members) members.push(group);
    else byBucket.set(bucket, [group]);
  }
  return [...byBucket].map(([bucket, members]) => {
    const [first] = members;
    if (members.length === 1) return { ...first!, period, bucket };
    rows.clear();
    for (const { key, hits, transfer, errors, duration } of members) {
      for (let i = 0; i < key.length; i++) {
        rows.add(key[i]!, hits[i]!, transfer[i]!, errors[i]!, duration[i]!);
      }
    }
    return rows.group(first!.summary, period, bucket);
  });
}

/** Rows of one bucket, one for each key. Reused for all buckets. */
class Rows {
  #length = 0;
  /**
   * Row of each key. Never cleared: an entry is valid only if its row belongs to this bucket and contains
   * this key.
   */
  readonly #rowOf: Int32Array;
  readonly #key: Int32Array;
  readonly #hits: Float64Array;
  readonly #transfer: Float64Array;
  readonly #errors: Float64Array;
  readonly #duration: Float64Array;

  /**
   * Creates the rows.
   * @param keys Number of possible keys.
   */
  constructor(keys: number) {
    this.#rowOf = new Int32Array(keys);
    this.#key = new Int32Array(keys);
    this.#hits = new Float64Array(keys);
    this.#transfer = new Float64Array(keys);
    this.#errors = new Float64Array(keys);
    this.#duration = new Float64Array(keys);
  }

  clear(): void {
    this.#length = 0;
  }

  add(key: number, hits: number, transfer: number, errors: number, duration: number): void {
    const row = this.#rowOf[key]!;
    if (row < this.#length && this.#key[row] === key) {
      this.#hits[row]! += hits;
      this.#transfer[row]! += transfer;
      this.#errors[row]! += errors;
      this.#duration[row]! += duration;
      return;
    }
    const added = this.#length++;
    this.#rowOf[key] = added;
    this.#key[added] = key;
    this.#hits[added] = hits;
    this.#transfer[added] = transfer;
    this.#errors[added] = errors;
    this.#duration[added] = duration;
  }

  /** Copies the rows to arrays of the exact size, because most summaries have few keys. */
  group(summary: Summary, period: Period, bucket: number): DeltaGroup {
    const end = this.#length;
    return {
      summary,
      period,
      bucket,
      key: this.#key.slice(0, end),
      hits: this.#hits.slice(0, end),
      transfer: this.#transfer.slice(0, end),
      errors: this.#errors.slice(0, end),
      duration: this.#duration.slice(0, end),
    };
  }
}
