import type { UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { SumRow, SumsRequest, UsageRequest } from '../storage/contract.ts';
import type { Calendar } from '../summaries/periods.ts';
import { botsCondition, columnFor } from './conditions.ts';
import { storedIn } from './coverage.ts';
import type { Bots } from './query-types.ts';

/** Number of records read per query. */
const RECORDS_PER_QUERY = 1_000;

/**
 * Counts the sums of people or bots from the records, in the same order and pages as all sums.
 * @param kept Requests to count: the start of the kept records, and the exclusive end. In ms since 1970.
 */
export async function countedSums(
  reader: CompleteReader,
  zone: Calendar,
  request: SumsRequest,
  bots: Exclude<Bots, 'include'>,
  { start: first, end }: { start: number; end: number },
): Promise<SumRow[]> {
  const { site, summary, period, from, to, target, limit, offset } = request;
  const column = columnFor(summary, 'bots');
  const where = [...botsCondition(bots), ...(target === undefined ? [] : [{ column, value: target }])];
  const stored = await storedIn(reader, site, [{ period, from, to: Math.min(to, end - 1) }], bots);
  const found: SumRow[] = [];
  let skip = offset;
  for (const { start } of stored.toReversed()) {
    const left = limit === 0 ? 0 : limit - found.length;
    const next = zone.next(period, start);
    if ((limit > 0 && left === 0) || next <= first) break;
    const { rows, count } = await reader.matchingKeys({
      site,
      from: Math.max(start, first),
      to: Math.min(next, end) - 1,
      where,
      column,
      order: 'hits',
      search: undefined,
      limit: left,
      offset: skip,
    });
    found.push(...rows.map((row) => ({ bucket: start, ...row })));
    skip = Math.max(0, skip - count);
  }
  return found;
}

/** Returns the records of people or bots, newest first, by page number. */
export async function foundUsage(
  reader: CompleteReader,
  { limit, offset, ...range }: UsageRequest,
  bots: Exclude<Bots, 'include'>,
): Promise<UsageRecord[]> {
  const found: UsageRecord[] = [];
  const last = limit === 0 ? Number.POSITIVE_INFINITY : offset + limit;
  let read = 0;
  let after: string | undefined;
  while (read < last) {
    const { records, next } = await reader.matchingRecords({
      ...range,
      where: botsCondition(bots),
      after,
      limit: Math.min(RECORDS_PER_QUERY, last - read),
    });
    found.push(...records.slice(Math.max(0, offset - read)));
    read += records.length;
    if (next === undefined) break;
    after = next;
  }
  return found;
}
