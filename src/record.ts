/** What a user agent string says. Parsed in the writer, never in a request. */
export interface UserAgent {
  /** The header as it was sent. */
  string: string;
  /** For example `Chrome`. */
  browser: string | null;
  /** For example `126.0.0.0`. */
  version: string | null;
  /** For example `Windows`. */
  platform: string | null;
}

/** What one request left behind. What is unknown is `null`, never an empty string. */
export interface UsageRecord {
  /** When the request arrived: ms since 1970, UTC. */
  date: number;
  /** The name under which several apps share a storage. Defaults to `default`. */
  site: string;
  /** The option `serverName`; the site where it is not given. */
  serverName: string;
  method: string;
  /** As requested, with scheme, host and query; secrets redacted. */
  url: string;
  path: string;
  /** The framework's pattern, such as `/users/:id`. */
  route: string | null;
  /** The values of the pattern's parameters (Flask-Track-Usage: `view_args`). */
  // biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
  routeParams: Record<string, any> | null;
  /** The query's values by name (Flask-Track-Usage: `url_args`); a name that stands twice has a list. */
  query: Record<string, string | string[]> | null;
  /** `HTTP/1.1`, `HTTP/2.0`. */
  protocol: string;
  /** The status sent; 499 where the client left before any header was. */
  status: number;
  /** Body bytes given to Node for this response; 0 for HEAD, 204 and 304. */
  contentLength: number;
  /** From arrival to the write that completed the response, in µs. */
  duration: number;
  /** The client's address; behind a proxy what the framework's trust setting says. */
  remoteAddr: string | null;
  /** The X-Forwarded-For header or, without it, the nodes of `Forwarded`. */
  forwardedFor: string | null;
  userAgent: UserAgent | null;
  /** The best of Accept-Language, such as `en-US`. */
  language: string | null;
  referrer: string | null;
  username: string | null;
  /** Whether credentials were sent. Never the credentials. */
  authorization: boolean;
  /** The visitor's id from the cookie. */
  visitor: string | null;
  /** ISO 3166 code of the address, such as `DE`. */
  country: string | null;
  /** What the look-up of the address gave besides the country. */
  geo: Record<string, unknown> | null;
  /** Whether the user agent says it is a robot. */
  bot: boolean;
  /** What the app noted about the request (Flask-Track-Usage: `track_var`). */
  // biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
  vars: Record<string, any> | null;
  /** The pattern under which the route's router is mounted (Flask-Track-Usage: `blueprint`). */
  blueprint: string | null;
}

/**
 * What is known of a request when it is captured: the record without what the writer finds out from it. A function
 * that takes this takes a `UsageRecord` too.
 */
export type CapturedRecord = Omit<UsageRecord, 'userAgent' | 'language' | 'country' | 'geo' | 'bot'> & {
  userAgent: Pick<UserAgent, 'string'> | null;
};

/**
 * The columns of a record that hold text. Their values are held once in a batch and once in a database.
 * `agent` is the user agent's string, `browser` its name, `robot` the name of one that says it is no person's,
 * `state` the status code as text.
 */
export const TEXT_COLUMNS = [
  'serverName',
  'method',
  'url',
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
  'robot',
] as const;

export type TextColumn = (typeof TEXT_COLUMNS)[number];
