import { show, TrackUsageError } from '../errors.ts';
import { wallClock } from '../platform/clock.ts';
import type { UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { KeyRow, Span, SumRow, SumsRequest } from '../storage/contract.ts';
import { pageOf } from '../storage/fold-sums.ts';
import type { Part } from '../storage/retention.ts';
import { RESERVED } from '../summaries/coverage.ts';
import type { Summary, SummaryGroup } from '../summaries/define.ts';
import { companionBase } from '../summaries/latency.ts';
import { type Calendar, calendar, PERIODS, type Period } from '../summaries/periods.ts';
import { known, STANDARD_SUMMARIES, sumBots } from '../summaries/standard.ts';
import { asStored } from '../text/text.ts';
import { checkBots, isLeftOut } from './conditions.ts';
import { completeCoverage, coverageOf, hasLater, storedIn } from './coverage.ts';
import { invalid } from './invalid.ts';
import { orElse } from './or-else.ts';
import type { Bots, Coverage, Expired } from './query-types.ts';
import { spansOf, type When } from './range.ts';
import { firstMonth, type Horizons, horizonsIn, withoutEmpty } from './retention.ts';
import { countedSums, foundUsage } from './sums-by-bots.ts';

/** Options of `getUsage`. */
export interface UsageOptions {
  /** Start of the range, inclusive. Defaults to the start of the data. */
  from?: When;
  /**
   * End of the range, inclusive. Defaults to the end of the current hour; set it to include requests with a
   * later date.
   */
  to?: When;
  /** Number of rows per page; 0 for all. Defaults to 500. */
  limit?: number;
  /** Page number, from 1. Lower values mean 1. Defaults to 1. */
  page?: number;
  /** Name of the site. Defaults to the site of the TrackUsage, or `default`. */
  site?: string;
  /**
   * Requests to return or count. With `exclude` and `only`, the sums of a summary other than `bots` are counted from
   * the stored records. Defaults to `include`.
   */
  bots?: Bots;
}

/** Options of `getSum`. */
export interface SumOptions extends UsageOptions {
  /**
   * Period of the buckets. Without it, all three are returned: the buckets that contain `from` (defaults to
   * now), up to `to` if given.
   */
  period?: Period;
  /** Exact key; `null` for requests without one. Defaults to all keys. */
  target?: string | null;
}

/** Sums of one key in one bucket. */
export interface Sum {
  /** Period of the bucket. */
  period: Period;
  /** Start of the bucket with the site's offset, for example `2017-03-01T00:00:00+01:00`. */
  date: string;
  /** Key, or `null` for the requests without one. */
  key: string | null;
  /** Number of requests. */
  hits: number;
  /** Number of body bytes. */
  transfer: number;
  /** Number of responses with a status of 500 or more. */
  errors: number;
  /** Total duration of all requests, in µs. */
  duration: number;
}

/** Result of `getSum`: a list if a period is given, otherwise a list for each period (as in Flask-Track-Usage). */
export type SumResult<O extends SumOptions> =
  O extends Required<Pick<SumOptions, 'period'>> ? Sum[] : Record<Period, Sum[]>;

const DEFAULT_LIMIT = 500;
const DEFAULT_SITE = 'default';

/** Returns the name of a summary. User-defined summaries can be passed by name. */
export function summaryName(summary: Summary | string): string {
  const found = typeof summary === 'string' ? (known(summary) ?? { name: summary }) : summary;
  if (typeof found !== 'object' || found === null || typeof found.name !== 'string' || 'members' in found) {
    const { members } = (found ?? {}) as Partial<SummaryGroup>;
    const names = members ? `: ${members.map(({ name }) => name).join(', ')}` : '';
    throw invalid('summary', members ? found?.name : summary, `one summary, or its name${names}`);
  }
  return found.name;
}

/**
 * Reads the buckets of a summary from a storage's reading end.
 * @param timeZone Time zone of a site that is not stored yet.
 * @param now In ms since 1970.
 */
export async function getSum<const O extends SumOptions>(
  reader: CompleteReader,
  summary: Summary | string,
  options: O,
  timeZone = 'UTC',
  now = wallClock.now(),
): Promise<SumResult<O>> {
  const name = summaryName(summary);
  const { period, target } = options;
  if (period !== undefined && !PERIODS.includes(period)) {
    throw invalid('period', period, PERIODS.map((p) => `"${p}"`).join(', '));
  }
  if (target !== undefined && target !== null && typeof target !== 'string') {
    throw invalid('target', target, 'a key, or null');
  }
  const key = typeof target === 'string' ? asStored(target) : target;
  const page = pageOptions(options);
  const { site, zone } = await siteOf(reader, options, timeZone);
  const horizons = await horizonsIn(reader, site, zone);
  if (typeof summary === 'string' && !known(name)) await checkKept(reader, site, name);
  const bots = checkBots(options.bots ?? 'include');
  const end = options.to === undefined ? zone.next('hour', zone.hourOf(now)) : Number.MAX_SAFE_INTEGER;
  const read = (request: SumsRequest): Promise<SumRow[]> => {
    return options.to === undefined ? sumsUntil(reader, zone, horizons, request, now) : reader.sums(request);
  };
  const select = async (request: SumsRequest): Promise<SumRow[]> => {
    if (bots === 'include') return read(request);
    if (name !== sumBots.name) {
      return countedSums(reader, zone, request, bots, { start: horizons.records, end });
    }
    // Only in `bots` do the keys themselves distinguish bots from people.
    const rows = await read({ ...request, limit: 0, offset: 0 });
    return pageOf(
      rows.filter((row) => !isLeftOut(name, row.key, bots)),
      request.limit,
      request.offset,
    );
  };
  const fetchSums = async (of: Period, from: number, to: number): Promise<Sum[]> => {
    const since = Math.max(from, horizons[of]);
    const request = { site, summary: name, period: of, from: since, to, target: key, ...page };
    const rows = await orElse(select(request), []);
    return rows.map(({ bucket, ...row }) => ({ period: of, date: zone.format(bucket), ...row }));
  };
  if (period) {
    const { from, to } = rangeOf(options, zone);
    return (await fetchSums(period, from, to)) as SumResult<O>;
  }
  const start = options.from === undefined ? now : zone.parse(options.from, 'from');
  const until = options.to === undefined ? undefined : zone.parse(options.to, 'to');
  const lists = await Promise.all(
    PERIODS.map((of) => {
      const bucket = zone.bucketOf(of, start);
      return fetchSums(of, bucket, until ?? bucket);
    }),
  );
  return Object.fromEntries(PERIODS.map((of, index) => [of, lists[index]])) as SumResult<O>;
}

/** Reads records from a storage's reading end, newest first. */
export async function getUsage(
  reader: CompleteReader,
  options: UsageOptions,
  timeZone = 'UTC',
  now = wallClock.now(),
): Promise<UsageRecord[]> {
  const page = pageOptions(options);
  const { site, zone } = await siteOf(reader, options, timeZone);
  const range = rangeOf(options, zone);
  range.from = Math.max(range.from, (await horizonsIn(reader, site, zone)).records);
  if (options.to === undefined) range.to = zone.next('hour', zone.hourOf(now)) - 1;
  const bots = checkBots(options.bots ?? 'include');
  const request = { site, ...range, ...page };
  return orElse(bots === 'include' ? reader.usage(request) : foundUsage(reader, request, bots), []);
}

/** Returns what a `getSum` result leaves out of the summary's buckets, on all of its pages. */
export async function sumCoverage(
  reader: CompleteReader,
  summary: Summary | string,
  { period, ...options }: SumOptions & { period: Period },
  now = wallClock.now(),
): Promise<Coverage> {
  const { site, zone } = await siteOf(reader, options, 'UTC');
  const range = rangeOf(options, zone);
  const horizons = await horizonsIn(reader, site, zone);
  range.from = Math.max(range.from, horizons[period]);
  const until = zone.next('hour', zone.hourOf(now));
  const name = summaryName(summary);
  const bots = checkBots(options.bots ?? 'include');
  if (bots !== 'include' && name !== sumBots.name) return completeCoverage();
  const all = { site, zone, bots, horizons };
  if (options.to !== undefined) {
    const scope = { ...all, end: zone.next(period, zone.bucketOf(period, range.to)) };
    const buckets = await storedIn(reader, site, [{ period, ...range }], bots);
    return coverageOf(reader, scope, buckets, [name]);
  }
  const scope = { ...all, end: until };
  const current = zone.bucketOf(period, now);
  const isSplit = range.from <= current && (await hasLater(reader, scope, period));
  const spans: Span[] = isSplit
    ? [
        { period, from: range.from, to: current - 1 },
        ...spansOf({ start: current, end: until, open: false, unit: 'day' }, zone),
      ]
    : [{ period, from: range.from, to: current }];
  return coverageOf(reader, scope, await storedIn(reader, site, spans, bots), [name]);
}

/**
 * Returns the data of a part that a result of `getSum` or `getUsage` lacks, because it is no longer stored. Only the
 * last page lacks it.
 */
export async function expiredOf(
  reader: CompleteReader,
  part: Part,
  options: Pick<UsageOptions, 'site' | 'from' | 'to'>,
): Promise<Expired[]> {
  const { site, zone } = await siteOf(reader, options, 'UTC');
  const horizons = await horizonsIn(reader, site, zone);
  const { from } = rangeOf(options, zone);
  if (from >= horizons[part]) return [];
  const { [part]: horizon } = withoutEmpty(horizons, await firstMonth(reader, site, horizons.month));
  if (from >= horizon) return [];
  return [{ part, before: zone.format(horizon), answeredFrom: null }];
}

/**
 * Returns the sums up to now. If the current bucket has later hours, only those until now are added up,
 * because a clock may be ahead.
 */
async function sumsUntil(
  reader: CompleteReader,
  zone: Calendar,
  horizons: Horizons,
  request: SumsRequest,
  now: number,
): Promise<SumRow[]> {
  const { site, summary, period, target, limit, offset } = request;
  const current = zone.bucketOf(period, now);
  const end = zone.next('hour', zone.hourOf(now));
  const to = Math.min(request.to, current);
  if (request.from > current || to < current || !(await hasLater(reader, { site, zone, end }, period))) {
    return reader.sums({ ...request, to });
  }
  const spans = spansOf({ start: current, end, open: false, unit: 'day' }, zone);
  const of = { site, summary, spans, daysFrom: horizons.day };
  let count: number;
  let rows: KeyRow[];
  if (target === undefined) {
    ({ rows, count } = await reader.keys({ ...of, order: 'hits', search: undefined, limit, offset }));
  } else {
    const { keys: _, ...total } = await reader.total({ ...of, target });
    const found = total.hits > 0 ? [{ key: target, ...total }] : [];
    count = found.length;
    rows = found.slice(offset);
  }
  const head = rows.map((row) => ({ bucket: current, ...row }));
  const left = limit === 0 ? 0 : limit - head.length;
  if (limit > 0 && left === 0) return head;
  const before = { ...request, to: current - 1, limit: left, offset: Math.max(0, offset - count) };
  return [...head, ...(await reader.sums(before))];
}

/**
 * Throws for an unknown summary, because a misspelled name must not look like a summary without data.
 * @param kept Names of the kept summaries, including those without data.
 */
export async function checkKept(
  reader: CompleteReader,
  site: string,
  name: string,
  kept: readonly string[] = [],
): Promise<void> {
  const names = new Set([...kept, ...(await storedSummaries(reader, site))]);
  if (names.has(name)) return;
  const all = new Set([...STANDARD_SUMMARIES.map((standard) => standard.name), ...names]);
  throw new TrackUsageError('SUMMARY_UNKNOWN', { value: show(name), known: [...all].join(', ') });
}

/** Returns the names of the summaries with stored data, except the reserved ones. */
export async function storedSummaries(reader: CompleteReader, site: string): Promise<string[]> {
  return (await storedNames(reader, site)).filter((name) => companionBase(name) === undefined);
}

/** Returns the names of the stored summaries of a site, with their companions. */
export async function storedNames(reader: CompleteReader, site: string): Promise<string[]> {
  const names = await orElse<string[], string[]>(reader.summaries(site), []);
  return names.filter((name) => !RESERVED.includes(name));
}

/** Returns the requested site and its calendar. */
export async function siteOf(
  reader: CompleteReader,
  { site = DEFAULT_SITE }: { site?: unknown },
  timeZone: string,
): Promise<{ site: string; zone: Calendar }> {
  if (typeof site !== 'string') throw invalid('site', site, 'the name of a site');
  const stored = await orElse(reader.timeZone(site), undefined);
  return { site, zone: calendar(stored ?? timeZone) };
}

function rangeOf({ from, to }: UsageOptions, zone: Calendar): { from: number; to: number } {
  return {
    from: from === undefined ? -Number.MAX_SAFE_INTEGER : zone.parse(from, 'from'),
    to: to === undefined ? Number.MAX_SAFE_INTEGER : zone.parse(to, 'to'),
  };
}

function pageOptions({ limit = DEFAULT_LIMIT, page = 1 }: UsageOptions): { limit: number; offset: number } {
  if (!Number.isSafeInteger(limit) || limit < 0) throw invalid('limit', limit, 'a whole number, 0 for all');
  const offset = limit * (Math.max(page, 1) - 1);
  if (!Number.isSafeInteger(page) || !Number.isSafeInteger(offset))
    throw invalid('page', page, 'a whole number');
  if (limit === 0 && page > 1) throw invalid('page', page, '1, since limit 0 puts all on one page');
  return { limit, offset };
}
