import type { Bots, SeriesResult, SiteResult, TopResult, TotalsResult, UsageQuery } from '../query/query.ts';
import type { RangeOptions } from '../query/range.ts';
import { calendar } from '../summaries/periods.ts';

/** Contents of a report: results of queries over one range. */
export interface Report {
  site: SiteResult;
  /** Requests that are counted. */
  bots: Bots;
  totals: TotalsResult;
  series: SeriesResult;
  /** One result for each summary that is stored for the site. */
  top: TopResult[];
}

export interface ReportOptions extends RangeOptions {
  /** Name of the site. Defaults to that of the query. */
  site?: string;
  /** Requests to count. Defaults to `include`. */
  bots?: Bots;
}

/** Time and release that created a report. */
export interface Imprint {
  /** Creation time in ms since 1970. */
  now: number;
  version: string;
}

/** Maximum number of keys per summary. */
const LIMIT = 10;

/**
 * Runs all queries of a report. The range defaults to the last complete month.
 * @param now In ms since 1970. Must match the query's clock.
 */
export async function makeReport(
  query: UsageQuery,
  { site: name, bots = 'include', ...given }: ReportOptions,
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
  const [totals, series, ...top] = await Promise.all([
    query.totals(options),
    query.series(options),
    ...site.summaries
      .filter(({ filter }) => bots === 'include' || filter)
      .map((summary) => query.top(summary.name, { ...options, limit: LIMIT })),
  ]);
  return { site, bots, totals, series, top };
}

function lastMonth(timeZone: string, now: number): RangeOptions {
  const zone = calendar(timeZone);
  const month = zone.format(zone.monthOf(zone.monthOf(now) - 1)).slice(0, '2026-10'.length);
  return { from: month, to: month };
}
