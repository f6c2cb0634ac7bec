import { FLAG_AUTHORIZATION, FLAG_BOT, type RecordBatch } from '../../batch.ts';
import { RECORD_COLUMNS, type RecordRow } from '../../storage/record-row.ts';

type Column = Exclude<(typeof RECORD_COLUMNS)[number], 'site'>;

const NOTHING = Object.fromEntries(RECORD_COLUMNS.map((column) => [column, null]));

/**
 * Returns the record at `index` as JSON, as stored in the stream beside its date. Missing values are omitted.
 */
export function jsonOf(records: RecordBatch, index: number): string {
  const { text, strings, flags } = records;
  const of = (column: keyof typeof text): string | undefined => strings[text[column][index]!] ?? undefined;
  const row: { [column in Column]: string | number | undefined } = {
    server_name: of('serverName'),
    method: of('method'),
    url: of('url'),
    url_key: of('urlKey'),
    route: of('route'),
    protocol: of('protocol'),
    status: records.status[index]!,
    content_length: records.contentLength[index]!,
    duration: records.duration[index]!,
    remote_addr: of('remoteAddr'),
    forwarded_for: of('forwardedFor'),
    user_agent: of('agent'),
    browser: of('browser'),
    version: of('version'),
    platform: of('platform'),
    language: of('language'),
    referrer: of('referrer'),
    username: of('username'),
    authorization: (flags[index]! & FLAG_AUTHORIZATION) === 0 ? undefined : 1,
    visitor: of('visitor'),
    country: of('country'),
    bot: (flags[index]! & FLAG_BOT) === 0 ? undefined : 1,
    blueprint: of('blueprint'),
    extra: records.extra.get(index),
    path: of('path'),
    referrer_host: of('referrerHost'),
    campaign: of('campaign'),
    device: of('device'),
    class: of('class'),
    received: records.receivedAt(index) ?? undefined,
  };
  return JSON.stringify(row);
}

/** Parses the JSON of a record to a complete row. */
export function rowOf(site: string, date: number, json: string): RecordRow {
  return { ...NOTHING, authorization: 0, bot: 0, ...JSON.parse(json), ms: date, site } as RecordRow;
}
