import { readFileSync, statSync } from 'node:fs';
import { BlockList, isIP, SocketAddress } from 'node:net';
import { Reader, type Response } from 'maxmind';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { defaultDatabase } from './default-geo.ts';

/** Settings of the country database. */
export interface GeoSettings {
  /** Path of a file in MMDB format, relative to the working directory. */
  database: string;
}

/** `undefined` means the optional package, if it is installed. `false` disables countries. */
export type GeoOption = GeoSettings | false | undefined;

/** Location of an address. */
export interface GeoLocation {
  /** ISO 3166 code, upper case. */
  country: string | null;
  /** Additional data, for example `{ city: 'Berlin', region: 'Land Berlin' }`. */
  geo: Record<string, unknown> | null;
}

/** Looks up an address, without a cache. Throws if the database is damaged. */
export type GeoSource = (address: string) => GeoLocation;

export const NO_LOCATION: GeoLocation = Object.freeze({ country: null, geo: null });

/**
 * Opens the country database. Returns `undefined` if it is disabled or not installed.
 *
 * The whole file is held in memory, because a lookup reads it at about 24 offsets. That takes 7.8 MB for the
 * optional package, about 10 MB for MaxMind's countries, and 60 to 130 MB for cities. A replaced file is read
 * at the next start.
 */
export function openGeo(option: GeoOption): GeoSource | undefined {
  if (option === false) return undefined;
  const path = option ? option.database : defaultDatabase();
  if (path === undefined) return undefined;
  const reader = openDatabase(path);
  return (address) => {
    const plain = plainAddress(address);
    return plain === null || isSpecial(plain) ? NO_LOCATION : locationOf(reader.get(plain));
  };
}

/** Open databases by file. Several instances in one thread share the memory. */
const databases = new Map<string, WeakRef<Reader<Response>>>();

function openDatabase(path: string): Reader<Response> {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    const file = `${path} ${ino} ${size} ${mtimeMs}`;
    let reader = databases.get(file)?.deref();
    if (!reader) {
      // The enricher caches addresses, so the reader needs no cache.
      reader = new Reader<Response>(readFileSync(path));
      databases.set(file, new WeakRef(reader));
    }
    return reader;
  } catch (cause) {
    // The reader's message for a file in another format is not helpful.
    const isFileError = cause instanceof Error && 'syscall' in cause;
    const reason = isFileError ? reasonOf(cause) : 'it is not in MMDB format';
    throw new TrackUsageError('GEO_UNREADABLE', { value: path, reason }, { cause });
  }
}

/**
 * Returns the location in a record of MaxMind and DB-IP (`country: { iso_code }`, `city: { names }`) or of
 * ip-location-db (`country_code`, `city`).
 */
export function locationOf(record: unknown): GeoLocation {
  if (!isObject(record)) return NO_LOCATION;
  const { country, continent, city, location } = record;
  const subdivision = Array.isArray(record.subdivisions) ? record.subdivisions[0] : undefined;
  const where = isObject(location) ? location : record;
  const code = isObject(country) ? country.iso_code : (record.country_code ?? country);
  const geo = {
    continent: isObject(continent) ? text(continent.code) : null,
    region: nameOf(subdivision) ?? text(record.state1),
    regionCode: isObject(subdivision) ? text(subdivision.iso_code) : null,
    city: nameOf(city) ?? text(city),
    postalCode: isObject(record.postal) ? text(record.postal.code) : text(record.postcode),
    latitude: coordinate(where.latitude),
    longitude: coordinate(where.longitude),
    timeZone: text(where.time_zone ?? where.timezone),
  };
  const known = Object.entries(geo).filter(([, value]) => value !== null);
  return { country: countryCode(code), geo: known.length === 0 ? null : Object.fromEntries(known) };
}

/**
 * Returns an address without its zone, with IPv4-mapped IPv6 as IPv4. Returns `null` for addresses outside
 * the public internet, including IPv6 tunnels that contain IPv4 addresses.
 */
export function publicAddress(address: string): string | null {
  const plain = plainAddress(address);
  if (plain === null || isSpecial(plain)) return null;
  if (familyOf(plain) === 'ipv4') return plain;
  // The only allocated IPv6 range is 2000::/3.
  return /^[23]...:/.test(plain) && !tunnels.check(plain, 'ipv6') ? plain : null;
}

/**
 * Returns the address in the form used by databases: without a zone, with IPv4-mapped IPv6 as IPv4. Returns
 * `null` for an invalid address.
 */
function plainAddress(address: string): string | null {
  const version = isIP(address);
  if (version !== 6) return version === 4 ? address : null;
  const percent = address.indexOf('%');
  const bare = percent < 0 ? address : address.slice(0, percent);
  const canonical = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  return canonical.startsWith('::ffff:') && canonical.includes('.') ? canonical.slice(7) : canonical;
}

/**
 * Networks without a country: private, loopback, link-local, documentation and multicast (IANA's registries
 * of special-purpose addresses). Databases are unreliable for them; one locates 192.168.0.0/16 in Australia.
 */
const SPECIAL_NETWORKS = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/127',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:2::/48',
  '2001:10::/28',
  '2001:20::/28',
  '2001:db8::/32',
  '3fff::/20',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

/** Teredo and 6to4. The other end has an IPv4 address, which may be private. */
const TUNNELS = ['2001::/32', '2002::/16'];

const special = blockList(SPECIAL_NETWORKS);
const tunnels = blockList(TUNNELS);

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return list;
}

function isSpecial(address: string): boolean {
  return special.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** Returns a valid country code. `ZZ` is ISO 3166's code for an unknown country. */
export function countryCode(value: unknown): string | null {
  if (typeof value !== 'string' || !/^[a-z]{2}$/i.test(value)) return null;
  const code = value.toUpperCase();
  return code === 'ZZ' ? null : code;
}

function nameOf(value: unknown): string | null {
  return isObject(value) && isObject(value.names) ? text(value.names.en) : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Parses a coordinate. ip-location-db stores it as text. */
function coordinate(value: unknown): number | null {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
