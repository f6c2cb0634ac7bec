import { describe, expect, test } from 'vitest';
import { COUNTRY_PATHS, locationInResponse, MAX_GEO_LENGTH } from '../../src/writer/enrich/geo-response.ts';

const locationOf = (response: unknown, paths: readonly string[] = COUNTRY_PATHS) =>
  locationInResponse(JSON.stringify(response), paths);

describe('locationInResponse', () => {
  test.each<[string, unknown, string, Record<string, unknown> | null]>([
    [
      'freegeoip',
      { ip: '8.8.8.8', country_code: 'US', country_name: 'United States', city: '', metro_code: 0 },
      'US',
      { ip: '8.8.8.8', country_name: 'United States', metro_code: 0 },
    ],
    [
      'extreme-ip-lookup',
      { countryCode: 'de', country: 'Germany', status: 'success' },
      'DE',
      { country: 'Germany', status: 'success' },
    ],
    ['ipinfo', { country: 'FR', region: null }, 'FR', null],
    ['ipgeolocation', { country_code2: 'JP', country_code3: 'JPN' }, 'JP', { country_code3: 'JPN' }],
    ['MaxMind', { country: { iso_code: 'BR', geoname_id: 1 } }, 'BR', { country: { geoname_id: 1 } }],
    ['echoip', { country: 'Norway', country_iso: 'NO' }, 'NO', { country: 'Norway' }],
  ])('reads a response of %s', (_, response, country, geo) => {
    expect(locationOf(response)).toEqual({ country, geo });
  });

  test('uses custom paths in order', () => {
    const response = { a: { b: [{ c: 'it' }] }, country_code: 'US', d: 'ES' };
    expect(locationOf(response, ['a.b.0.c']).country).toBe('IT');
    expect(locationOf(response, ['a.b', 'missing.path', 'd', 'country_code']).country).toBe('ES');
  });

  test.each<[string, string, string]>([
    ['text that is not JSON', '<html>', 'its response is not JSON'],
    ['an empty response', '', 'its response is not JSON'],
    ['an array', '[{"country_code":"DE"}]', 'its response is not a JSON object'],
    ['null', 'null', 'its response is not a JSON object'],
    ['a string', '"DE"', 'its response is not a JSON object'],
    ['an empty object', '{}', 'its response has no country code at country_code, countryCode, '],
    ['a country name', '{"country":"Germany"}', 'its response has no country code at '],
    ['an inherited property', '{"country":[]}', 'its response has no country code at '],
    ['an error', '{"success":false,"error":{"code":101}}', 'its response has no country code at '],
  ])('rejects %s', (_, body, reason) => {
    expect(() => locationInResponse(body, COUNTRY_PATHS)).toThrow(reason);
    expect(() => locationInResponse(body, ['constructor.name', '__proto__.x', 'length'])).toThrow(
      /^its response /,
    );
  });

  test('limits the size of geo by omitting long values', () => {
    const location = locationOf({
      country_code: 'DE',
      city: 'Berlin',
      essay: 'x'.repeat(MAX_GEO_LENGTH),
      region: 'Land Berlin',
    });
    expect(location).toEqual({ country: 'DE', geo: { city: 'Berlin', region: 'Land Berlin' } });
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key${i}`, `${i}\n`]));
    const json = JSON.stringify(locationOf({ country_code: 'DE', ...many }).geo);
    expect(json.length).toBeLessThanOrEqual(MAX_GEO_LENGTH);
    expect(json.length).toBeGreaterThan(MAX_GEO_LENGTH - 50);
  });

  test('replaces characters that databases reject with U+FFFD', () => {
    const body =
      '{"country_code":"DE","a\\u0000b":"x\\u0000","half":"\\ud83dx\\uDE00","whole":"\\uD83D\\uDE00","path":"C:\\\\u0000\\n"}';
    expect(locationInResponse(body, COUNTRY_PATHS).geo).toEqual({
      'a\ufffdb': 'x\ufffd',
      half: '\ufffdx\ufffd',
      whole: '😀',
      path: 'C:\\u0000\n',
    });
  });

  test('throws nothing but errors for deeply nested responses', () => {
    const deep = (open: string, close: string) => open.repeat(8_000) + close.repeat(8_000);
    for (const body of [`{"x":${deep('[', ']')},"country_code":"DE"}`, deep('{"country":', '}')]) {
      try {
        expect(locationInResponse(body, COUNTRY_PATHS).country).toBe('DE');
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    expect(locationInResponse('{"__proto__":{"x":1},"country_code":"DE"}', COUNTRY_PATHS).country).toBe('DE');
    expect(({} as { x?: number }).x).toBe(undefined);
  });
});
