import type { UsageRecord } from '../record.ts';
import type { DeltaRow } from './batch-rows.ts';
import { compareKeys } from './compare-keys.ts';
import type {
  FoundRecords,
  MatchingRecordsRequest,
  Scanned,
  ScanRequest,
  SumRow,
  SumsRequest,
  UsageRequest,
} from './contract.ts';
import { ANY_DATE, cursorNumbers } from './cursor.ts';
import { matches } from './fold-records.ts';
import { pageOf } from './fold-sums.ts';
import { onlyMeasures } from './measures.ts';
import { type RecordRow, recordOf } from './record-row.ts';

/** A stored record. */
export interface StoredRow {
  /** Record as a row. */
  row: RecordRow;
  /** Number that increases in stored order. */
  sequence: number;
}

/**
 * Implements `StorageReader.sums` for rows in memory.
 * @param rows Sums of the requested site, in any order.
 */
export function pageOfSums(rows: Iterable<DeltaRow>, request: SumsRequest): SumRow[] {
  const { summary, period, from, to, target, limit, offset } = request;
  const found: SumRow[] = [];
  for (const row of rows) {
    if (row.summary !== summary || row.period !== period) continue;
    if (row.bucket < from || row.bucket > to || (target !== undefined && row.key !== target)) continue;
    found.push({ bucket: row.bucket, key: row.key, ...onlyMeasures(row) });
  }
  return pageOf(found.sort(compareSums), limit, offset);
}

/**
 * Implements `StorageReader.usage` for rows in memory.
 * @param rows Records of the requested site, in stored order.
 */
export function pageOfUsage(rows: Iterable<StoredRow>, request: UsageRequest): UsageRecord[] {
  const { from, to, limit, offset } = request;
  const found = sorted(rows).filter(({ row }) => row.ms >= from && row.ms <= to);
  return pageOf(found.reverse(), limit, offset).map(({ row }) => recordOf(row));
}

/**
 * Implements `StorageReader.scan` for rows in memory.
 * @param rows Records of the requested site, in stored order.
 * @param request Page to return.
 */
export function pageOfScan(rows: Iterable<StoredRow>, request: ScanRequest): Scanned {
  const { after, limit, from = ANY_DATE.from, to = ANY_DATE.to } = request;
  const last = after === undefined ? undefined : parseCursor(after);
  const rest = sorted(rows).filter(
    (each) => each.row.ms >= from && each.row.ms <= to && (!last || compare(each, last) > 0),
  );
  const found = rest.slice(0, limit);
  return {
    records: found.map(({ row }) => ({ ...row })),
    next: found.length < rest.length ? cursorOf(found) : undefined,
  };
}

/**
 * Implements `StorageReader.matchingRecords` for rows in memory.
 * @param rows Records of the requested site, in stored order.
 */
export function pageOfMatching(rows: Iterable<StoredRow>, request: MatchingRecordsRequest): FoundRecords {
  const { from, to, where, after, limit } = request;
  const last = after === undefined ? undefined : parseCursor(after);
  const rest = sorted(rows)
    .filter((each) => each.row.ms >= from && each.row.ms <= to && (!last || compare(each, last) < 0))
    .filter(({ row }) => matches(row, where))
    .reverse();
  const found = rest.slice(0, limit);
  return {
    records: found.map(({ row }) => recordOf(row)),
    next: found.length < rest.length ? cursorOf(found) : undefined,
  };
}

/** Compares sums for sorting: bucket (newest first), hits (descending), key (UTF-8 bytes, `null` last). */
export function compareSums(a: SumRow, b: SumRow): number {
  return b.bucket - a.bucket || b.hits - a.hits || compareKeys(a.key, b.key);
}

/** Returns the rows by date. The sort is stable, so records of the same millisecond stay in stored order. */
function sorted(rows: Iterable<StoredRow>): StoredRow[] {
  return [...rows].sort((a, b) => a.row.ms - b.row.ms);
}

type RecordPosition = [ms: number, sequence: number];

function compare({ row, sequence }: StoredRow, [ms, other]: RecordPosition): number {
  return row.ms - ms || sequence - other;
}

/** Returns the cursor of the last row. */
function cursorOf(rows: readonly StoredRow[]): string {
  const { row, sequence } = rows.at(-1)!;
  return `${row.ms} ${sequence}`;
}

function parseCursor(after: string): RecordPosition {
  return cursorNumbers(after, ANY_DATE, { from: 0, to: Number.MAX_SAFE_INTEGER }) as RecordPosition;
}
