import type { TextColumn } from '../../record.ts';
import { MEASURES } from '../../storage/measures.ts';

/** Columns of records that hold the ID of a text. */
export const RECORD_TEXTS = {
  url: 'url',
  remoteAddr: 'remote_addr',
  forwardedFor: 'forwarded_for',
  language: 'language',
  referrer: 'referrer',
  username: 'username',
  visitor: 'visitor',
  country: 'country',
  urlKey: 'url_key',
  path: 'path',
  referrerHost: 'referrer_host',
  campaign: 'campaign',
  class: 'class',
} as const satisfies Partial<Record<TextColumn, string>>;

/** Columns of `endpoints` that hold the ID of a text. */
export const ENDPOINT_TEXTS = {
  serverName: 'server_name',
  method: 'method',
  protocol: 'protocol',
  route: 'route',
  blueprint: 'blueprint',
} as const satisfies Partial<Record<TextColumn, string>>;

/** Columns of `endpoints`. `credentials` is 0 or 1. */
export const ENDPOINT_COLUMNS = [...Object.values(ENDPOINT_TEXTS), 'credentials'] as const;

/** Assignments that add up the measures of an existing row. */
export function addingUp(sum: (measure: string) => string): string {
  return MEASURES.map((measure) => `${measure} = ${sum(measure)}`).join(', ');
}
