import type { CompleteReader } from '../storage/complete-reader.ts';
import { PARTS, type Part, type StoredRetention } from '../storage/retention.ts';
import { COVERAGE } from '../summaries/coverage.ts';
import type { Calendar, Period } from '../summaries/periods.ts';
import { orElse } from './or-else.ts';
import type { Expired, KeptPart } from './query-types.ts';
import type { HourRange } from './range.ts';

/** Start of the kept data of each part, in ms since 1970. `-Infinity` if everything is kept. */
export type Horizons = Readonly<Record<Part, number>>;

export const NO_HORIZONS: Horizons = {
  records: Number.NEGATIVE_INFINITY,
  hour: Number.NEGATIVE_INFINITY,
  day: Number.NEGATIVE_INFINITY,
  month: Number.NEGATIVE_INFINITY,
};

/** Longest extension of a previous period that can still be compared, as a part of its length. */
const MAX_EXTENSION = 1 / 20;

/** A range that is still stored, and the data of the requested one that has expired. */
export interface KeptRange {
  range: HourRange;
  expired: Expired[];
}

/** Returns the parts of a site that are not kept forever. */
export async function keptParts(reader: CompleteReader, site: string, zone: Calendar): Promise<KeptPart[]> {
  const stored = await storedRetention(reader, site);
  return PARTS.flatMap((part) => {
    const { keep = 'forever', before = null } = stored[part] ?? {};
    if (keep === 'forever' && before === null) return [];
    return [{ part, keep, before: before === null ? null : zone.format(before) }];
  });
}

function storedRetention(reader: CompleteReader, site: string): Promise<StoredRetention> {
  return orElse<StoredRetention, StoredRetention>(reader.retention(site), {});
}

/**
 * Returns the start of the kept data of a site. Hours end with days, and days end with months: sums are aligned,
 * even if the calendar of the site has changed since.
 */
export async function horizonsIn(reader: CompleteReader, site: string, zone: Calendar): Promise<Horizons> {
  const stored = await storedRetention(reader, site);
  const start = (part: Part, period: Period): number => {
    const before = stored[part]?.before ?? Number.NEGATIVE_INFINITY;
    if (before === Number.NEGATIVE_INFINITY) return before;
    const bucket = zone.bucketOf(period, before);
    return bucket === before ? before : zone.next(period, bucket);
  };
  const month = start('month', 'month');
  const day = Math.max(start('day', 'month'), month);
  const hour = Math.max(start('hour', 'day'), day);
  // Not aligned: a storage may also remove the oldest records because there are too many, at any time of a day.
  const records = stored.records?.before ?? Number.NEGATIVE_INFINITY;
  return { records, hour, day, month };
}

/**
 * Returns the horizons that matter if nothing is stored before an instant: what never existed has not expired.
 * @param first First month with stored data.
 */
export function withoutEmpty(horizons: Horizons, first: number | undefined): Horizons {
  const { month, ...shorter } = horizons;
  // It is unknown whether there was data in the deleted months.
  if (month !== Number.NEGATIVE_INFINITY) return horizons;
  const since = (horizon: number) =>
    first !== undefined && first >= horizon ? Number.NEGATIVE_INFINITY : horizon;
  return {
    month,
    records: since(shorter.records),
    hour: since(shorter.hour),
    day: since(shorter.day),
  };
}

/** Returns whether any part of the data since an instant has expired. */
export function hasExpired(horizons: Horizons, since: number): boolean {
  return Object.values(horizons).some((horizon) => since < horizon);
}

/**
 * Returns the start of the first month with stored data.
 * @param since Start of the months that are kept.
 */
export async function firstMonth(
  reader: CompleteReader,
  site: string,
  since: number,
): Promise<number | undefined> {
  const all = { from: Math.max(since, -Number.MAX_SAFE_INTEGER), to: Number.MAX_SAFE_INTEGER };
  const request = { site, summary: COVERAGE.name, period: 'month', ...all, target: undefined } as const;
  const [row] = await orElse(reader.series(request), []);
  return row?.bucket;
}

/** Returns the part of a range whose records are kept. */
export function keptRecords(range: HourRange, zone: Calendar, { records }: Horizons): KeptRange {
  return clipped(range, zone, 'records', records);
}

/**
 * Returns the range that the stored sums can answer: its ends are moved outwards to whole days or months where the
 * shorter buckets have expired.
 */
export function keptSums(given: HourRange, zone: Calendar, horizons: Horizons): KeptRange {
  const { range, expired } = clipped(given, zone, 'month', horizons.month);
  const widen = (part: 'hour' | 'day', to: 'day' | 'month'): void => {
    const { start, end } = range;
    if (start >= end) return;
    const horizon = horizons[part];
    if (start < horizon) range.start = zone.bucketOf(to, start);
    const bucket = zone.bucketOf(to, end);
    if (end < horizon && bucket !== end) range.end = zone.next(to, bucket);
    if (range.start === start && range.end === end) return;
    range.open &&= range.end === end;
    expired.push({ part, before: zone.format(horizon), answeredFrom: to });
  };
  widen('day', 'month');
  widen('hour', 'day');
  return { range, expired };
}

/** Returns the shortest period, at least the requested one, whose buckets are kept since the start of a range. */
export function keptPeriod(period: Period, { start }: HourRange, horizons: Horizons): Period {
  const daily = period === 'hour' && start < horizons.hour ? 'day' : period;
  return daily === 'day' && start < horizons.day ? 'month' : daily;
}

/** Returns what has expired of a series that is answered by a longer period than requested. */
export function expiredPeriods(
  asked: Period,
  answered: Period,
  zone: Calendar,
  horizons: Horizons,
): Expired[] {
  if (asked === answered) return [];
  const parts: ('hour' | 'day')[] =
    asked === 'hour' && answered === 'month' ? ['hour', 'day'] : [asked as 'hour'];
  return parts.map((part) => ({ part, before: zone.format(horizons[part]), answeredFrom: answered }));
}

/**
 * Returns a previous period, or `undefined` if what is kept of it cannot be compared: it is incomplete, or much longer
 * in whole days or months.
 */
export function keptBefore(given: HourRange, { range }: KeptRange): HourRange | undefined {
  const added = given.start - range.start + (range.end - given.end);
  const isClipped = range.start > given.start;
  return isClipped || added > MAX_EXTENSION * (given.end - given.start) ? undefined : range;
}

function clipped(range: HourRange, zone: Calendar, part: 'records' | 'month', horizon: number): KeptRange {
  if (range.start >= horizon) return { range: { ...range }, expired: [] };
  return {
    range: { ...range, start: horizon, end: Math.max(range.end, horizon) },
    expired: [{ part, before: zone.format(horizon), answeredFrom: null }],
  };
}
