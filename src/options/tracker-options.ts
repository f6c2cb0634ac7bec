import { resolve } from 'node:path';
import proxyAddr from 'proxy-addr';
import type { Request } from '../capture/exchange.ts';
import { type OptedOut, OptOut } from '../capture/opt-out.ts';
import { createRedactor } from '../capture/redact.ts';
import { FIELD_NAMES, type StoredFields } from '../capture/stored-fields.ts';
import { CLICK_IDS, createStripper } from '../capture/strip-query.ts';
import { VIEWS, type Views } from '../capture/view-filter.ts';
import { type CookieOptions, VisitorCookie } from '../capture/visitor.ts';
import { type ErrorCode, show, TrackUsageError } from '../errors.ts';
import { JOURNAL_MODES, type JournalMode } from '../journal/journal.ts';
import { Calendar } from '../summaries/periods.ts';
import type { ClassifyFunction } from '../summaries/request-class.ts';
import { URL_KEYS, type UrlKeyChoice, type UrlKeyFunction } from '../summaries/url-key.ts';
import { type FreeGeoIpSettings, readFreeGeoIp } from '../writer/enrich/free-geo-ip-settings.ts';
import type { GeoOption, GeoSettings } from '../writer/enrich/geo.ts';
import { CAMPAIGN_PARAMETERS } from '../writer/enrich/sources.ts';
import { checkOption, checkOptions, isText, isWholeNumber, switchFromEnvironment } from './checks.ts';

/** Node's request, including properties set by the app's middleware, for example `request.user`. */
// biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
export type AppRequest = Request & { readonly [property: string]: any };

/** Options of a TrackUsage. All are optional. */
export interface TrackUsageOptions {
  /** Name of the site, to distinguish apps that share a storage. Defaults to `default`. */
  site?: string;
  /** Key of `sumServer`. Defaults to the site. */
  serverName?: string;
  /** IANA time zone in which hours, days and months begin. Defaults to `UTC`. */
  timeZone?: string;
  /** Settings of the journal: its directory, maximum size and durability. */
  journal?: JournalSettings;
  /**
   * Mode of tracking: all requests except those marked with `exclude`, or only those marked with `include`.
   * Defaults to `TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS`, or `exclude`.
   */
  views?: Views;
  /**
   * Method of identifying visitors: `cookie` sets a cookie, `daily` computes a keyed hash of address and user agent that
   * is valid for one day, `false` disables it. Defaults to the method whose settings are passed, or to
   * `TRACK_USAGE_COOKIE`.
   */
  visitors?: 'cookie' | 'daily' | false;
  /** Settings of the cookie; `true` for the defaults. */
  cookie?: boolean | CookieOptions;
  /** Settings of daily visitors. */
  daily?: DailyOptions;
  /**
   * Country database, or false for none. Defaults to the optional package, if it is installed and `freeGeoIp`
   * is not set.
   */
  geo?: GeoSettings | false;
  /**
   * Geolocation service. Visitors' addresses that the database of `geo` does not know are sent to it.
   * Defaults to `TRACK_USAGE_USE_FREEGEOIP` with `TRACK_USAGE_FREEGEOIP_ENDPOINT`, or false.
   */
  freeGeoIp?: boolean | FreeGeoIpSettings;
  /**
   * Proxies whose X-Forwarded headers are trusted, or `Forwarded` if there are none. For Hono and servers of
   * node:http, https and http2; same format as `proxy-addr`. Express, Fastify and Koa have their own setting,
   * and passing this option with them throws `TRUST_PROXY_UNUSED`. Defaults to none.
   */
  trustProxy?: boolean | string | readonly string[] | ((address: string, hop: number) => boolean);
  /** Returns the user who made the request. Defaults to the user of Basic credentials. */
  username?: (request: AppRequest) => string | null | undefined;
  /** Names of query parameters whose values are never stored. Replaces the default list. */
  redact?: readonly string[];
  /**
   * Names of query parameters that are removed from URLs and referrers, with `*` as a wildcard, or false for none.
   * Replaces the default list of click IDs (`gclid`, `fbclid` and others).
   */
  stripQuery?: readonly string[] | false;
  /**
   * Key of requests in `sumUrls`: the complete URL, its path, or the route pattern (the path for requests without a
   * route). A function is called synchronously when the request is captured, like the key of `defineSummary`; without a
   * result, the key is the URL. Defaults to `url`.
   */
  urlKey?: 'url' | 'path' | 'route' | UrlKeyFunction;
  /**
   * Class of a request: `page`, `api` or `asset`. Called synchronously when the request is captured, with a record whose
   * `class` is the default: that of the response's Content-Type and of the path. Without a result, the default stays.
   */
  classify?: ClassifyFunction;
  /** True to count requests with status 404 and no route under one key in `sumUrls`: `(not found)`. Defaults to false. */
  groupNotFound?: boolean;
  /**
   * Masks addresses before anything is stored: the last byte of IPv4, all but 48 bits of IPv6. Defaults to
   * false.
   */
  anonymizeIp?: boolean;
  /** Omits fields from the records: `store: { remoteAddr: false, userAgent: 'reduced' }`. Defaults to storing all. */
  store?: StoredFields;
  /** Makes the header `DNT: 1` (Do Not Track) opt out. Defaults to false. */
  respectDnt?: boolean;
  /** Makes the header `Sec-GPC: 1` (Global Privacy Control) opt out. Defaults to false. */
  respectGpc?: boolean;
  /** Name of a cookie that opts out, regardless of its value. Defaults to none. */
  optOutCookie?: string;
  /**
   * Handling of requests from people who opted out: `exclude` records nothing, `anonymous` records them without address,
   * user agent, language, referrer, user name and visitor ID. Defaults to `exclude`.
   */
  optedOut?: OptedOut;
  /**
   * Called with each problem, at most once per minute per error code. Defaults to printing a line on stderr.
   */
  onError?: (error: Error & { readonly code?: ErrorCode }) => void;
}

/** Settings of daily visitors. */
export interface DailyOptions {
  /**
   * Secret from which the key of each day is derived. Without one, the key is random, kept in each storage, and
   * destroyed after the next day. Defaults to none.
   */
  secret?: string;
}

/** Settings of the journal, to which records are appended before they are stored. */
export interface JournalSettings {
  /** Directory of the journals. Defaults to `.track-usage` in the working directory. */
  dir?: string;
  /** Maximum total size of the journals of one site and set of storages, in bytes. Defaults to 1 GiB. Minimum 1 MiB. */
  maxBytes?: number;
  /** Durability of the journal: see `JournalMode`. Defaults to `append`. */
  mode?: JournalMode;
}

const OPTIONS = [
  'site',
  'serverName',
  'timeZone',
  'journal',
  'views',
  'visitors',
  'cookie',
  'daily',
  'geo',
  'freeGeoIp',
  'trustProxy',
  'username',
  'redact',
  'stripQuery',
  'urlKey',
  'groupNotFound',
  'classify',
  'anonymizeIp',
  'store',
  'respectDnt',
  'respectGpc',
  'optOutCookie',
  'optedOut',
  'onError',
] as const satisfies readonly (keyof TrackUsageOptions)[];

/** Default of `journal.maxBytes`, in bytes. */
const DEFAULT_MAX_BYTES = 1024 ** 3;
const MIN_MAX_BYTES = 1024 ** 2;
/** Validates the options and adds the defaults. */
export function readSettings(options: TrackUsageOptions) {
  checkOptions('TrackUsage', options, OPTIONS);
  const {
    site = 'default',
    timeZone = 'UTC',
    journal = {},
    redact,
    stripQuery = CLICK_IDS,
    username,
    urlKey = 'url',
    groupNotFound = false,
    classify,
    anonymizeIp = false,
    onError,
  } = options;
  checkOption('site', site, isText(site) && site.length <= 255, 'a name of 1 to 255 characters');
  const { serverName = site } = options;
  checkOption(
    'serverName',
    serverName,
    isText(serverName) && serverName.length <= 255,
    'a name of 1 to 255 characters',
  );
  new Calendar(timeZone);
  checkOptions('journal', journal, ['dir', 'maxBytes', 'mode']);
  checkOption('journal.dir', journal.dir, isText(journal.dir), 'the path of a directory');
  checkOption(
    'journal.maxBytes',
    journal.maxBytes,
    isWholeNumber(journal.maxBytes, MIN_MAX_BYTES),
    `a whole number of bytes, at least ${MIN_MAX_BYTES}`,
  );
  checkOption(
    'journal.mode',
    journal.mode,
    JOURNAL_MODES.includes(journal.mode as JournalMode),
    `one of ${JOURNAL_MODES.map((mode) => `"${mode}"`).join(', ')}`,
  );
  checkOption('username', username, typeof username === 'function', 'a function');
  checkOption('onError', onError, typeof onError === 'function', 'a function');
  checkOption('anonymizeIp', anonymizeIp, typeof anonymizeIp === 'boolean', 'true or false');
  checkOption('redact', redact, Array.isArray(redact) && redact.every(isText), 'a list of names');
  const isNames = Array.isArray(stripQuery) && stripQuery.every((name) => isText(name) && name !== '*');
  checkOption('stripQuery', stripQuery, stripQuery === false || isNames, 'a list of names, or false');
  const isFunction = typeof urlKey === 'function';
  checkOption(
    'urlKey',
    urlKey,
    isFunction || URL_KEYS.includes(urlKey),
    '"url", "path", "route" or a function',
  );
  checkOption('groupNotFound', groupNotFound, typeof groupNotFound === 'boolean', 'true or false');
  checkOption('classify', classify, typeof classify === 'function', 'a function');
  const freeGeoIp = readFreeGeoIp(options.freeGeoIp);
  const { cookie, cookieWhen, daily } = readVisitors(options);
  const views =
    options.views ?? (process.env.TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS?.trim().toLowerCase() || undefined);
  checkOption('views', views, VIEWS.includes(views as Views), '"exclude" or "include"');
  return {
    site,
    serverName,
    timeZone,
    journal: {
      dir: journal.dir,
      maxBytes: journal.maxBytes ?? DEFAULT_MAX_BYTES,
      mode: journal.mode ?? 'append',
    },
    views: (views ?? 'exclude') as Views,
    cookie,
    cookieWhen,
    daily,
    // With a service configured, an installed package must not replace its results.
    geo: readGeo(options.geo ?? (freeGeoIp ? false : undefined)),
    freeGeoIp,
    trust: options.trustProxy === undefined ? undefined : readTrust(options.trustProxy),
    urlKey: isFunction ? urlKey : undefined,
    urlKeys: { by: isFunction ? 'url' : urlKey, groupsNotFound: groupNotFound } satisfies UrlKeyChoice,
    classify,
    stripsCampaigns: stripsCampaigns(stripQuery || []),
    anonymizeIp,
    stored: readStored(options.store),
    optOut: readOptOut(options),
    cleanUrl: cleanerOf(createRedactor(redact), createStripper(stripQuery || [])),
  };
}

/** Returns whether no URL that is stored has a campaign. */
function stripsCampaigns(stripped: readonly string[]): boolean {
  const strip = createStripper(stripped);
  return CAMPAIGN_PARAMETERS.every((name) => strip(`/?${name}=a`) === '/');
}

/** Returns a function that removes the parameters first, because less text is then searched for secrets. */
function cleanerOf(redact: (url: string) => string, strip: (url: string) => string) {
  return (url: string) => redact(strip(url));
}

function readStored(given: StoredFields = {}): Required<StoredFields> {
  checkOptions('store', given, FIELD_NAMES);
  const stored = { ...Object.fromEntries(FIELD_NAMES.map((name) => [name, true])), ...given };
  for (const name of FIELD_NAMES) {
    const isReduced = name === 'userAgent' && given[name] === 'reduced';
    const expected = name === 'userAgent' ? 'true, false or "reduced"' : 'true or false';
    checkOption(`store.${name}`, given[name], typeof given[name] === 'boolean' || isReduced, expected);
  }
  return stored as Required<StoredFields>;
}

/** Printable ASCII without the separators of cookies. */
const COOKIE_NAME = /^[!-:<>-~]+$/;

function readOptOut({
  respectDnt: dnt = false,
  respectGpc: gpc = false,
  optOutCookie: cookie,
  optedOut = 'exclude',
}: TrackUsageOptions): OptOut | undefined {
  checkOption('respectDnt', dnt, typeof dnt === 'boolean', 'true or false');
  checkOption('respectGpc', gpc, typeof gpc === 'boolean', 'true or false');
  // Another text, such as `name=1`, would never match, and nobody could opt out.
  const isName = typeof cookie === 'string' && COOKIE_NAME.test(cookie);
  checkOption('optOutCookie', cookie, isName, 'the name of a cookie');
  checkOption(
    'optedOut',
    optedOut,
    optedOut === 'exclude' || optedOut === 'anonymous',
    '"exclude" or "anonymous"',
  );
  return dnt || gpc || cookie !== undefined ? new OptOut({ dnt, gpc, cookie }, optedOut) : undefined;
}

const NO_VISITORS = { cookie: undefined, cookieWhen: undefined, daily: undefined };

function readVisitors({ visitors, cookie, daily }: TrackUsageOptions) {
  const isValid = visitors === 'cookie' || visitors === 'daily' || visitors === false;
  checkOption('visitors', visitors, isValid, '"cookie", "daily" or false');
  const isDefault = visitors === undefined && cookie === undefined && daily === undefined;
  const isCookie = isDefault
    ? switchFromEnvironment('TRACK_USAGE_COOKIE') === true
    : cookie !== undefined && cookie !== false;
  const kind = visitors ?? (isCookie ? 'cookie' : daily !== undefined && 'daily');
  const unused = `no value, because visitors is ${JSON.stringify(kind)}`;
  checkOption(
    'cookie',
    cookie,
    kind === 'cookie' ? cookie !== false : !isCookie,
    kind === 'cookie' ? 'true or an object' : unused,
  );
  checkOption('daily', daily, kind === 'daily', unused);
  if (kind === 'daily') return { ...NO_VISITORS, daily: readDaily(daily) };
  return kind === 'cookie' ? { ...NO_VISITORS, ...readCookie(cookie) } : NO_VISITORS;
}

function readDaily(options: DailyOptions = {}): { secret: string | undefined } {
  checkOptions('daily', options, ['secret']);
  const { secret } = options;
  if (secret !== undefined && !isText(secret)) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'daily.secret',
      // Messages are logged, so they show only the type.
      value: show(typeof secret),
      expected: 'a non-empty string',
    });
  }
  return { secret };
}

function readCookie(given: TrackUsageOptions['cookie']) {
  const options = given === undefined || given === true ? {} : (given as CookieOptions);
  checkOptions('cookie', options, ['name', 'maxAge', 'path', 'domain', 'secret', 'when']);
  return { cookie: new VisitorCookie(options), cookieWhen: options.when };
}

/** Makes the path absolute, because threads may read it after the app has changed its working directory. */
function readGeo(geo: GeoOption): GeoOption {
  if (geo === undefined || geo === false) return geo;
  checkOptions('geo', geo, ['database']);
  checkOption('geo.database', geo.database, isText(geo.database), 'the path of a file in MMDB format');
  return { database: resolve(geo.database) };
}

function readTrust(
  given: NonNullable<TrackUsageOptions['trustProxy']>,
): (address: string, hop: number) => boolean {
  if (typeof given === 'boolean') return () => given;
  if (typeof given === 'function') return given;
  try {
    return proxyAddr.compile(
      typeof given === 'string' ? given.split(',').map((part) => part.trim()) : [...given],
    );
  } catch (error) {
    throw new TrackUsageError(
      'OPTION_INVALID',
      {
        name: 'trustProxy',
        value: show(given),
        expected: 'true, addresses, subnets, "loopback", "linklocal", "uniquelocal", or a function',
      },
      { cause: error },
    );
  }
}
