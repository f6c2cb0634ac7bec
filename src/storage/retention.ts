import { show, TrackUsageError } from '../errors.ts';
import { checkOptions } from '../options/checks.ts';
import { type Calendar, PERIODS, type Period } from '../summaries/periods.ts';

/** Parts of a storage, each with its own retention period. */
export const PARTS = ['records', ...PERIODS] as const;
/**
 * Part of a storage with its own retention period: the records, or the buckets of a period.
 * @useDeclaredType
 */
export type Part = (typeof PARTS)[number];

/**
 * Retention period of a part: a number of hours, days, months or years, such as `36h`, `90d`, `18mo` or `2y`, or
 * `forever`.
 */
export type KeepTime = `${number}${'h' | 'd' | 'mo' | 'y'}` | 'forever';

/**
 * Retention periods of a storage. Records and hours are deleted in whole days, days and months in whole months, so each
 * is kept for at least its period. Hours cannot be kept longer than days, nor days longer than months.
 */
export interface RetentionOptions {
  /** Retention period of the records. Defaults to `90d`. */
  records?: KeepTime;
  /** Retention period of the hours of summaries. Defaults to `90d`. */
  hour?: KeepTime;
  /** Retention period of the days of summaries. Defaults to `forever`. */
  day?: KeepTime;
  /** Retention period of the months of summaries. Defaults to `forever`. */
  month?: KeepTime;
}

/** Complete retention of a storage. */
export type Retention = Readonly<Record<Part, KeepTime>>;

/** Retention in force, as stored: the period of each part, and the start of the data that is kept. */
export type StoredRetention = {
  readonly [part in Part]?: {
    /** Retention period of the part, as configured. */
    keep: KeepTime;
    /** Exclusive end of the data that has been or is being deleted, in ms since 1970; `null` if there is none. */
    before: number | null;
  };
};

/** Retention that keeps everything. */
export const KEEP_ALL: Retention = { records: 'forever', hour: 'forever', day: 'forever', month: 'forever' };

const DEFAULTS: Retention = { records: '90d', hour: '90d', day: 'forever', month: 'forever' };
const EXPECTED = 'a period such as "36h", "90d", "18mo" or "2y", or "forever"';
const TIME = /^([1-9]\d{0,5})(h|d|mo|y)$/;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Minimum length of each unit of a retention period, in ms. */
const SHORTEST: Readonly<Record<string, number>> = { h: HOUR, d: DAY, mo: 28 * DAY, y: 365 * DAY };
/** Maximum length of each unit of a retention period, in ms. */
export const LONGEST: Readonly<Record<string, number>> = { h: HOUR, d: DAY, mo: 31 * DAY, y: 366 * DAY };
/** Last instant that `Date` supports, in ms since 1970. Negated, it is the first one. */
const LAST_DATE = 8.64e15;

/** Returns the retention period of each part: the stored one, or else `forever`. */
export function keepTimesOf(stored: StoredRetention): Retention {
  const retention = { ...KEEP_ALL };
  for (const part of PARTS) retention[part] = stored[part]?.keep ?? 'forever';
  return retention;
}

/** Checks the option `retention` and adds the defaults. `false` keeps everything. */
export function retentionOf(options: RetentionOptions | false | undefined): Retention {
  if (options === false) return KEEP_ALL;
  if (options !== undefined) checkOptions('retention', options, PARTS);
  const retention = { ...DEFAULTS };
  for (const part of PARTS) {
    const keep: unknown = options?.[part];
    if (keep === undefined) continue;
    if (keep !== 'forever' && !(typeof keep === 'string' && TIME.test(keep))) {
      throw new TrackUsageError('OPTION_INVALID', {
        name: `retention.${part}`,
        value: show(keep),
        expected: EXPECTED,
      });
    }
    retention[part] = keep as KeepTime;
  }
  // Queries fall back from hours to days, and from days to months.
  for (const [shorter, longer] of [['hour', 'day'] as const, ['day', 'month'] as const]) {
    if (!mayBeLonger(retention[shorter], retention[longer])) continue;
    throw new TrackUsageError('OPTION_INVALID', {
      name: `retention.${longer}`,
      value: show(retention[longer]),
      expected: `a period that is not shorter than that of "${shorter}" (${retention[shorter]})`,
    });
  }
  return retention;
}

/** Returns whether a period can be longer than another one, depending on the date. */
function mayBeLonger(keep: KeepTime, other: KeepTime): boolean {
  if (other === 'forever') return false;
  const [months, otherMonths] = [monthsOf(keep), monthsOf(other)];
  if (months !== undefined && otherMonths !== undefined) return months > otherMonths;
  return lengthOf(keep, LONGEST) > lengthOf(other, SHORTEST);
}

function monthsOf(keep: KeepTime): number | undefined {
  const [, count, unit] = TIME.exec(keep) ?? [];
  if (unit === 'mo') return Number(count);
  return unit === 'y' ? 12 * Number(count) : undefined;
}

/** Returns the length of a period in ms, from the lengths of the units. */
function lengthOf(keep: KeepTime, lengths: Readonly<Record<string, number>>): number {
  const [, count, unit] = TIME.exec(keep) ?? [];
  if (unit === undefined) return Number.POSITIVE_INFINITY;
  const months = monthsOf(keep);
  if (months === undefined) return Number(count) * lengths[unit]!;
  return Math.floor(months / 12) * lengths.y! + (months % 12) * lengths.mo!;
}

/**
 * Returns the start of the kept data of each part, aligned to days (records and hours) or months (days and months), in
 * ms since 1970. Parts that are kept forever are omitted.
 */
export function horizonsOf(retention: Retention, zone: Calendar, now: number): Partial<Record<Part, number>> {
  const horizons: Partial<Record<Part, number>> = {};
  for (const part of PARTS) {
    const [, count, unit] = TIME.exec(retention[part]) ?? [];
    if (unit === undefined) continue;
    const start = back(now, Number(count), unit);
    horizons[part] = zone.bucketOf(ALIGNED_TO[part], start);
  }
  return horizons;
}

/**
 * Returns the instant from which a bucket is before the horizon of its part and may be deleted, in ms since 1970;
 * `Infinity` if it is kept forever.
 * @param bucket Start of the bucket, or the date of a record.
 */
export function keptUntil(retention: Retention, part: Part, zone: Calendar, bucket: number): number {
  const [, count, unit] = TIME.exec(retention[part]) ?? [];
  if (unit === undefined) return Number.POSITIVE_INFINITY;
  const aligned = ALIGNED_TO[part];
  const end = zone.next(aligned, zone.bucketOf(aligned, bucket));
  if (unit === 'h' || unit === 'd') return end + Number(count) * SHORTEST[unit]!;
  const date = new Date(end);
  // 31 January plus a month overflows to 3 March. That is late enough: a month earlier is not before 31 January.
  date.setUTCMonth(date.getUTCMonth() + (unit === 'mo' ? Number(count) : 12 * Number(count)));
  return Number.isNaN(date.getTime()) ? LAST_DATE : date.getTime();
}

/** Period to whose buckets the deleted data of a part is aligned. */
export const ALIGNED_TO: Readonly<Record<Part, Period>> = {
  records: 'day',
  hour: 'day',
  day: 'month',
  month: 'month',
};

function back(now: number, count: number, unit: string): number {
  if (unit === 'h' || unit === 'd') return now - count * SHORTEST[unit]!;
  const date = new Date(now);
  const months = unit === 'mo' ? count : 12 * count;
  // `Date` ends 271,821 years before 1970.
  if (months > 12 * 270_000) return -LAST_DATE;
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - months);
  // 31 March minus a month is the last day of February.
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date.getTime();
}
