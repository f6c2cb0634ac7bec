import { type Extra, partsOfUrl } from '../batch.ts';
import type { UsageRecord } from '../record.ts';

/** The columns in which databases keep a record, besides its date: one name everywhere. */
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

/** A record as a row; `ms` is its date, `extra` the JSON of an `Extra`. */
export type RecordRow = { ms: number } & {
  [column in (typeof RECORD_COLUMNS)[number]]: column extends NumberColumn
    ? number
    : column extends RequiredColumn
      ? string
      : string | null;
};

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
