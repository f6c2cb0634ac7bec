import { show, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions, isText, switchFromEnvironment } from '../../options/checks.ts';
import { COUNTRY_PATHS } from './geo-response.ts';

/** Geolocation service, queried over HTTP for visitors' addresses. */
export interface FreeGeoIpSettings {
  /**
   * URL with `{ip}` in place of the address. Without `{ip}`, the address is appended. Defaults to
   * `TRACK_USAGE_FREEGEOIP_ENDPOINT`.
   */
  endpoint?: string;
  /**
   * Path of the country's ISO 3166 code in the response's JSON, for example `country.iso_code`. With several
   * paths, the first that has a code is used. Defaults to the paths of known services.
   */
  countryPath?: string | readonly string[];
}

/** Settings that the writer receives. */
export interface FreeGeoIpData {
  endpoint: string;
  countryPaths: readonly string[];
}

const EXPECTED = 'the http or https URL of a service that answers JSON, with {ip} in its path or query';

/** Validates the settings. Returns `undefined` if no service is configured. */
export function readFreeGeoIp(given: boolean | FreeGeoIpSettings | undefined): FreeGeoIpData | undefined {
  const option =
    given ??
    switchFromEnvironment('TRACK_USAGE_USE_FREEGEOIP') ??
    switchFromEnvironment('TRACK_USAGE_FREEGEOIP') ??
    false;
  if (option === false) return undefined;
  const options = option === true ? {} : option;
  checkOptions('freeGeoIp', options, ['endpoint', 'countryPath']);
  const { countryPath = COUNTRY_PATHS } = options;
  const endpoint: unknown = options.endpoint ?? process.env.TRACK_USAGE_FREEGEOIP_ENDPOINT?.trim();
  if (!isEndpoint(endpoint)) {
    // The query often contains a key.
    const value = show(typeof endpoint === 'string' ? endpoint.replace(/\?.*/s, '?...') : endpoint);
    throw new TrackUsageError('OPTION_INVALID', { name: 'freeGeoIp.endpoint', value, expected: EXPECTED });
  }
  const countryPaths = typeof countryPath === 'string' ? [countryPath] : countryPath;
  checkOption(
    'freeGeoIp.countryPath',
    countryPath,
    Array.isArray(countryPaths) && countryPaths.length > 0 && countryPaths.every(isText),
    'a path such as "country.iso_code", or a list of them',
  );
  return { endpoint, countryPaths: [...countryPaths] };
}

/** Returns the URL to request for an address. */
export function urlFor(endpoint: string, address: string): string {
  const value = encodeURIComponent(address);
  return endpoint.includes('{ip}') ? endpoint.replaceAll('{ip}', value) : endpoint + value;
}

function isEndpoint(endpoint: unknown): endpoint is string {
  if (typeof endpoint !== 'string') return false;
  // An address must not be part of the host.
  const [url, other] = ['192.0.2.1', '2001:db8::1'].map((address) => URL.parse(urlFor(endpoint, address)));
  return (
    !!url && !!other && (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === other.origin
  );
}

/** Counts of requests to the geolocation service. */
export interface FreeGeoIpStatus {
  /** Number of requests. */
  requests: number;
  /** Number of failed requests, including responses without a country. */
  failed: number;
  /** Number of addresses stored without a response in time, counted again in each batch. */
  missed: number;
  /** True if the service is paused after several consecutive failures. */
  paused: boolean;
}
