import { isDate } from 'node:util/types';
import { show, TrackUsageError } from '../errors.ts';

/** Periods of the buckets of summaries, shortest first. */
export const PERIODS = ['hour', 'day', 'month'] as const;

/**
 * Period of the buckets of a summary.
 * @useDeclaredType
 */
export type Period = (typeof PERIODS)[number];

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Range of `Date`, minus a margin for looking around an instant. In ms. */
const LAST_INSTANT = 8.64e15 - 100 * DAY;
/**
 * Maximum number of cached quarter-hours with their offsets. Two per bucket, so about half a year of hours.
 */
const MAX_OFFSETS = 10_000;
const MAX_CALENDARS = 100;

const ISO_DATE =
  /^(\d{4}-\d\d)(?:(-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|([+-])(\d\d)(?::?(\d\d))?)?)?)?$/i;
const EXPECTED = 'a date such as "2026-11-01" or "2026-11-01T10:00:00+01:00"';

/** Half-open range from `start` to `end`. In ms since 1970, UTC. */
interface Span {
  start: number;
  end: number;
}

/**
 * Calendar of a site: the hours, days and months of an IANA time zone. A bucket is identified by its start in
 * ms since 1970 UTC, and ends at the start of the next. Hours are local hours, and are split if the zone's
 * offset changes within one. A day begins when the local clock first shows its date or a later one. So hours
 * always add up to days, and days to months.
 */
export class Calendar {
  /** Name of the zone, as passed to the constructor. */
  readonly timeZone: string;
  /** Undefined for UTC, which needs no formatter. */
  readonly #zone: Intl.DateTimeFormat | undefined;
  /** Offsets in ms, by quarter-hours since 1970. NaN if the offset changes within the quarter. */
  readonly #offsets = new Map<number, number>();
  /** Bucket of the previous call, because records are mostly in date order. */
  readonly #last: Record<Period, Span> = {
    hour: { start: 0, end: 0 },
    day: { start: 0, end: 0 },
    month: { start: 0, end: 0 },
  };

  /** @param timeZone IANA name, for example `Europe/Berlin`. */
  constructor(timeZone: string) {
    this.timeZone = timeZone;
    try {
      // `undefined` would mean this machine's zone. Other non-strings are refused as names.
      const zone = new Intl.DateTimeFormat('en-US', { timeZone: `${timeZone}`, timeZoneName: 'longOffset' });
      this.#zone = zone.resolvedOptions().timeZone === 'UTC' ? undefined : zone;
    } catch (cause) {
      throw new TrackUsageError('TIME_ZONE_UNKNOWN', { value: show(timeZone) }, { cause });
    }
  }

  /** Returns the start of the local hour that contains `ms`. Both in ms since 1970. */
  hourOf(ms: number): number {
    return this.#span('hour', ms).start;
  }

  /** Returns the start of the local day that contains `ms`. Both in ms since 1970. */
  dayOf(ms: number): number {
    return this.#span('day', ms).start;
  }

  /** Returns the start of the local month that contains `ms`. Both in ms since 1970. */
  monthOf(ms: number): number {
    return this.#span('month', ms).start;
  }

  /** Returns the start of the hour, day or month that contains `ms`. Both in ms since 1970. */
  bucketOf(period: Period, ms: number): number {
    return this.#span(period, ms).start;
  }

  /**
   * Returns the start of the next bucket after `bucket`, which is always later. Returns `Infinity` at the end
   * of `Date`'s range.
   */
  next(period: Period, bucket: number): number {
    return this.#span(period, bucket).end;
  }

  /**
   * Formats ISO 8601 with the zone's offset: `2017-03-01T00:00:00+01:00`. Milliseconds (`.123`) are included
   * only if nonzero.
   */
  format(ms: number): string {
    const instant = withinDate(ms);
    // Historical offsets had seconds, which ISO 8601 does not support. The instant is kept instead of the
    // clock's seconds.
    const minutes = Math.round(this.#offset(instant) / MINUTE);
    const local = new Date(instant + minutes * MINUTE).toISOString().replace(/(\.000)?Z$/, '');
    const size = Math.abs(minutes);
    return `${local}${minutes < 0 ? '-' : '+'}${twoDigits(size / 60)}:${twoDigits(size % 60)}`;
  }

  /**
   * Parses a point in time: a Date, ms since 1970, or ISO 8601 text. Text without an offset is local time. A
   * time skipped by the clock is the moment of the skip, and a repeated one is the earlier. A date without a
   * time is its midnight; a month without a day is its first.
   * @param name Name of the value, for the error.
   * @returns Integer ms since 1970.
   */
  parse(value: Date | number | string, name: string): number {
    let ms = Number.NaN;
    if (typeof value === 'string') ms = this.#parseText(value);
    else if (typeof value === 'number') ms = new Date(value).getTime();
    else if (isDate(value)) ms = value.getTime();
    if (!Number.isNaN(ms)) return ms;
    // JSON, and so `show`, does not support an invalid Date.
    const shown = isDate(value) ? String(value) : show(value);
    // Text may come from a command line or a URL, where there are no Dates.
    const expected = typeof value === 'string' ? EXPECTED : `${EXPECTED}, a Date, or ms since 1970`;
    throw new TrackUsageError('QUERY_INVALID', { name, value: shown, expected });
  }

  #parseText(text: string): number {
    const match = ISO_DATE.exec(text);
    if (!match) return Number.NaN;
    const [
      ,
      month,
      day = '-01',
      time = '00:00',
      second = '00',
      fraction = '',
      zone,
      sign,
      hours,
      minutes = '00',
    ] = match;
    const iso = `${month}${day}T${time}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
    const local = Date.parse(iso);
    // `Date` parses 31 February as 3 March, and 24:00 as the next day.
    if (Number.isNaN(local) || new Date(local).toISOString() !== iso) return Number.NaN;
    if (zone === undefined) return this.#firstAt(local);
    if (sign === undefined) return local;
    if (Number(hours) > 23 || Number(minutes) > 59) return Number.NaN;
    const offset = Number(hours) * HOUR + Number(minutes) * MINUTE;
    return sign === '-' ? local + offset : local - offset;
  }

  #span(period: Period, ms: number): Span {
    const last = this.#last[period];
    if (ms >= last.start && ms < last.end) return last;
    const at = Math.floor(withinDate(ms));
    const span = period === 'hour' ? this.#hourAround(at) : this.#datesAround(period, at);
    if (ms > LAST_INSTANT) span.end = Number.POSITIVE_INFINITY;
    this.#last[period] = span;
    return span;
  }

  #hourAround(ms: number): Span {
    const offset = this.#offset(ms);
    const start = Math.floor((ms + offset) / HOUR) * HOUR - offset;
    const last = start + HOUR - 1;
    return {
      start: this.#offset(start) === offset ? start : this.#changeIn(start, ms),
      end: this.#offset(last) === offset ? last + 1 : this.#changeIn(ms, last),
    };
  }

  #datesAround(period: 'day' | 'month', ms: number): Span {
    let midnight = midnightOf(period, ms + this.#offset(ms), 0);
    const span = { start: this.#firstAt(midnight), end: 0 };
    // Needs more than one step if the clock went back over midnight after the date had begun.
    for (;;) {
      midnight = midnightOf(period, midnight, 1);
      span.end = this.#firstAt(midnight);
      if (!(span.end <= ms)) return span;
      span.start = span.end;
    }
  }

  /**
   * Returns the first instant at which the local clock shows `local` or a later time. `local` is a local time
   * as ms in UTC.
   */
  #firstAt(local: number): number {
    const before = this.#offset(local - DAY);
    const after = this.#offset(local + DAY);
    if (before === after) return local - before;
    const change = this.#changeIn(local - DAY, local + DAY);
    return local - before < change ? local - before : Math.max(local - after, change);
  }

  /** Returns the instant in (from, to] at which the offset becomes that of `to`. All in ms since 1970. */
  #changeIn(from: number, to: number): number {
    const offset = this.#offset(to);
    let [before, after] = [from, to];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.#offset(middle) === offset) after = middle;
      else before = middle;
    }
    return after;
  }

  /** Returns how far the local clock is ahead of UTC, in ms. */
  #offset(ms: number): number {
    if (!this.#zone) return 0;
    const quarter = Math.floor(ms / QUARTER);
    let offset = this.#offsets.get(quarter);
    if (offset === undefined) {
      offset = offsetIn(this.#zone, quarter * QUARTER);
      if (offsetIn(this.#zone, (quarter + 1) * QUARTER - 1) !== offset) offset = Number.NaN;
      if (this.#offsets.size >= MAX_OFFSETS) this.#offsets.clear();
      this.#offsets.set(quarter, offset);
    }
    return Number.isNaN(offset) ? offsetIn(this.#zone, ms) : offset;
  }
}

/** Start of a site's stored time zone while it is being changed. The name of the new one follows. */
const CHANGING = '>';

/** Returns the text stored as a site's time zone while it is being changed. No app can be configured with it. */
export function changingTo(timeZone: string): string {
  return `${CHANGING}${timeZone}`;
}

/** Returns the new time zone of a site whose zone is being changed, or `undefined`. */
export function targetOf(stored: string): string | undefined {
  return typeof stored === 'string' && stored.startsWith(CHANGING)
    ? stored.slice(CHANGING.length)
    : undefined;
}

const calendars = new Map<string, Calendar>();

/** Returns the calendar of a stored time zone: of the new one while it is being changed. Up to 100 are cached. */
export function calendar(timeZone: string): Calendar {
  let found = calendars.get(timeZone);
  if (!found) {
    found = new Calendar(targetOf(timeZone) ?? timeZone);
    if (calendars.size >= MAX_CALENDARS) calendars.clear();
    calendars.set(timeZone, found);
  }
  return found;
}

/**
 * Returns the offset of a zone in ms, from text such as `3/1/2017, GMT+01:00` or, historically,
 * `GMT-00:43:08`.
 */
function offsetIn(zone: Intl.DateTimeFormat, ms: number): number {
  const [, sign, hours, minutes, seconds = 0] =
    /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(zone.format(ms)) ?? [];
  const size = sign ? Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds) * 1000 : 0;
  return sign === '-' ? -size : size;
}

/**
 * Returns the local midnight at which a day or month begins, `steps` after the one of `local`. Local times
 * are ms in UTC.
 */
function midnightOf(period: 'day' | 'month', local: number, steps: number): number {
  if (period === 'day') return (Math.floor(local / DAY) + steps) * DAY;
  const date = new Date(local);
  return Math.floor(date.setUTCMonth(date.getUTCMonth() + steps, 1) / DAY) * DAY;
}

function withinDate(ms: number): number {
  return Math.max(-LAST_INSTANT, Math.min(ms, LAST_INSTANT));
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}
