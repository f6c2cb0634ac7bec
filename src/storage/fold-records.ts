import { TrackUsageError } from '../errors.ts';
import { monotonicClock } from '../platform/clock.ts';
import {
  DERIVED_COLUMNS,
  type DerivedColumn,
  isClassColumn,
  TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts';
import type {
  Condition,
  KeyRow,
  Keys,
  Matching,
  MatchingKeysRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Measures,
} from './contract.ts';
import { pageOfKeys } from './fold-sums.ts';
import { noMeasures } from './measures.ts';
import type { RecordRow } from './record-row.ts';

/** Part of a record that a query needs. Missing values are `null`. */
export type FoldedRow = Partial<Omit<RecordRow, 'ms' | 'bot'>> & {
  ms: number;
  bot?: number | boolean | null;
};

/** Columns that a query may need besides the date. */
export type FoldedColumn = Exclude<keyof RecordRow, 'ms' | 'site' | 'authorization' | 'extra' | 'received'>;

/**
 * Reads the records of a range, in chunks and in any order. May return more records and columns than
 * requested.
 */
export type ReadRows = (
  request: Matching,
  columns: readonly FoldedColumn[],
) => AsyncIterable<readonly FoldedRow[]>;

/** Maximum time that one query may read. In ms. */
const MAX_READ_TIME = 30_000;
/** Maximum number of distinct keys, or visitors per bucket, of one query. */
const MAX_TEXTS = 1_000_000;
/** Maximum total length of these texts, in UTF-16 units. */
const MAX_TOTAL_LENGTH = 64 * 1024 * 1024;

const MEASURED = ['content_length', 'status', 'duration'] as const;

/**
 * Implements `matchingKeys` and `matchingSeries` for an engine that only returns records. Records are
 * processed one by one. Memory use grows with the number of keys and visitors, not with the number of
 * records.
 */
export class RecordFolds {
  readonly #read: ReadRows;

  constructor(read: ReadRows) {
    this.#read = read;
  }

  async matchingKeys(request: MatchingKeysRequest): Promise<Keys> {
    const { where, column } = request;
    const keys = new Map<string | null, KeyRow>();
    const budget = new Budget('keys');
    for await (const rows of this.#pieces(request, columnsOf(column), budget)) {
      for (const row of rows) {
        if (!matches(row, where)) continue;
        const key = textOf(row, column);
        let found = keys.get(key);
        if (!found) {
          budget.add(key);
          found = { key, ...noMeasures() };
          keys.set(key, found);
        }
        addRecord(found, row);
      }
    }
    return pageOfKeys([...keys.values()], request);
  }

  async matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    const { where, bounds } = request;
    const from = Math.max(request.from, bounds[0]!);
    const to = Math.min(request.to, Math.ceil(bounds.at(-1)!) - 1);
    if (from > to) return [];
    const found = new Map<number, MatchingRow & { seen: Set<string> }>();
    const budget = new Budget('visitors');
    for await (const rows of this.#pieces({ ...request, from, to }, ['visitor', 'bot'], budget)) {
      for (const row of rows) {
        if (row.ms < from || row.ms > to || !matches(row, where)) continue;
        const bucket = bounds[lastBound(bounds, row.ms)]!;
        let sums = found.get(bucket);
        if (!sums) {
          sums = { bucket, ...noMeasures(), visitors: 0, bots: 0, seen: new Set() };
          found.set(bucket, sums);
        }
        addRecord(sums, row);
        if (row.bot) sums.bots += 1;
        const visitor = row.visitor ?? null;
        if (visitor === null || sums.seen.has(visitor)) continue;
        budget.add(visitor);
        sums.seen.add(visitor);
      }
    }
    return [...found.values()]
      .sort((a, b) => a.bucket - b.bucket)
      .map(({ seen, ...row }) => ({ ...row, visitors: seen.size }));
  }

  async *#pieces(
    { site, from, to, where }: Matching,
    needed: readonly FoldedColumn[],
    budget: Budget,
  ): AsyncGenerator<readonly FoldedRow[]> {
    const columns = new Set([...MEASURED, ...needed, ...where.flatMap(({ column }) => columnsOf(column))]);
    for await (const rows of this.#read({ site, from, to, where }, [...columns])) {
      budget.checkTime();
      yield rows;
    }
  }
}

/** Limits of one query. */
class Budget {
  readonly #what: string;
  readonly #begin = monotonicClock.now();
  #texts = 0;
  #length = 0;

  constructor(what: string) {
    this.#what = what;
  }

  add(text: string | null): void {
    this.#texts += 1;
    this.#length += text?.length ?? 0;
    if (this.#texts <= MAX_TEXTS && this.#length <= MAX_TOTAL_LENGTH) return;
    throw tooLarge(
      `has more than ${MAX_TEXTS} different ${this.#what}, or ${MAX_TOTAL_LENGTH} characters of them`,
    );
  }

  checkTime(): void {
    if (monotonicClock.now() - this.#begin > MAX_READ_TIME)
      throw tooLarge(`took longer than ${MAX_READ_TIME} ms`);
  }
}

function tooLarge(reason: string): TrackUsageError {
  return new TrackUsageError('QUERY_TOO_LARGE', { reason });
}

/** Adds a record to sums, in place. */
export function addRecord(sums: Measures, { content_length, status, duration }: FoldedRow): void {
  sums.hits += 1;
  sums.transfer += content_length ?? 0;
  if (status !== undefined && status >= 500) sums.errors += 1;
  sums.duration += duration ?? 0;
}

/**
 * Returns the index of the last bound that the date has reached. The first bound is never later than the
 * date.
 */
function lastBound(bounds: readonly number[], date: number): number {
  let [low, high] = [0, bounds.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (bounds[middle]! <= date) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Returns whether a record meets all conditions. */
export function matches(row: FoldedRow, where: readonly Condition[]): boolean {
  return where.every(({ column, value, not = false }) => (textOf(row, column) === value) !== not);
}

/** Returns the row columns that hold the text of a record's column. */
function columnsOf(column: TextColumn): FoldedColumn[] {
  if (column === 'state') return ['status'];
  if (column === 'botName') return ['bot', 'browser', 'user_agent'];
  if (column === 'urlKey') return ['url_key', 'url'];
  if (column === 'notFound') return ['status', 'url_key', 'url'];
  if (isClassColumn(column)) return ['class', 'path'];
  return [COLUMNS[column]];
}

/** Returns the text of a column of a record. */
export function textOf(row: FoldedRow, column: TextColumn): string | null {
  if (column === 'state') return String(row.status);
  if (column === 'botName') return row.bot ? (row.browser ?? row.user_agent ?? null) : null;
  if (column === 'urlKey') return row.url_key ?? row.url ?? null;
  if (column === 'notFound') return row.status === 404 ? (row.url_key ?? row.url ?? null) : null;
  if (isClassColumn(column)) return row.class === column ? (row.path ?? null) : null;
  return row[COLUMNS[column]] ?? null;
}

/** Row columns that hold a text unchanged. */
export const COLUMNS = Object.fromEntries(
  TEXT_COLUMNS.filter((column) => !(DERIVED_COLUMNS as readonly string[]).includes(column)).map((column) => [
    column,
    column === 'agent' ? 'user_agent' : column.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
) as Record<Exclude<TextColumn, DerivedColumn>, Exclude<FoldedColumn, (typeof MEASURED)[number] | 'bot'>>;
