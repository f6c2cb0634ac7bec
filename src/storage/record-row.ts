import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT, partsOfUrl, RecordBatch } from '../batch.ts';
import { TEXT_COLUMNS, type TextColumn, type UsageRecord } from '../record.ts';

/** Columns of a record in databases, besides its date. The names are the same everywhere. */
export const RECORD_COLUMNS = [
  'site',
  'server_name',
  'method',
  'url',
  'route',
  'protocol',
  'status',
  'content_length',
  'duration',
  'remote_addr',
  'forwarded_for',
  'user_agent',
  'browser',
  'version',
  'platform',
  'language',
  'referrer',
  'username',
  'authorization',
  'visitor',
  'country',
  'bot',
  'blueprint',
  'extra',
] as const;

type NumberColumn = 'status' | 'content_length' | 'duration' | 'authorization' | 'bot';
type RequiredColumn = 'site' | 'server_name' | 'method' | 'url' | 'protocol';

/** A record as a row: `ms` is its date, `extra` the JSON of an `Extra`. */
export type RecordRow = { ms: number } & {
  [column in (typeof RECORD_COLUMNS)[number]]: column extends NumberColumn
    ? number
    : column extends RequiredColumn
      ? string
      : string | null;
};

/** Converts rows to a batch to be stored, including the data that a copy must preserve. */
export function batchOf(rows: readonly RecordRow[], site: string): RecordBatch {
  const batch = new RecordBatch(Math.max(1, rows.length));
  batch.site = site;
  for (const row of rows) {
    const i = batch.length++;
    batch.date[i] = row.ms;
    batch.duration[i] = row.duration;
    batch.contentLength[i] = row.content_length;
    batch.status[i] = row.status;
    batch.flags[i] = (row.authorization ? FLAG_AUTHORIZATION : 0) | (row.bot ? FLAG_BOT : 0);
    const texts: Record<TextColumn, string | null> = {
      serverName: row.server_name,
      method: row.method,
      url: row.url,
      route: row.route,
      protocol: row.protocol,
      remoteAddr: row.remote_addr,
      forwardedFor: row.forwarded_for,
      agent: row.user_agent,
      browser: row.browser,
      version: row.version,
      platform: row.platform,
      language: row.language,
      referrer: row.referrer,
      username: row.username,
      visitor: row.visitor,
      country: row.country,
      blueprint: row.blueprint,
      state: String(row.status),
      botName: row.bot ? (row.browser ?? row.user_agent) : null,
    };
    for (const column of TEXT_COLUMNS) batch.text[column][i] = batch.intern(texts[column]);
    if (row.extra === null) continue;
    batch.extra.set(i, row.extra);
    const { keys = {} } = JSON.parse(row.extra) as Extra;
    for (const [name, found] of Object.entries(keys)) batch.setKeys(name, i, found);
  }
  return batch;
}

export function recordOf(row: RecordRow): UsageRecord {
  const extra = JSON.parse(row.extra ?? '{}') as Extra;
  return {
    date: row.ms,
    site: row.site,
    serverName: row.server_name,
    method: row.method,
    ...partsOfUrl(row.url),
    route: row.route,
    routeParams: extra.routeParams ?? null,
    protocol: row.protocol,
    status: row.status,
    contentLength: row.content_length,
    duration: row.duration,
    remoteAddr: row.remote_addr,
    forwardedFor: row.forwarded_for,
    userAgent:
      row.user_agent === null
        ? null
        : { string: row.user_agent, browser: row.browser, version: row.version, platform: row.platform },
    language: row.language,
    referrer: row.referrer,
    username: row.username,
    authorization: row.authorization === 1,
    visitor: row.visitor,
    country: row.country,
    geo: extra.geo ?? null,
    bot: row.bot === 1,
    vars: extra.vars ?? null,
    blueprint: row.blueprint,
  };
}

/**
 * Converts a record to a row.
 * @param extra Additional stored data, as JSON.
 */
export function rowOfRecord(record: UsageRecord, extra: string | null): RecordRow {
  return {
    ms: record.date,
    site: record.site,
    server_name: record.serverName,
    method: record.method,
    url: record.url,
    route: record.route,
    protocol: record.protocol,
    status: record.status,
    content_length: record.contentLength,
    duration: record.duration,
    remote_addr: record.remoteAddr,
    forwarded_for: record.forwardedFor,
    user_agent: record.userAgent?.string ?? null,
    browser: record.userAgent?.browser ?? null,
    version: record.userAgent?.version ?? null,
    platform: record.userAgent?.platform ?? null,
    language: record.language,
    referrer: record.referrer,
    username: record.username,
    authorization: record.authorization ? 1 : 0,
    visitor: record.visitor,
    country: record.country,
    bot: record.bot ? 1 : 0,
    blueprint: record.blueprint,
    extra,
  };
}
