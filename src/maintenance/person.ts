import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Condition, Measures, Person } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { addMeasures, noMeasures } from '../storage/measures.ts';
import { isForwardedFor, isOf } from '../storage/person.ts';
import type { Calendar } from '../summaries/periods.ts';

/** Number of records read at a time. */
const ROWS_PER_READ = 5_000;
/** Maximum number of address lists that are queried one by one. If there are more, all records are scanned. */
const MAX_LISTS = 10;

/** Sums of a person's records by hour, and their number. */
export interface PersonHours {
  hours: Map<number, Measures>;
  records: number;
}

/** Adds up the records of a person by hour. */
export async function hoursOf(
  reader: CompleteReader,
  site: string,
  zone: Calendar,
  person: Person,
): Promise<PersonHours> {
  const found: PersonHours = { hours: new Map(), records: 0 };
  const add = (ms: number, measures: Measures) => {
    const hour = zone.hourOf(ms);
    const sums = found.hours.get(hour) ?? noMeasures();
    addMeasures(sums, measures);
    found.hours.set(hour, sums);
    found.records += 1;
  };
  const conditions = await conditionsOf(reader, site, person);
  if (conditions === undefined) {
    let after: string | undefined;
    do {
      const page = await reader.scan({ site, after, limit: ROWS_PER_READ });
      for (const row of page.records) {
        if (isOf(person, row)) add(row.ms, measuresOf(row.content_length, row.status, row.duration));
      }
      after = page.next;
    } while (after !== undefined);
    return found;
  }
  for (const where of conditions) {
    let after: string | undefined;
    do {
      const page = await reader.matchingRecords({ site, ...ANY_DATE, where, after, limit: ROWS_PER_READ });
      for (const { date, contentLength, status, duration } of page.records) {
        add(date, measuresOf(contentLength, status, duration));
      }
      after = page.next;
    } while (after !== undefined);
  }
  return found;
}

/**
 * Returns lists of conditions that together select each record of a person once, or `undefined` if there would be too
 * many.
 */
async function conditionsOf(
  reader: CompleteReader,
  site: string,
  { column, value }: Person,
): Promise<Condition[][] | undefined> {
  const own: Condition[] = [{ column, value }];
  if (column !== 'remoteAddr') return [own];
  const { rows } = await reader.matchingKeys({
    ...{ site, ...ANY_DATE, where: [], column: 'forwardedFor' },
    ...{ order: 'hits', search: value, limit: 0, offset: 0 },
  });
  const lists = rows.filter(({ key }) => key !== null && isForwardedFor(key, value));
  if (lists.length > MAX_LISTS) return undefined;
  const others = lists.map(({ key }): Condition[] => [
    { column: 'forwardedFor', value: key },
    { column, value, not: true },
  ]);
  return [own, ...others];
}

function measuresOf(transfer: number, status: number, duration: number): Measures {
  return { hits: 1, transfer, errors: status >= 500 ? 1 : 0, duration };
}
