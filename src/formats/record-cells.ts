import type { UsageRecord } from '../record.ts';
import type { Calendar } from '../summaries/periods.ts';
import type { Cell } from './csv.ts';
import { json } from './json.ts';

/** Flat cells for all fields of a record. Fields with several values are JSON. */
export const RECORD_CELLS = {
  date: ({ date }, zone) => zone.format(date),
  site: ({ site }) => site,
  serverName: ({ serverName }) => serverName,
  method: ({ method }) => method,
  url: ({ url }) => url,
  path: ({ path }) => path,
  route: ({ route }) => route,
  routeParams: ({ routeParams }) => jsonOrNull(routeParams),
  query: ({ query }) => jsonOrNull(query),
  protocol: ({ protocol }) => protocol,
  status: ({ status }) => status,
  class: ({ class: found }) => found,
  contentLength: ({ contentLength }) => contentLength,
  received: ({ received }) => received,
  duration: ({ duration }) => duration,
  remoteAddr: ({ remoteAddr }) => remoteAddr,
  forwardedFor: ({ forwardedFor }) => forwardedFor,
  userAgent: ({ userAgent }) => userAgent?.string ?? null,
  browser: ({ userAgent }) => userAgent?.browser ?? null,
  version: ({ userAgent }) => userAgent?.version ?? null,
  platform: ({ userAgent }) => userAgent?.platform ?? null,
  device: ({ userAgent }) => userAgent?.device ?? null,
  language: ({ language }) => language,
  referrer: ({ referrer }) => referrer,
  referrerHost: ({ referrerHost }) => referrerHost,
  campaign: ({ campaign }) => campaign,
  username: ({ username }) => username,
  authorization: ({ authorization }) => authorization,
  visitor: ({ visitor }) => visitor,
  country: ({ country }) => country,
  geo: ({ geo }) => jsonOrNull(geo),
  bot: ({ bot }) => bot,
  vars: ({ vars }) => jsonOrNull(vars),
  blueprint: ({ blueprint }) => blueprint,
} satisfies Record<
  keyof UsageRecord | 'browser' | 'version' | 'platform' | 'device',
  (record: UsageRecord, zone: Calendar) => Cell
>;

function jsonOrNull(value: object | null): Cell {
  return value === null ? null : { json: json(value) };
}
