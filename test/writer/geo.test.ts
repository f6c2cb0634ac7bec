import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { hasDefaultGeo } from '../../src/writer/enrich/default-geo.ts';
import { locationOf, openGeo } from '../../src/writer/enrich/geo.ts';

const DATABASE = createRequire(import.meta.url).resolve(
  '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb',
);
const directory = mkdtempSync(join(tmpdir(), 'track-usage-geo-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('openGeo', () => {
  test('opens the optional package', () => {
    expect(hasDefaultGeo()).toBe(true);
    const geo = openGeo(undefined)!;
    const countries = Object.fromEntries(
      [
        '8.8.8.8',
        '::ffff:8.8.8.8',
        '::FFFF:808:808',
        '193.99.144.80',
        '2a02:2e0:3fe:1001:302::',
        '127.0.0.1',
        '10.0.0.1',
        '172.16.0.1',
        '172.32.0.1',
        '192.168.1.1',
        '::ffff:192.168.1.1',
        '203.0.113.1',
        '2001:db8::1',
        'fd00::1',
        '::1',
        'fe80::1%eth0',
        '',
        'unknown',
        '8.8.8',
        '8.8.8.8 ',
        "1'; DROP TABLE",
      ].map((address) => [address, geo(address).country]),
    );
    expect(countries).toEqual({
      '8.8.8.8': 'US',
      '::ffff:8.8.8.8': 'US',
      '::FFFF:808:808': 'US',
      '193.99.144.80': 'DE',
      '2a02:2e0:3fe:1001:302::': 'DE',
      '127.0.0.1': null,
      '10.0.0.1': null,
      '172.16.0.1': null,
      '172.32.0.1': 'US',
      '192.168.1.1': null,
      '::ffff:192.168.1.1': null,
      '203.0.113.1': null,
      '2001:db8::1': null,
      'fd00::1': null,
      '::1': null,
      'fe80::1%eth0': null,
      '': null,
      unknown: null,
      '8.8.8': null,
      '8.8.8.8 ': null,
      "1'; DROP TABLE": null,
    });
    expect(geo('8.8.8.8').geo).toBe(null);
  });

  test('opens a custom file, or none', () => {
    expect(openGeo({ database: DATABASE })!('8.8.8.8')).toEqual({ country: 'US', geo: null });
    expect(openGeo(false)).toBe(undefined);
  });

  test.each<[string, () => string]>([
    ['that is missing', () => join(directory, 'missing.mmdb')],
    ['that is a directory', () => directory],
    ['that is empty', () => writeDatabase('empty.mmdb', Buffer.alloc(0))],
    ['of text', () => writeDatabase('text.mmdb', Buffer.from('start,end,country\n'.repeat(100)))],
    ['of zeros', () => writeDatabase('zeros.mmdb', Buffer.alloc(100_000))],
    [
      'that is compressed',
      () => writeDatabase('packed.mmdb', gzipSync(readFileSync(DATABASE), { level: 1 })),
    ],
    ['that is truncated', () => writeDatabase('cut.mmdb', readFileSync(DATABASE).subarray(0, 1_000_000))],
  ])('rejects a file %s', (_, file) => {
    const path = file();
    expect(() => openGeo({ database: path })).toThrow(expect.objectContaining({ code: 'GEO_UNREADABLE' }));
    expect(() => openGeo({ database: path })).toThrow(`cannot read the country database ${path}: `);
  });

  function writeDatabase(name: string, content: Uint8Array): string {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  }
});

test.each<[string, unknown, string | null, Record<string, unknown> | null]>([
  ['nothing', null, null, null],
  ['ip-location-db, countries', { country_code: 'DE' }, 'DE', null],
  ['lower case', { country_code: 'de' }, 'DE', null],
  ['an unknown country', { country_code: 'ZZ' }, null, null],
  ['not a code', { country_code: 'Germany' }, null, null],
  [
    'ip-location-db, cities',
    {
      city: 'Berlin',
      country_code: 'DE',
      latitude: '52.52',
      longitude: 13.4,
      postcode: '10115',
      state1: 'Land Berlin',
      state2: '',
      timezone: 'Europe/Berlin',
    },
    'DE',
    {
      region: 'Land Berlin',
      city: 'Berlin',
      postalCode: '10115',
      latitude: 52.52,
      longitude: 13.4,
      timeZone: 'Europe/Berlin',
    },
  ],
  [
    'MaxMind, countries',
    {
      continent: { code: 'EU', names: { en: 'Europe' } },
      country: { iso_code: 'DE', names: { en: 'Germany' } },
    },
    'DE',
    { continent: 'EU' },
  ],
  ['MaxMind, without a country', { registered_country: { iso_code: 'DE' } }, null, null],
  [
    'MaxMind, cities',
    {
      city: { geoname_id: 2950159, names: { de: 'Berlin', en: 'Berlin' } },
      continent: { code: 'EU' },
      country: { iso_code: 'DE', names: { en: 'Germany' } },
      location: { accuracy_radius: 20, latitude: 52.52, longitude: 0, time_zone: 'Europe/Berlin' },
      postal: { code: '10115' },
      subdivisions: [{ iso_code: 'BE', names: { en: 'Land Berlin' } }, { iso_code: 'X' }],
    },
    'DE',
    {
      continent: 'EU',
      region: 'Land Berlin',
      regionCode: 'BE',
      city: 'Berlin',
      postalCode: '10115',
      latitude: 52.52,
      longitude: 0,
      timeZone: 'Europe/Berlin',
    },
  ],
  ['another shape', { country: 5, city: [], subdivisions: {}, location: null, continent: 'EU' }, null, null],
  ['an ASN database', { autonomous_system_number: 1, autonomous_system_organization: 'x' }, null, null],
])('locationOf: %s', (_, record, country, geo) => {
  expect(locationOf(record)).toEqual({ country, geo });
});
