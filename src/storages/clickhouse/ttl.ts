import { checkOption, checkOptions, isWholeNumber } from '../../options/checks.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';

/** Number of days after which ClickHouse deletes records, and the hours, days and months of the summaries. */
export type Ttl = { readonly [what in 'records' | Period]?: number };

export function checkTtl(ttl: Ttl | undefined): void {
  if (ttl === undefined) return;
  checkOptions('ClickhouseStorage.ttl', ttl, ['records', ...PERIODS]);
  for (const [what, days] of Object.entries(ttl)) {
    checkOption(`ClickhouseStorage.ttl.${what}`, days, isWholeNumber(days, 1), 'a whole number of days');
  }
}

/** Returns the TTL expression as ClickHouse prints it, so that both can be compared. Empty for none. */
export function ttlOfRecords({ records }: Ttl): string {
  return records === undefined ? '' : `toDateTime(date) + toIntervalDay(${records})`;
}

/** Returns the TTL expression of the sums. The journal positions in the same table have none. */
export function ttlOfSums(ttl: Ttl): string {
  return PERIODS.filter((period) => ttl[period] !== undefined)
    .map((period) => `bucket + toIntervalDay(${ttl[period]}) WHERE period = '${period}'`)
    .join(', ');
}
