import type { SeriesAnswer, SiteAnswer, TopAnswer, TotalsAnswer, UsageQuery } from '../query/query.ts';
import type { RangeOptions } from '../query/range.ts';
import { calendar } from '../summaries/periods.ts';

/** What a report says: answers to questions about one range. */
export interface Report {
  site: SiteAnswer;
  totals: TotalsAnswer;
  series: SeriesAnswer;
  /** One for each summary of which something is stored for the site. */
  top: TopAnswer[];
}

export interface ReportOptions extends RangeOptions {
  /** Defaults to that of the query. */
  site?: string;
}

/** When a report was made, and by which release. */
export interface Imprint {
  /** ms since 1970. */
  now: number;
  version: string;
}

/** Keys of each summary. */
const LIMIT = 10;

/**
 * Asks for all that stands in a report. Its range is the last whole month where none is given.
 * @param now In ms since 1970; the query's clock should stand there, too.
 */
export async function makeReport(
  query: UsageQuery,
  { site: name, ...given }: ReportOptions,
  now: number,
): Promise<Report> {
  const site = await query.site(name === undefined ? {} : { site: name });
  const isGiven = Object.values(given).some((value) => value !== undefined);
  const options = {
    ...(isGiven ? given : lastMonth(site.timeZone, now)),
    site: site.site,
    // Nothing lies before all that is stored.
    compare: given.range !== 'all',
  };
  const [totals, series, ...top] = await Promise.all([
    query.totals(options),
    query.series(options),
    ...site.summaries.map((summary) => query.top(summary.name, { ...options, limit: LIMIT })),
  ]);
  return { site, totals, series, top };
}

function lastMonth(timeZone: string, now: number): RangeOptions {
  const zone = calendar(timeZone);
  const month = zone.format(zone.monthOf(zone.monthOf(now) - 1)).slice(0, '2026-10'.length);
  return { from: month, to: month };
}
