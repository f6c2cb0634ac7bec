import type { Extra } from '../batch.ts';
import type { CapturedRecord } from '../record.ts';

/** Copied when this module is loaded, because an app's tests may replace the global function. */
const { stringify } = JSON;

/** Key in `sumUrls` of requests with status 404 and no route, if they are grouped. No URL has this value. */
export const NOT_FOUND = '(not found)';

/** Parts of a request that can be its key in `sumUrls`. */
export const URL_KEYS = ['url', 'path', 'route'] as const;

/** Function that returns a request's key in `sumUrls`. Without a result, the key is the URL. */
export type UrlKeyFunction = (record: CapturedRecord) => string | null | undefined;

/** Key of requests in `sumUrls`, unless it was determined at capture. */
export interface UrlKeyChoice {
  /** Part of the request. A request without a route has its path instead. */
  by: (typeof URL_KEYS)[number];
  /** True if requests with status 404 and no route have the key `NOT_FOUND`. */
  groupsNotFound: boolean;
}

/** Start of the JSON of an `Extra` with a `urlKey`, which is always its first value. */
const URL_KEY_FIRST = '{"urlKey":';

/** Adds a key to the JSON of an `Extra`, which may be `''`. */
export function withUrlKey(extra: string, urlKey: string): string {
  return `${URL_KEY_FIRST}${stringify(urlKey)}${extra === '' ? '' : `,${extra.slice(1, -1)}`}}`;
}

/** Removes the key that `withUrlKey` added, if there is one. */
export function withoutUrlKey(extra: string): { extra: string; urlKey: string | undefined } {
  if (!extra.startsWith(URL_KEY_FIRST)) return { extra, urlKey: undefined };
  const { urlKey, ...others } = JSON.parse(extra) as Extra;
  return { extra: Object.keys(others).length === 0 ? '' : stringify(others), urlKey };
}
