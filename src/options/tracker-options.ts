import { resolve } from 'node:path';
import proxyAddr from 'proxy-addr';
import type { Request } from '../capture/exchange.ts';
import { createRedactor } from '../capture/redact.ts';
import { VIEWS, type Views } from '../capture/views.ts';
import { type CookieOptions, VisitorCookie } from '../capture/visitor.ts';
import { type ErrorCode, show, TrackUsageError } from '../errors.ts';
import { JOURNAL_MODES, type JournalMode } from '../journal/journal.ts';
import { calendar } from '../summaries/periods.ts';
import { type FreeGeoIpSettings, readFreeGeoIp } from '../writer/enrich/free-geo-ip-settings.ts';
import type { GeoOption } from '../writer/enrich/geo.ts';
import { checkOption, checkOptions, isText, isWholeNumber, switchFromEnvironment } from './checks.ts';

/** Node's request, with what the app's middleware has put on it, such as `request.user`. */
// biome-ignore lint/suspicious/noExplicitAny: only the app knows what it is
export type AppRequest = Request & { readonly [property: string]: any };

/** Options of a TrackUsage. All may be left out. */
export interface TrackUsageOptions {
  /** The name under which several apps share a storage. Defaults to `default`. */
  site?: string;
  /** The key of `sumServer`. Defaults to the site. */
  serverName?: string;
  /** The IANA zone in which hours, days and months begin. Defaults to `UTC`. */
  timeZone?: string;
  journal?: JournalSettings;
  /**
   * Which requests are tracked: all but those marked by `exclude`, or those marked by `include` alone. Defaults to
   * `TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS`, or `exclude`.
   */
  views?: Views;
  /** Visitors by a cookie. Defaults to `TRACK_USAGE_COOKIE`, or false. */
  cookie?: boolean | CookieOptions;
  /**
   * The country database, or false for none. Defaults to the optional package, where it is installed and `freeGeoIp`
   * is not given.
   */
  geo?: GeoOption;
  /**
   * A geography service that the addresses of visitors are sent to, but for those that the database of `geo` knows.
   * Defaults to `TRACK_USAGE_USE_FREEGEOIP` with `TRACK_USAGE_FREEGEOIP_ENDPOINT`, or false.
   */
  freeGeoIp?: boolean | FreeGeoIpSettings;
  /**
   * The proxies whose X-Forwarded headers, or `Forwarded` where there are none, are trusted. For Hono and servers of
   * node:http, https and http2; same format as `proxy-addr`. Express, Fastify and Koa have their own setting, and
   * passing this option with them throws `TRUST_PROXY_UNUSED`. Defaults to none.
   */
  trustProxy?: boolean | string | readonly string[] | ((address: string, hop: number) => boolean);
  /** Who made the request. Defaults to the user of Basic credentials. */
  username?: (request: AppRequest) => string | null | undefined;
  /** Names of query values that are never stored; replaces the default list. */
  redact?: readonly string[];
  /** Masks addresses before anything is stored: the last byte of IPv4, all but 48 bits of IPv6. Defaults to false. */
  anonymizeIp?: boolean;
  /** Told what goes wrong, at most once a minute a kind. Defaults to a line on stderr. */
  onError?: (error: Error & { readonly code?: ErrorCode }) => void;
}

export interface JournalSettings {
  /** The directory of the journals. Defaults to `.track-usage` in the working directory. */
  dir?: string;
  /** Bytes that the journals of a directory may hold together. Defaults to 1 GiB, at least 1 MiB. */
  maxBytes?: number;
  /** See `JournalMode`. Defaults to `append`. */
  mode?: JournalMode;
}

const OPTIONS = [
  'site',
  'serverName',
  'timeZone',
  'journal',
  'views',
  'cookie',
  'geo',
  'freeGeoIp',
  'trustProxy',
  'username',
  'redact',
  'anonymizeIp',
  'onError',
] as const satisfies readonly (keyof TrackUsageOptions)[];

/** Of the journals of a directory together. */
const DEFAULT_MAX_BYTES = 1024 ** 3;
const LEAST_MAX_BYTES = 1024 ** 2;
/** The options, checked, with their defaults. */
export function readSettings(options: TrackUsageOptions) {
  checkOptions('TrackUsage', options, OPTIONS);
  const {
    site = 'default',
    timeZone = 'UTC',
    journal = {},
    redact,
    username,
    anonymizeIp,
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
  calendar(timeZone);
  checkOptions('journal', journal, ['dir', 'maxBytes', 'mode']);
  checkOption('journal.dir', journal.dir, isText(journal.dir), 'the path of a directory');
  checkOption(
    'journal.maxBytes',
    journal.maxBytes,
    isWholeNumber(journal.maxBytes, LEAST_MAX_BYTES),
    `a whole number of bytes, at least ${LEAST_MAX_BYTES}`,
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
  const freeGeoIp = readFreeGeoIp(options.freeGeoIp);
  const { cookie, cookieWhen } = readCookie(options.cookie);
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
    // Who asks a service wants its answers, not those of a package that happens to be there.
    geo: readGeo(options.geo ?? (freeGeoIp ? false : undefined)),
    freeGeoIp,
    trust: options.trustProxy === undefined ? undefined : readTrust(options.trustProxy),
    redact: createRedactor(redact),
  };
}

function readCookie(given: TrackUsageOptions['cookie']) {
  const option = given ?? switchFromEnvironment('TRACK_USAGE_COOKIE') ?? false;
  if (option === false) return { cookie: undefined, cookieWhen: undefined };
  const options = option === true ? {} : option;
  checkOptions('cookie', options, ['name', 'maxAge', 'path', 'domain', 'secret', 'when']);
  return { cookie: new VisitorCookie(options), cookieWhen: options.when };
}

/** The path becomes absolute: threads may read it when the app has changed its directory. */
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
