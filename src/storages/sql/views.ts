/** Name of each period, in the names of tables and views. */
export const PERIOD_NAMES = { hour: 'hourly', day: 'daily', month: 'monthly' } as const;

/** Returns the qualified name of a table. */
type NameOf = (table: string) => string;

/** Parts of a selection of records that differ between the engines. */
export interface RecordParts {
  /** First columns. */
  first: string;
  /** Last columns. */
  last: string;
  /** Column of the credentials, with its name quoted. */
  authorization: string;
  /** Value of `bot` for a record without an agent. */
  notBot: string;
  /** Rows `r`, joined with their `sites` and endpoints `e`. */
  from: string;
  /** Table of the user agents, under the name `agents`. */
  agents: string;
}

/** Selects records with their texts. */
export function recordsWithTexts(
  table: NameOf,
  { first, last, authorization, notBot, from, agents }: RecordParts,
): string {
  const text = (alias: string, id: string) => `LEFT JOIN ${table('strings')} ${alias} ON ${alias}.id = ${id}`;
  return `
  SELECT ${first}, sites.name AS site, server.text AS server_name, method.text AS method, url.text AS url,
    route.text AS route, protocol.text AS protocol, r.status, r.content_length, r.duration,
    remote.text AS remote_addr, forwarded.text AS forwarded_for, agent.text AS user_agent, agents.browser,
    agents.version, agents.platform, language.text AS language, referrer.text AS referrer,
    username.text AS username, ${authorization}, visitor.text AS visitor, country.text AS country,
    coalesce(agents.bot, ${notBot}) AS bot, blueprint.text AS blueprint, ${last}, url_key.text AS url_key,
    path.text AS path, referrer_host.text AS referrer_host, campaign.text AS campaign, class.text AS class,
    agents.device, r.received
  FROM ${from}
    ${text('server', 'e.server_name')}
    ${text('method', 'e.method')}
    ${text('protocol', 'e.protocol')}
    ${text('route', 'e.route')}
    ${text('blueprint', 'e.blueprint')}
    ${text('url', 'r.url')}
    ${text('url_key', 'r.url_key')}
    ${text('remote', 'r.remote_addr')}
    ${text('forwarded', 'r.forwarded_for')}
    LEFT JOIN ${agents} ON agents.id = r.agent
    ${text('agent', 'agents.string')}
    ${text('language', 'r.language')}
    ${text('referrer', 'r.referrer')}
    ${text('username', 'r.username')}
    ${text('visitor', 'r.visitor')}
    ${text('country', 'r.country')}
    ${text('path', 'r.path')}
    ${text('referrer_host', 'r.referrer_host')}
    ${text('campaign', 'r.campaign')}
    ${text('class', 'r.class')}`;
}

/**
 * Selects records of a server with their texts.
 * @param records The table, or a selection of its rows.
 */
export function serverRecords(
  table: NameOf,
  records: string,
  parts: Pick<RecordParts, 'authorization' | 'notBot'>,
): string {
  const from = `${records} r
    JOIN ${table('sites')} sites ON sites.id = r.site
    JOIN ${table('endpoints')} e ON e.id = r.endpoint`;
  const agents = `${table('agents')} agents`;
  return recordsWithTexts(table, {
    first: 'r.date',
    last: 'r.extra, r.journal, r.ordinal',
    from,
    agents,
    ...parts,
  });
}

/** Returns the name of a summary's view. Names of summaries contain lowercase letters, digits and dashes. */
export function viewName(summary: string, period: string): string {
  return `${summary.replaceAll('-', '_')}_${period}`;
}

/** Parts of a summary's view that differ between the engines. */
export interface ViewParts {
  /** Name of the column of the keys, quoted if needed. */
  key?: string;
  /** Last column. */
  last?: string;
  /** Order of keys with the same hits. */
  order: string;
}

/**
 * Selects the sums of a summary for manual queries.
 * @param named Returns a table under its unqualified name.
 * @param sums Qualified name of the period's table.
 */
export function sumsWithKeys(
  named: NameOf,
  sums: string,
  summary: string,
  { key = 'key', last = 't.duration, t.bucket', order }: ViewParts,
): string {
  return `
    SELECT sites.name AS site, buckets.date, strings.text AS ${key}, t.hits, t.transfer, t.errors, ${last}
    FROM ${sums} t
      JOIN ${named('series')} ON series.id = t.series AND series.summary = '${summary}'
      JOIN ${named('sites')} ON sites.id = series.site
      JOIN ${named('buckets')} ON buckets.site = series.site AND buckets.bucket = t.bucket
      LEFT JOIN ${named('strings')} ON strings.id = t.key
    ORDER BY t.bucket DESC, t.hits DESC, ${order}`;
}
