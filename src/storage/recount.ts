import type { Extra } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { TextColumn } from '../record.ts';
import { COVERAGE, coveredBy } from '../summaries/coverage.ts';
import type { KeyFunction, Summary } from '../summaries/define.ts';
import { keysOf } from '../summaries/keys.ts';
import { binOf, companionBase, latencyKey, partsOfLatencyKey } from '../summaries/latency.ts';
import { loadKey } from '../summaries/load-key.ts';
import {
  type Condition,
  EVERY_KEY,
  type KeyRow,
  type Keys,
  type Recount,
  type RecountRequest,
  type StorageReader,
} from './contract.ts';
import { addRecord, textOf } from './fold-records.ts';
import { noMeasures, sumOf } from './measures.ts';
import { type RecordRow, recordOf } from './record-row.ts';

/** Number of records read at a time. */
const ROWS_PER_READ = 5_000;

/**
 * Compares a bucket with its records. Exact only if both are read at the same point in time: an engine calls it in a
 * transaction that sees one state of the database.
 */
export async function recountIn(
  reader: Required<Pick<StorageReader, 'keys' | 'matchingKeys' | 'scan'>>,
  request: RecountRequest,
): Promise<Recount> {
  const { site, summary, period, from, to } = request;
  const spans = [{ period, from, to: from }];
  const sums = async (name: string) => (await reader.keys({ site, summary: name, spans, ...EVERY_KEY })).rows;
  const matching = (column: TextColumn, where: readonly Condition[] = []) =>
    reader.matchingKeys({ site, from, to, where, column, ...EVERY_KEY });
  const stored = await sums(summary.name);
  const coverage = await sums(COVERAGE.name);
  if (summary.column === undefined || companionBase(summary.name) !== undefined) {
    return { stored, coverage, ...(await countRecords(reader, request, stored, coverage)) };
  }
  // Every record has exactly one key.
  const { rows, total } =
    summary.column === 'visitor' ? await visitorsIn(matching) : await matching(summary.column);
  return { stored, counted: rows, coverage, records: total.hits };
}

/**
 * Counts the visitors among the records. Bots are no visitors, but earlier releases stored their records with the ID of
 * one.
 */
async function visitorsIn(
  matching: (column: TextColumn, where: readonly Condition[]) => Promise<Keys>,
): Promise<Pick<Keys, 'rows' | 'total'>> {
  const isPerson: Condition = { column: 'botName', value: null };
  const people = await matching('visitor', [isPerson]);
  const bots = (await matching('botName', [{ ...isPerson, not: true }])).total;
  if (bots.hits === 0) return people;
  const isUnknown = ({ key }: KeyRow) => key === null;
  const unknown = { key: null, ...sumOf([...people.rows.filter(isUnknown), bots]) };
  return {
    rows: [...people.rows.filter((row) => !isUnknown(row)), unknown],
    total: sumOf([people.total, bots]),
  };
}

/** Counts the keys of a custom summary or of a companion, which are in no column, from the records one by one. */
async function countRecords(
  reader: Pick<StorageReader, 'scan'>,
  { site, summary, from, to }: RecountRequest,
  stored: readonly KeyRow[],
  coverage: readonly KeyRow[],
): Promise<Pick<Recount, 'counted' | 'records'>> {
  const { name } = summary;
  const base = companionBase(name);
  const keysOfRow = await keysOfRows({ ...summary, name: base ?? name });
  const counted = new Map<string | null, KeyRow>();
  let records = 0;
  let after: string | undefined;
  do {
    const page = await reader.scan({ site, from, to, after, limit: ROWS_PER_READ });
    for (const row of page.records) {
      // The reader of a custom storage may not support the range.
      if (row.ms < from || row.ms > to) continue;
      records += 1;
      const keys = keysOfRow(row);
      for (const found of keys.length === 0 ? [null] : keys) {
        const key = base === undefined ? found : latencyKey(binOf(row.duration), found);
        const sums = counted.get(key) ?? { key, ...noMeasures() };
        if (base === undefined) addRecord(sums, row);
        else sums.hits += 1;
        counted.set(key, sums);
      }
    }
    after = page.next;
  } while (after !== undefined);
  if (summary.column === undefined && summary.module === undefined) {
    const keyOf = (key: string | null) =>
      base === undefined || key === null ? key : partsOfLatencyKey(key).key;
    const keys = { counted: [...counted.keys()].map(keyOf), stored: stored.map(({ key }) => keyOf(key)) };
    checkCaptured(base ?? name, keys, coverage);
  }
  return { counted: [...counted.values()], records };
}

type KeysOfRow = (row: RecordRow) => readonly string[];

async function keysOfRows(summary: RecountRequest['summary']): Promise<KeysOfRow> {
  const { name, column, module } = summary;
  if (column !== undefined) {
    return (row) => {
      const key = textOf(row, column);
      return key === null ? [] : [key];
    };
  }
  return module === undefined ? capturedKeys(name) : computedKeys(name, (await loadKey(summary)).key);
}

/** Returns the keys that the app's function had returned when the record was captured. */
function capturedKeys(name: string): KeysOfRow {
  return ({ extra }) => (extra === null ? [] : ((JSON.parse(extra) as Extra).keys?.[name] ?? []));
}

function computedKeys(name: string, key: KeyFunction): KeysOfRow {
  return (row) => {
    try {
      return keysOf(key(recordOf(row)));
    } catch (cause) {
      throw new TrackUsageError(
        'SUMMARY_UNCOUNTABLE',
        {
          name,
          reason: `its key function failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        },
        { cause },
      );
    }
  };
}

/**
 * Throws if the keys of a summary are not in the records: a record without a key cannot be distinguished from one that
 * was captured without the summary.
 */
function checkCaptured(
  name: string,
  { counted, stored }: Readonly<Record<'counted' | 'stored', readonly (string | null)[]>>,
  coverage: readonly KeyRow[],
): void {
  const isOmitted = coverage.some(({ key, hits }) => hits > 0 && !coveredBy(key).includes(name));
  const isComputed = stored.some((key) => key !== null) && counted.every((key) => key === null);
  if (!isOmitted && !isComputed) return;
  const reason = isComputed
    ? 'its keys are not in the records'
    : 'some records were captured without it, so their keys are unknown';
  throw new TrackUsageError('SUMMARY_UNCOUNTABLE', { name, reason });
}

/**
 * Creates the error for a bucket that batches change constantly.
 * @param patience Time for which the recount was retried, in ms.
 */
export function recountBusy({ summary, period, from }: RecountRequest, patience: number): TrackUsageError {
  return new TrackUsageError('RECOUNT_BUSY', {
    name: summary.name,
    period,
    bucket: new Date(from).toISOString(),
    reason: `every attempt within ${patience / 1000} s found a batch in progress`,
  });
}

/** Returns whether the keys of a summary can be counted from records that were stored without it. */
export function isRebuildable({
  name,
  column,
  module,
}: Pick<Summary, 'name' | 'column' | 'module'>): boolean {
  // The keys of a companion are those of its summary: `checkCaptured` throws if they are unknown.
  return column !== undefined || module !== undefined || companionBase(name) !== undefined;
}
