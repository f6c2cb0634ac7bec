/** Data parsed from a user agent string. Parsed in the writer, never during a request. */
export interface UserAgent {
  /** Header as it was sent. */
  string: string;
  /** Browser name, for example `Chrome`, or the name of a bot, for example `Googlebot`. */
  browser: string | null;
  /** Browser version, for example `126.0.0.0`. */
  version: string | null;
  /** Operating system, for example `Windows`. */
  platform: string | null;
  /** Kind of device: `desktop`, `mobile`, `tablet`, `tv`, or `bot`. */
  device: string | null;
}

/** Kinds of responses: a page for people, data for programs, or a file that a page loads. */
export const REQUEST_CLASSES = ['page', 'api', 'asset'] as const;
/**
 * Kind of a response: a page for people, data for programs, or a file that a page loads.
 * @useDeclaredType
 */
export type RequestClass = (typeof REQUEST_CLASSES)[number];

/** Record of one request. Unknown values are `null`, never an empty string. */
export interface UsageRecord {
  /** Arrival of the request, in ms since 1970, UTC. */
  date: number;
  /** Name of the site. Distinguishes apps that share a storage. Defaults to `default`. */
  site: string;
  /** Value of the option `serverName`. Defaults to the site. */
  serverName: string;
  /** HTTP method, for example `GET`. */
  method: string;
  /** URL as requested, with scheme, host and query. Without secrets and click IDs. */
  url: string;
  /** Path of the URL, from the first slash up to the query. */
  path: string;
  /** Route pattern of the framework, for example `/users/:id`. */
  route: string | null;
  /** Values of the route's parameters (Flask-Track-Usage: `view_args`). */
  // biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
  routeParams: Record<string, any> | null;
  /** Query values by name (Flask-Track-Usage: `url_args`). A repeated name has a list. */
  query: Record<string, string | string[]> | null;
  /** `HTTP/1.1`, `HTTP/2.0`. */
  protocol: string;
  /** Status sent; 499 if the client left before any header was sent. */
  status: number;
  /** Kind of the response: `page`, `api` or `asset`. See the option `classify`. */
  class: RequestClass | null;
  /** Number of body bytes passed to Node for this response; 0 for HEAD, 204 and 304. */
  contentLength: number;
  /** Number of body bytes of the request, 0 without a body. */
  received: number | null;
  /** Time from arrival to the write that completed the response, in µs. */
  duration: number;
  /** Address of the client. Behind a proxy, it depends on the framework's trust setting. */
  remoteAddr: string | null;
  /** X-Forwarded-For header or, without it, the nodes of `Forwarded`. */
  forwardedFor: string | null;
  /** User agent, as sent and parsed; `null` without the header. */
  userAgent: UserAgent | null;
  /** Preferred language of Accept-Language, for example `en-US`. */
  language: string | null;
  /** Referer header. Without secrets and click IDs. */
  referrer: string | null;
  /** Host of the referrer without `www.`, or `(internal)` if it is the host of the request. */
  referrerHost: string | null;
  /** `utm_source`, `utm_medium` and `utm_campaign` of the URL, for example `newsletter / email / spring`. */
  campaign: string | null;
  /** Result of the option `username`. Defaults to the user of Basic credentials. */
  username: string | null;
  /** True if credentials were sent. The credentials are never stored. */
  authorization: boolean;
  /** Visitor ID, from the cookie or for the day; `null` for bots. */
  visitor: string | null;
  /** ISO 3166 code of the address's country, for example `DE`. */
  country: string | null;
  /** Additional data from the lookup of the address. */
  geo: Record<string, unknown> | null;
  /** True if the user agent identifies as a bot. */
  bot: boolean;
  /** Custom data set by the app (Flask-Track-Usage: `track_var`). */
  // biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
  vars: Record<string, any> | null;
  /** Pattern at which the route's router is mounted (Flask-Track-Usage: `blueprint`). */
  blueprint: string | null;
}

/**
 * Data known when a request is captured: the record without values that the writer derives. A function that
 * accepts this also accepts a `UsageRecord`.
 */
export type CapturedRecord = Omit<
  UsageRecord,
  'userAgent' | 'language' | 'country' | 'geo' | 'bot' | 'referrerHost' | 'campaign'
> & {
  /** User agent, as sent; `null` without the header. */
  userAgent: Pick<UserAgent, 'string'> | null;
};

/**
 * Text columns of a record. Each distinct value is held once in a batch and once in a database. `agent` is
 * the user agent's string, `browser` its name, `botName` the name of a bot, `state` the status code as text. `urlKey` is
 * the key in `sumUrls`, see the option `urlKey`; records and databases hold `null` for it where it equals the URL.
 * `notFound` is the key in `sumUrls` of a response with status 404, and `page`, `api` and `asset` are the path of a
 * request of that class.
 */
export const TEXT_COLUMNS = [
  'serverName',
  'method',
  'url',
  'urlKey',
  'route',
  'protocol',
  'remoteAddr',
  'forwardedFor',
  'agent',
  'browser',
  'version',
  'platform',
  'language',
  'referrer',
  'username',
  'visitor',
  'country',
  'blueprint',
  'state',
  'botName',
  'path',
  'referrerHost',
  'campaign',
  'device',
  'class',
  'notFound',
  ...REQUEST_CLASSES,
] as const;

/**
 * Name of a text column: one of `TEXT_COLUMNS`.
 * @useDeclaredType
 */
export type TextColumn = (typeof TEXT_COLUMNS)[number];

/** Text columns whose values follow from others. Databases do not store them. */
export const DERIVED_COLUMNS = ['state', 'botName', 'notFound', ...REQUEST_CLASSES] as const;
/** Name of one of `DERIVED_COLUMNS`. */
export type DerivedColumn = (typeof DERIVED_COLUMNS)[number];

/** Returns whether a column holds the path of the requests of one class. */
export function isClassColumn(column: TextColumn): column is RequestClass {
  return (REQUEST_CLASSES as readonly string[]).includes(column);
}
