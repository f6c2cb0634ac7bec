import { show, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions, isText, switchFromEnvironment } from '../../options/checks.ts';
import { COUNTRY_PATHS } from './geo-response.ts';

/** A geography service, asked over HTTP for the addresses of visitors. */
export interface FreeGeoIpSettings {
  /**
   * The URL, with `{ip}` where the address belongs; without it the address is appended. Defaults to
   * `TRACK_USAGE_FREEGEOIP_ENDPOINT`.
   */
  endpoint?: string;
  /**
   * Where the country's ISO 3166 code stands in the JSON of the answer, such as `country.iso_code`; of several the
   * first that has one. Defaults to where the known services have it.
   */
  countryPath?: string | readonly string[];
}

/** What the writer is told of it. */
export interface FreeGeoIpData {
  endpoint: string;
  countryPaths: readonly string[];
}

const EXPECTED = 'the http or https URL of a service that answers JSON, with {ip} in its path or query';

/** The service, checked; `undefined` where none is to be asked. */
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
    // What follows the question mark is often a key.
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

/** The URL that is asked for an address. */
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
