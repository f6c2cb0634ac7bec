import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT, partsOfUrl, RecordBatch } from '../batch.ts';
import type { DerivedColumn, RequestClass, TextColumn, UsageRecord } from '../record.ts';

/** Columns of a record in databases, besides its date. The names are the same everywhere. */
export const RECORD_COLUMNS = [
  'site',
  'server_name',
  'method',
  'url',
  'url_key',
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
  'path',
  'referrer_host',
  'campaign',
  'device',
  'class',
  'received',
] as const satisfies readonly (keyof RecordRow)[];

/** A record as a row of a database, with the names of `RECORD_COLUMNS`. Unknown values are `null`. */
export interface RecordRow {
  /** Arrival of the request, in ms since 1970. Not among `RECORD_COLUMNS`, because databases have their own type for it. */
  ms: number;
  /** Name of the site. */
  site: string;
  /** Value of the option `serverName`. */
  server_name: string;
  /** HTTP method, for example `GET`. */
  method: string;
  /** URL as requested, with scheme, host and query. Without secrets and click IDs. */
  url: string;
  /** Key in `sumUrls`; `null` if it equals the URL. */
  url_key: string | null;
  /** Route pattern of the framework, for example `/users/:id`. */
  route: string | null;
  /** `HTTP/1.1`, `HTTP/2.0`. */
  protocol: string;
  /** Status sent; 499 if the client left before any header was sent. */
  status: number;
  /** Number of body bytes passed to Node for this response; 0 for HEAD, 204 and 304. */
  content_length: number;
  /** Time from arrival to the write that completed the response, in µs. */
  duration: number;
  /** Address of the client. */
  remote_addr: string | null;
  /** X-Forwarded-For header or, without it, the nodes of `Forwarded`. */
  forwarded_for: string | null;
  /** User agent header as it was sent. */
  user_agent: string | null;
  /** Browser name, for example `Chrome`. */
  browser: string | null;
  /** Browser version, for example `126.0.0.0`. */
  version: string | null;
  /** Operating system, for example `Windows`. */
  platform: string | null;
  /** Preferred language of Accept-Language, for example `en-US`. */
  language: string | null;
  /** Referer header. Without secrets and click IDs. */
  referrer: string | null;
  /** Result of the option `username`, or the user of Basic credentials. */
  username: string | null;
  /** 1 if credentials were sent, otherwise 0. */
  authorization: number;
  /** Visitor ID from the cookie. */
  visitor: string | null;
  /** ISO 3166 code of the address's country, for example `DE`. */
  country: string | null;
  /** 1 if the user agent identifies as a bot, otherwise 0. */
  bot: number;
  /** Pattern at which the route's router is mounted. */
  blueprint: string | null;
  /** JSON of an `Extra`; `null` if it is empty. */
  extra: string | null;
  /** Path of the URL; `null` for a record of an earlier release, like the columns that follow. */
  path: string | null;
  /** Host of the referrer without `www.`, or `(internal)` if it is the host of the request. */
  referrer_host: string | null;
  /** Campaign of the URL, for example `newsletter / email / spring`. */
  campaign: string | null;
  /** Kind of device, for example `mobile`. */
  device: string | null;
  /** Kind of the response: `page`, `api` or `asset`. */
  class: string | null;
  /** Number of body bytes of the request. */
  received: number | null;
}

/** Text column that databases store. */
type StoredText = Exclude<TextColumn, DerivedColumn>;

/** Converts rows to a batch to be stored, including the data that a copy must preserve. */
export function batchOf(rows: readonly RecordRow[], site: string): RecordBatch {
  const batch = new RecordBatch(Math.max(1, rows.length));
  batch.site = site;
  for (const row of rows) {
    const i = batch.length++;
    batch.date[i] = row.ms;
    batch.duration[i] = row.duration;
    batch.contentLength[i] = row.content_length;
    batch.received[i] = row.received ?? -1;
    batch.status[i] = row.status;
    batch.flags[i] = (row.authorization ? FLAG_AUTHORIZATION : 0) | (row.bot ? FLAG_BOT : 0);
    const texts: Record<StoredText, string | null> & { state: string; botName: string | null } = {
      serverName: row.server_name,
      method: row.method,
      url: row.url,
      urlKey: row.url_key ?? null,
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
      path: row.path ?? null,
      referrerHost: row.referrer_host ?? null,
      campaign: row.campaign ?? null,
      device: row.device ?? null,
      class: row.class ?? null,
    };
    for (const [column, text] of Object.entries(texts)) {
      batch.text[column as TextColumn][i] = batch.internStored(text);
    }
    batch.derive(i);
    if (row.extra === null) continue;
    batch.extra.set(i, row.extra);
    const { keys = {} } = JSON.parse(row.extra) as Extra;
    for (const [name, found] of Object.entries(keys)) batch.setKeys(name, i, found);
  }
  return batch;
}

/** Converts a row to a record. */
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
    class: (row.class ?? null) as RequestClass | null,
    contentLength: row.content_length,
    received: row.received ?? null,
    duration: row.duration,
    remoteAddr: row.remote_addr,
    forwardedFor: row.forwarded_for,
    userAgent:
      row.user_agent === null
        ? null
        : {
            string: row.user_agent,
            browser: row.browser,
            version: row.version,
            platform: row.platform,
            device: row.device ?? null,
          },
    language: row.language,
    referrer: row.referrer,
    referrerHost: row.referrer_host ?? null,
    campaign: row.campaign ?? null,
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
 * @param urlKey Key in `sumUrls`, if it is not the URL.
 * @param path Stored path.
 */
export function rowOfRecord(
  record: UsageRecord,
  extra: string | null,
  urlKey: string | null = null,
  path: string | null = null,
): RecordRow {
  return {
    ms: record.date,
    site: record.site,
    server_name: record.serverName,
    method: record.method,
    url: record.url,
    url_key: urlKey,
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
    path,
    referrer_host: record.referrerHost,
    campaign: record.campaign,
    device: record.userAgent?.device ?? null,
    class: record.class,
    received: record.received,
  };
}
