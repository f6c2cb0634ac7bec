import type { TextColumn, UsageRecord } from '../record.ts';
import type {
  Condition,
  KeyRow,
  Keys,
  MatchingKeysRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Measures,
} from './contract.ts';
import { addTo, pageOfKeys } from './fold-sums.ts';
import { addMeasures, noMeasures } from './measures.ts';

/** Answers from records that lie in memory, all of the range, oldest first. */

export function matchingKeys(records: readonly UsageRecord[], request: MatchingKeysRequest): Keys {
  const keys = new Map<string | null, KeyRow>();
  for (const record of matching(records, request.where)) {
    addTo(keys, { key: textOf(record, request.column), ...measuresOf(record) });
  }
  return pageOfKeys([...keys.values()], request);
}

export function matchingSeries(
  records: readonly UsageRecord[],
  { where, bounds }: MatchingSeriesRequest,
): MatchingRow[] {
  const rows = new Map<number, MatchingRow & { seen: Set<string> }>();
  for (const record of matching(records, where)) {
    const bucket = bounds.findLast((bound) => bound <= record.date);
    if (bucket === undefined || bucket === bounds.at(-1)) continue;
    let row = rows.get(bucket);
    if (!row) {
      row = { bucket, ...noMeasures(), visitors: 0, bots: 0, seen: new Set() };
      rows.set(bucket, row);
    }
    addMeasures(row, measuresOf(record));
    if (record.bot) row.bots += 1;
    if (record.visitor !== null) row.seen.add(record.visitor);
  }
  return [...rows.values()]
    .sort((a, b) => a.bucket - b.bucket)
    .map(({ seen, ...row }) => ({ ...row, visitors: seen.size }));
}

function matching(records: readonly UsageRecord[], where: readonly Condition[]): UsageRecord[] {
  return records.filter((record) => matches(record, where));
}

/** Whether a record meets all conditions. */
export function matches(record: UsageRecord, where: readonly Condition[]): boolean {
  return where.every(({ column, value }) => textOf(record, column) === value);
}

function measuresOf({ contentLength, status, duration }: UsageRecord): Measures {
  return { hits: 1, transfer: contentLength, errors: status >= 500 ? 1 : 0, duration };
}

/** The text of a record's column. */
function textOf(record: UsageRecord, column: TextColumn): string | null {
  switch (column) {
    case 'agent':
      return record.userAgent?.string ?? null;
    case 'browser':
    case 'version':
    case 'platform':
      return record.userAgent?.[column] ?? null;
    case 'state':
      return String(record.status);
    case 'robot':
      return record.bot ? (record.userAgent?.browser ?? record.userAgent?.string ?? null) : null;
    default:
      return record[column];
  }
}
