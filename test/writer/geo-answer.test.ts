import { describe, expect, test } from 'vitest';
import { COUNTRY_PATHS, locationInResponse, MAX_GEO_LENGTH } from '../../src/writer/enrich/geo-response.ts';

const locationOf = (answer: unknown, paths: readonly string[] = COUNTRY_PATHS) =>
  locationInResponse(JSON.stringify(answer), paths);

describe('placeInAnswer', () => {
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
  ])('the answer of %s', (_, answer, country, geo) => {
    expect(locationOf(answer)).toEqual({ country, geo });
  });

  test('paths of the user, in their order', () => {
    const answer = { a: { b: [{ c: 'it' }] }, country_code: 'US', d: 'ES' };
    expect(locationOf(answer, ['a.b.0.c']).country).toBe('IT');
    expect(locationOf(answer, ['a.b', 'missing.path', 'd', 'country_code']).country).toBe('ES');
  });

  test.each<[string, string, string]>([
    ['no JSON', '<html>', 'its response is not JSON'],
    ['nothing', '', 'its response is not JSON'],
    ['a list', '[{"country_code":"DE"}]', 'its response is not a JSON object'],
    ['null', 'null', 'its response is not a JSON object'],
    ['a text', '"DE"', 'its response is not a JSON object'],
    ['nothing in it', '{}', 'its response has no country code at country_code, countryCode, '],
    ['a name', '{"country":"Germany"}', 'its response has no country code at '],
    ['what is inherited', '{"country":[]}', 'its response has no country code at '],
    ['an error', '{"success":false,"error":{"code":101}}', 'its response has no country code at '],
  ])('refuses %s', (_, body, reason) => {
    expect(() => locationInResponse(body, COUNTRY_PATHS)).toThrow(reason);
    expect(() => locationInResponse(body, ['constructor.name', '__proto__.x', 'length'])).toThrow(
      /^its response /,
    );
  });

  test('geo is bounded: what does not fit is left out', () => {
    const place = locationOf({
      country_code: 'DE',
      city: 'Berlin',
      essay: 'x'.repeat(MAX_GEO_LENGTH),
      region: 'Land Berlin',
    });
    expect(place).toEqual({ country: 'DE', geo: { city: 'Berlin', region: 'Land Berlin' } });
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key${i}`, `${i}\n`]));
    const json = JSON.stringify(locationOf({ country_code: 'DE', ...many }).geo);
    expect(json.length).toBeLessThanOrEqual(MAX_GEO_LENGTH);
    expect(json.length).toBeGreaterThan(MAX_GEO_LENGTH - 50);
  });

  test('what engines refuse becomes U+FFFD, and nothing else changes', () => {
    const body =
      '{"country_code":"DE","a\\u0000b":"x\\u0000","half":"\\ud83dx\\uDE00","whole":"\\uD83D\\uDE00","path":"C:\\\\u0000\\n"}';
    expect(locationInResponse(body, COUNTRY_PATHS).geo).toEqual({
      'a\ufffdb': 'x\ufffd',
      half: '\ufffdx\ufffd',
      whole: '😀',
      path: 'C:\\u0000\n',
    });
  });

  test('nothing but an error with a reason, however deep', () => {
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
