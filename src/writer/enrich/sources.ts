import { asStored, cut } from '../../text/text.ts';

/** Key of referrers with the host of the request. No host has this value. */
export const INTERNAL_HOST = '(internal)';

/** Longest host name, without a trailing dot (RFC 1035). */
const MAX_HOST_LENGTH = 253;
/** Maximum length of a campaign, in UTF-16 units. A longer one is truncated and ends with a hash. */
const MAX_CAMPAIGN_LENGTH = 256;
/** Query parameters of a campaign, in the order of its parts. */
export const CAMPAIGN_PARAMETERS = ['utm_source', 'utm_medium', 'utm_campaign'] as const;
/** Part of a campaign that the URL lacks. */
const MISSING = '-';

/**
 * Returns the host of an absolute URL in lowercase, without port and `www.`, or `null` if it has none. International
 * names of web pages are in Punycode.
 */
export function hostOf(url: string): string | null {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return null;
  let host: string;
  try {
    host = new URL(url).hostname.toLowerCase();
  } catch {
    return null;
  }
  if (host.endsWith('.')) host = host.slice(0, -1);
  if (host.startsWith('www.') && host.includes('.', 4)) host = host.slice(4);
  return host === '' || host.length > MAX_HOST_LENGTH ? null : host;
}

/**
 * Returns the campaign of a URL: its `utm_source`, `utm_medium` and `utm_campaign`, separated by ` / `, or `null`
 * without any of them. `-` stands for a part that is missing before another one.
 */
export function campaignOf(url: string): string | null {
  const mark = url.indexOf('?');
  // Most URLs have none, and parsing a query takes a microsecond.
  if (mark < 0 || !url.includes('utm_', mark)) return null;
  const query = new URLSearchParams(url.slice(mark + 1).split('#', 1)[0]);
  const parts = CAMPAIGN_PARAMETERS.map((name) => query.get(name)?.trim() || MISSING);
  while (parts.at(-1) === MISSING) parts.pop();
  return parts.length === 0 ? null : cut(asStored(parts.join(' / ')), MAX_CAMPAIGN_LENGTH);
}
