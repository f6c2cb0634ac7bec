import { textsOfRecord } from '../sql/joins.ts';
import { TABLES } from './tables.ts';

/** Returns the quoted name of a table. */
type NameOf = (table: string) => string;

/** Views of a summary: their names and the tables that they read. */
export const SUMMARY_VIEWS = (
  [
    ['hourly', TABLES.hour],
    ['daily', TABLES.day],
    ['monthly', TABLES.month],
  ] as const
).map(([period, of]) => ({
  of,
  /** Summary names contain letters, digits and dashes. */
  nameOf: (summary: string) => `${summary.replaceAll('-', '_')}_${period}`,
}));

/** Creates a view with the rights of its invoker, so that it still works after its creator is removed. */
export function createView(name: string, select: string): string {
  return `CREATE SQL SECURITY INVOKER VIEW ${name} AS ${select}`;
}

export function viewOfSummary(table: NameOf, of: string, summary: string): string {
  return `
    SELECT sites.name AS site, buckets.date, strings.text AS \`key\`, t.hits, t.transfer, t.errors, t.duration, t.bucket
    FROM ${table(of)} t
      JOIN ${table('series')} series ON series.id = t.series AND series.summary = '${summary}'
      JOIN ${table('sites')} sites ON sites.id = series.site
      JOIN ${table('buckets')} buckets ON buckets.site = series.site AND buckets.bucket = t.bucket
      LEFT JOIN ${table('strings')} strings ON strings.id = t.key
    ORDER BY t.bucket DESC, t.hits DESC, t.key = 0, CAST(strings.text AS BINARY)`;
}

export function viewOfRecords(table: NameOf): string {
  return recordsOf(table, table('requests'));
}

/** Selects records with their texts. `from` is the table, or a selection of its rows. */
export function recordsOf(table: NameOf, from: string): string {
  return `
  SELECT r.date, sites.name AS site, server.text AS server_name, method.text AS method, url.text AS url,
    route.text AS route, protocol.text AS protocol, r.status, r.content_length, r.duration,
    remote.text AS remote_addr, forwarded.text AS forwarded_for, agent.text AS user_agent, agents.browser,
    agents.version, agents.platform, language.text AS language, referrer.text AS referrer,
    username.text AS username, e.credentials AS \`authorization\`, visitor.text AS visitor, country.text AS country,
    coalesce(agents.bot, 0) AS bot, blueprint.text AS blueprint, r.extra, r.journal, r.ordinal
  FROM ${from} r ${textsOfRecord(table)}`;
}
