import type { Bots, SeriesResult, SiteResult, TopResult, TotalsResult, UsageQuery } from '../query/query.ts';
import type { RangeOptions } from '../query/range.ts';
import type { Order } from '../storage/contract.ts';
import { calendar } from '../summaries/periods.ts';

/** Contents of a report: results of queries over one range. */
export interface Report {
  site: SiteResult;
  /** Requests that are counted. */
  bots: Bots;
  totals: TotalsResult;
  series: SeriesResult;
  /** One result for each listed summary that is stored for the site. */
  top: TopResult[];
  /** Routes with the greatest total time, with percentiles; `null` if routes are not stored. */
  performance: TopResult | null;
  /** Routes with the most errors; `null` if routes are not stored. */
  errors: TopResult | null;
  /** True if the last bucket of the series has not ended. */
  isUnfinished: boolean;
  /** Stored summaries that are not listed, because their keys identify people or browsers. */
  unlisted: string[];
}

export interface ReportOptions extends RangeOptions {
  /** Name of the site. Defaults to that of the query. */
  site?: string;
  /** Requests to count. Defaults to `include`. */
  bots?: Bots;
  /** Lists also visitor IDs and raw user agents. Defaults to `false`. */
  full?: boolean;
}

/** Time and release that created a report. */
export interface Imprint {
  /** Creation time in ms since 1970. */
  now: number;
  version: string;
}

/** Maximum number of keys per summary. */
const LIMIT = 10;
/** Summaries that only a full report lists: nobody reads their keys, and those of visitors identify people. */
const FULL_ONLY = ['visitors', 'user-agents'];

/**
 * Runs all queries of a report. The range defaults to the last complete month.
 * @param now In ms since 1970. Must match the query's clock.
 */
export async function makeReport(
  query: UsageQuery,
  { site: name, bots = 'include', full = false, ...given }: ReportOptions,
  now: number,
): Promise<Report> {
  const site = await query.site(name === undefined ? {} : { site: name });
  const isGiven = Object.values(given).some((value) => value !== undefined);
  const options = {
    ...(isGiven ? given : lastMonth(site.timeZone, now)),
    site: site.site,
    bots,
    // There is nothing before the start of the data.
    compare: given.range !== 'all',
  };
  const stored = site.summaries.filter(({ filter }) => bots === 'include' || filter).map(({ name }) => name);
  const isListed = (name: string) => full || !FULL_ONLY.includes(name);
  const routes = (order: Order, latency = false) =>
    stored.includes('routes')
      ? query.top('routes', { ...options, order, latency, compare: false, limit: LIMIT })
      : null;
  const [totals, series, performance, errors, ...top] = await Promise.all([
    query.totals(options),
    query.series(options),
    routes('duration', true),
    routes('errors'),
    ...stored.filter(isListed).map((summary) => query.top(summary, { ...options, limit: LIMIT })),
  ]);
  const last = series.buckets.at(-1);
  const current = calendar(site.timeZone).bucketOf(series.period, now);
  const isUnfinished = last !== undefined && Date.parse(last.date) === current;
  const unlisted = stored.filter((summary) => !isListed(summary));
  return { site, bots, totals, series, top, performance, errors, isUnfinished, unlisted };
}

function lastMonth(timeZone: string, now: number): RangeOptions {
  const zone = calendar(timeZone);
  const month = zone.format(zone.monthOf(zone.monthOf(now) - 1)).slice(0, '2026-10'.length);
  return { from: month, to: month };
}
